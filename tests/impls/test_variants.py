"""Each value of a declared option is an implementation of its own, named after it and run where it is asked for."""

from __future__ import annotations

import pytest

from impls import variants
from impls.contract import Implementation, Limits, Row
from impls.registry import Registry, register

LIMITS = Limits(devices=("cpu",), dtypes=("float32",), supports=frozenset())


def attend(q, k, v, *, causal=False, scale=None, valid_lens=None, block=128, warps=4):
    return q, block, warps


def entry(**declared):
    return Implementation("attention", "mine", attend, (LIMITS,), source="mine.py", **declared)


def test_a_variant_calls_with_what_is_chosen_and_is_named_after_it():
    def row_bytes(row, *, block=128, warps=4):
        return row.width + 2 * block

    found = variants.variants(entry(options={"warps": (8,), "block": (64, 256)}, row_bytes=row_bytes))
    assert [one.name for one in found] == [
        "mine:block=64", "mine:block=256", "mine:warps=8", "mine:block=64,warps=8", "mine:block=256,warps=8",
    ]  # fmt: skip
    assert [one.function(1, 2, 3) for one in found[2:4]] == [(1, 128, 8), (1, 64, 8)]
    assert all(one.on_request for one in found)
    assert [one.bytes_of_row(Row(3, 20, 20)) for one in found] == [131, 515, 259, 131, 515]
    assert entry(row_bytes=7.0).bytes_of_row(Row(3, 20, 20)) == 7.0


def test_what_prepares_is_told_too():
    def build(q, k, v, *, block=128, **_):
        return lambda: block

    (one,) = variants.variants(entry(options={"block": (64,)}, prepare=build))
    assert one.prepare(1, 2, 3, causal=True)() == 64


def test_a_registry_holds_variants_and_derives_nothing_from_them():
    registry = Registry()
    registry.add(entry(options={"block": (64,)}))
    registry.derive("attention", lambda core: Implementation("multihead", f"mha/{core.name}", attend, (LIMITS,)))
    registry.add(Implementation("attention", "late", attend, (LIMITS,), options={"block": (32,)}))
    assert [name for _, name in registry.entries] == [
        "mine",
        "mine:block=64",
        "mha/mine",
        "late",
        "late:block=32",
        "mha/late",
    ]


@pytest.mark.parametrize(
    ("name", "pattern", "is_named"),
    [
        ("online", "*", True), ("online:block=64", "*", False), ("online:block=64", "online", False),
        ("online:block=64", "online:*", True), ("online:block=64", "*:block=64", True), ("online", "online:*", False),
        ("plugin:mine", "plugin*", True),
    ],
)  # fmt: skip
def test_a_variant_is_named_by_patterns_with_a_colon_alone(name, pattern, is_named):
    assert variants.matches(name, pattern) is is_named


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("online", "online"), ("online:block=64", "online"), ("a:x=1,y=-0.5", "a"),
        ("a:x=1 (approximate)", "a (approximate)"),
        ("mha/online", "mha/online"), ("plugin:mine", "plugin:mine"),
    ],
)  # fmt: skip
def test_the_default_is_the_name_without_what_is_chosen(name, default):
    assert variants.default_name(name) == default


def test_options_are_shown_as_an_axis_is_written():
    names = ["a", "a:x=1", "a:x=2", "a:y=3", "a:x=1,y=3", "ab:x=5"]
    assert variants.options_of("a", names) == ["a.x=1,2", "a.y=3"]
    assert variants.options_of("b", names) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blok": (64,)}, "option 'blok' of 'mine' is no argument of attend"),
        ({"block": ()}, "needs distinct values"),
        ({"block": (64, 64)}, "needs distinct values"),
        ({"block": ("a b",)}, "needs distinct values of letters and digits"),
        ({"block": range(20), "warps": range(20)}, "more than 100 combinations"),
    ],
)
def test_options_that_no_call_takes_or_no_name_holds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        register(problem="attention", name="mine", options=options)(attend)


def test_a_name_that_reads_like_a_variant_is_refused():
    with pytest.raises(ValueError, match="reads like 'mine' with an option chosen"):
        register(problem="attention", name="mine:block=3")
