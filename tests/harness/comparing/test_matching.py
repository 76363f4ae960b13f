"""Every case of either side has its partner, or a reason why there is none."""

from __future__ import annotations

import pytest

from harness.comparing.compare import compare
from harness.comparing.matching import NAMED_AT_MOST, match
from harness.policy import ComparisonPolicy
from tests.support.comparisons import at, case, only, side

POLICY = ComparisonPolicy()


def changed(figures, **identity):
    """Return figures whose case is another one."""
    renamed = figures.case.model_copy(update={"id": "other", **identity})
    return figures.model_copy(update={"case": renamed})


def reasons(base, new):
    return [pair.reason for pair in match(base, new)]


@pytest.mark.parametrize(
    ("base", "new", "reason"),
    [
        (case(), None, "only in BASE"),
        (None, case(), "only in NEW"),
        (case(), case(status="crashed", reason="killed by SIGSEGV"), "crashed in NEW: killed by SIGSEGV"),
        (case(status="oom", reason="4 GiB"), case(), "oom in BASE: 4 GiB"),
        (case(), case(attended=50), "other shapes: 100 pairs attended in BASE, 50 in NEW"),
        (case(), case(inputs=1), "other shapes: 4096 bytes of inputs in BASE, 1 in NEW"),
    ],
)
def test_what_does_not_compare_has_a_reason(base, new, reason):
    one = only(base, new)
    assert (one.outcome, one.reason, one.ratio) == ("not comparable", reason, None)


def test_an_implementation_at_other_sizes_is_said_to_have_other_shapes():
    changes = compare(side([case()]), side([case(point={"n": 128, "d": 64, "heads": 2, "batch": 1})]), policy=POLICY)
    assert [one.reason for one in changes.cases] == [
        "only in BASE: other shapes in NEW (n 128)",
        "only in NEW: other shapes in BASE (n 64)",
    ]


def test_pairs_stand_in_the_order_of_the_base_and_those_of_the_new_side_alone_come_last():
    base, new = [at(256), at(64), at(128)], [at(512), at(64), at(32), at(256)]
    pairs = match(base, new)
    assert [pair.case.point["n"] for pair in pairs] == [256, 64, 128, 512, 32]
    assert [(pair.base is None, pair.new is None) for pair in pairs[2:]] == [
        (False, True),
        (True, False),
        (True, False),
    ]


def test_nothing_on_both_sides_is_no_pair():
    assert match([], []) == []


def test_a_pair_s_case_is_the_new_side_s_where_both_have_one():
    new = case()
    new = new.model_copy(update={"case": new.case.model_copy(update={"also": ["batch"]})})
    [pair] = match([case()], [new])
    assert pair.case.also == ["batch"]
    [alone] = match([case()], [])
    assert alone.case == case().case


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0])
def test_a_side_without_a_time_above_zero_is_named(seconds):
    [pair] = match([case()], [case(seconds=1e-3).model_copy(update={"seconds": seconds})])
    assert (pair.reason, pair.same_shape) == ("ok in NEW", True)


def test_a_status_is_written_in_words_and_of_two_failures_the_base_s_is_named():
    [pair] = match([case(status="predicted_oom", reason="64 GiB")], [case(status="crashed", reason="SIGSEGV")])
    assert pair.reason == "predicted oom in BASE: 64 GiB"
    assert reasons([case(status="timeout")], [case()]) == ["timeout in BASE"]


@pytest.mark.parametrize("known", [{"attended": None}, {"inputs": None}])
def test_a_shape_that_one_side_does_not_know_is_taken_for_the_same(known):
    for sides in (([case(**known)], [case()]), ([case()], [case(**known)])):
        [pair] = match(*sides)
        assert (pair.reason, pair.same_shape) == ("", True)


def test_counts_do_not_compare_between_shapes_or_with_nothing():
    assert [pair.same_shape for pair in match([case()], [case(attended=1)])] == [False]
    assert [pair.same_shape for pair in match([case()], [at(128)])] == [False, False]


def test_other_shapes_are_those_of_the_same_kind_alone():
    assert reasons([at(64)], [at(128, "online")]) == ["only in BASE", "only in NEW"]
    for identity in ({"dtype": "bfloat16"}, {"direction": "backward"}, {"cache": "cold"}, {"scenario": "heads"}):
        assert reasons([at(64)], [changed(at(64), **identity)]) == ["only in BASE", "only in NEW"], identity


def test_one_shape_on_two_kinds_of_device_is_no_other_shape():
    assert reasons([at(64)], [changed(at(64), device="cuda")]) == ["only in BASE", "only in NEW"]


def test_the_number_of_a_device_makes_no_other_kind():
    base, new = changed(at(64), device="cuda:0"), changed(at(128), device="cuda:1", id="another")
    assert reasons([base], [new])[0] == "only in BASE: other shapes in NEW (n 128)"


def test_other_shapes_name_each_axis_with_its_values_once():
    new = [case(point={"n": n, "d": d, "heads": 2, "batch": 1}) for n in (128, 256) for d in (32, 96)]
    assert reasons([at(64)], new)[0] == "only in BASE: other shapes in NEW (n 128, 256; d 32, 96)"


def test_an_axis_that_has_the_value_somewhere_is_not_named():
    new = [case(point={"n": n, "d": d, "heads": 2, "batch": 1}) for n, d in ((64, 32), (128, 64))]
    assert reasons([at(64)], new)[0] == "only in BASE: other shapes in NEW"


def test_an_axis_that_the_other_side_lacks_is_absent_there():
    bare = case(point={"n": 64, "d": 64, "heads": 2})
    assert reasons([at(64)], [bare]) == [
        "only in BASE: other shapes in NEW (batch absent)",
        "only in NEW: other shapes in BASE",
    ]


def test_more_values_than_a_reason_names_are_others():
    new = [at(128 * place) for place in range(1, NAMED_AT_MOST + 2)]
    assert reasons([at(64)], new)[0] == "only in BASE: other shapes in NEW (n 128, 256, 384, 512 and others)"
    assert reasons([at(64)], new[:-1])[0] == "only in BASE: other shapes in NEW (n 128, 256, 384, 512)"
