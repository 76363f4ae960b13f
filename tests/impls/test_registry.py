"""The registry keeps implementations by problem and name, refuses what contradicts, and names the choices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from impls import discovery, registry
from impls.contract import Expected, Implementation, Limits
from impls.registry import Registry


def attend(q):
    return q


def another(q):
    return q


def entry(*devices, problem="attention", name="mine", function=attend, source="mine.py"):
    limits = Limits(devices or ("cpu",), ("float32",), frozenset())
    return Implementation(problem, name, function, (limits,), source=source)


@pytest.fixture
def empty(monkeypatch):
    """Let `register` write into a registry of its own."""
    own = Registry()
    monkeypatch.setattr(registry, "REGISTRY", own)
    return own


def test_an_unknown_name_is_answered_with_the_choices():
    discovery.discover()
    with pytest.raises(KeyError, match=r"no implementation 'sdpa-flsh'; did you mean 'sdpa-flash'\? have: batched"):
        registry.get("attention", "sdpa-flsh")


def test_an_unknown_problem_is_answered_with_the_choices():
    with pytest.raises(KeyError, match=r"no problem 'atention'; did you mean 'attention'\? have: attention, multi"):
        registry.problem("atention")


def test_nothing_near_is_suggested_where_nothing_is_near():
    assert registry.unknown("kernel", "xyz", ["b", "a"]) == "no kernel 'xyz'; have: a, b"
    assert registry.unknown("kernel", "xyz", []) == "no kernel 'xyz'; have: none"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"supports": ("casual",)}, "no feature 'casual'; did you mean 'causal'"),
        ({"devices": "gpu"}, "no device 'gpu'; did you mean 'cpu'"),
        ({"dtypes": ("float23",)}, "no dtype 'float23'; did you mean 'float32'"),
    ],
)
def test_unknown_words_of_a_registration_are_refused(empty, words, message):
    with pytest.raises(ValueError, match=message):
        registry.register(problem="attention", name="x", **words)
    assert empty.entries == {}


def test_a_registration_without_limits_runs_everywhere_and_supports_nothing_special(empty):
    assert registry.register(problem="attention", name="x")(attend) is attend
    found = empty.entries["attention", "x"]
    (limits,) = found.limits
    assert (limits.devices, limits.dtypes, limits.supports) == (registry.DEVICES, registry.DTYPES, frozenset())
    assert found.source == __file__


def test_one_word_is_a_list_of_one_and_names_of_operators_become_what_is_expected(empty):
    registry.register(problem="attention", name="x", devices="cpu", dtypes="float64", expects=("bmm", "mm"))(attend)
    (limits,) = empty.entries["attention", "x"].limits
    assert (limits.devices, limits.dtypes, limits.expects) == (("cpu",), ("float64",), Expected(("bmm", "mm")))


def test_stacked_registrations_join_their_limits_by_device(empty):
    registry.register(problem="attention", name="x", devices="cuda", dtypes="float16")(
        registry.register(problem="attention", name="x", devices="cpu")(attend)
    )
    found = empty.entries["attention", "x"]
    assert (found.limits_on("cpu").dtypes, found.limits_on("cuda").dtypes) == (registry.DTYPES, ("float16",))


@pytest.mark.parametrize(
    "second",
    [entry("cpu", "cuda"), entry("cuda", function=another), entry("cuda", source="yours.py")],
    ids=["the same device", "another function", "another file"],
)
def test_a_second_implementation_of_a_name_is_refused_and_the_first_stays(second):
    own = Registry()
    own.add(entry("cpu"))
    with pytest.raises(ValueError, match=r"'mine' of problem 'attention' is registered twice: in mine\.py and in "):
        own.add(second)
    assert own.entries == {("attention", "mine"): entry("cpu")}


def test_a_name_may_be_another_one_in_another_problem():
    own = Registry()
    own.add(entry("cpu"))
    own.add(entry("cpu", problem="pooling", function=another, source="yours.py"))
    assert list(own.entries) == [("attention", "mine"), ("pooling", "mine")]


def test_what_is_derived_follows_earlier_and_later_registrations_and_their_further_limits():
    own = Registry()
    own.add(entry("cpu", name="early"))
    own.derive("attention", lambda found: replace(found, problem="multihead", name=f"mha/{found.name}"))
    own.add(entry("cpu", name="late"))
    own.add(entry("cuda", name="late"))
    own.add(entry("cpu", problem="pooling"))
    assert [name for problem, name in own.entries if problem == "multihead"] == ["mha/early", "mha/late"]
    assert own.entries["multihead", "mha/late"].limits_on("cuda") is not None


def test_a_point_is_parsed_with_the_axes_that_an_implementation_fixes():
    fixed = replace(entry("cpu", problem="pooling"), fixes={"kernel": "constant"})
    assert registry.parse(fixed, {"n": 4, "kernel": "gaussian"}).kernel == "constant"
    with pytest.raises(ValueError, match="n_q is missing"):
        registry.parse(fixed, {})


def test_every_folder_with_a_problem_is_one_and_offers_the_whole_contract():
    offered = ("AXES", "PROBES", "REPEATED", "parse", "features", "inputs", "outputs", "bind", "sample_rows")
    for folder in registry.problem_folders():
        found = registry.problem(folder.name)
        assert [name for name in (*offered, "witness", "gradient_witness", "cost") if name not in vars(found)] == []
        assert {axis for probe in found.PROBES for axis in probe.point} <= set(found.AXES)
        assert len({probe.name for probe in found.PROBES}) == len(found.PROBES)


@pytest.mark.parametrize("name", ["s\ud800x", "", "  "])
def test_a_name_that_no_file_can_hold_is_refused(name):
    with pytest.raises(ValueError, match=r"needs a name|has half a character"):
        registry.register(problem="attention", name=name)


def test_a_problem_is_looked_for_in_the_folders_once(monkeypatch):
    found = registry.problem("attention")
    monkeypatch.setattr(registry, "problem_folders", list)
    assert registry.problem("attention") is found
    with pytest.raises(KeyError, match="no problem 'nothing'"):
        registry.problem("nothing")
