"""Selection: every case once, exactly those asked for."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.records import PlannedCase, Prediction, case_id
from harness.runner import plan, selection
from scenarios.scenario import Axis, Scenario
from tests.support.runs import ok_case

NAMES = {"attention": ["loop", "sdpa-flash", "sdpa-math"]}


def sweep(name: str, **changes) -> Scenario:
    return Scenario(name=name, question="?", axes=[Axis(name="n", values=[8, 16])], base={"d": 4}, **changes)


def cases(*scenarios: Scenario, **wanted):
    found, _ = plan.expand(scenarios, names=NAMES, selection=selection.Selection(**wanted), device="cpu")
    return found


def test_a_case_is_every_combination():
    found = cases(sweep("a", dtypes=["float32", "float16"], directions=["forward", "backward"]))
    assert len(found) == 2 * 3 * 2 * 2
    assert len({case.id for case in found}) == len(found)


def test_a_case_shared_by_scenarios_is_planned_once():
    first, second = sweep("a"), sweep("b")
    found = cases(first, second)
    assert len(found) == 6
    assert {case.scenario for case in found} == {"a"}
    assert all(case.also == ["b"] for case in found)


def test_an_excluded_implementation_runs_where_it_is_asked_for_by_name():
    scenario = sweep("a", exclude=["loop"])
    assert {case.implementation for case in cases(scenario)} == {"sdpa-flash", "sdpa-math"}
    assert {case.implementation for case in cases(scenario, implementations=("loop",))} == {"loop"}


@pytest.mark.parametrize(
    ("asked", "scenario", "measured"),
    [
        ((), sweep("a"), {"loop", "sdpa-flash"}),
        ((), sweep("a", implementations=["sdpa-*"]), {"sdpa-flash"}),
        ((), sweep("a", implementations=["loop", "sdpa-math"]), {"loop", "sdpa-math"}),
        (("sdpa-*",), sweep("a"), {"sdpa-flash", "sdpa-math"}),
    ],
)
def test_what_runs_on_request_runs_where_user_or_scenario_name_it(asked, scenario, measured):
    wanted = selection.Selection(implementations=asked)
    found, _ = plan.expand([scenario], names=NAMES, selection=wanted, device="cpu", on_request={"sdpa-math"})
    assert {case.implementation for case in found} == measured


VARIANTS = ["loop", "loop:block=1", "loop:block=2", "sdpa-math"]


@pytest.mark.parametrize(
    ("asked", "chosen", "scenario", "measured"),
    [
        ((), (), sweep("a"), {"loop", "sdpa-math"}),
        (("*",), (), sweep("a"), {"loop", "sdpa-math"}),
        (("loop:*",), (), sweep("a"), {"loop:block=1", "loop:block=2"}),
        (("sdpa-math",), ("loop:block=2",), sweep("a"), {"loop", "loop:block=2", "sdpa-math"}),
        ((), (), sweep("a", implementations=["loop", "loop:*"]), {"loop", "loop:block=1", "loop:block=2"}),
        ((), (), sweep("a", implementations=["*", "loop:*"], exclude=["loop"]), {"sdpa-math"}),
    ],
)
def test_options_are_measured_where_they_are_chosen_and_beside_their_default(asked, chosen, scenario, measured):
    wanted = selection.Selection(implementations=asked, variants=chosen)
    settings = {"selection": wanted, "device": "cpu", "on_request": {"loop:block=1", "loop:block=2"}}
    found, _ = plan.expand([scenario], names={"attention": VARIANTS}, **settings)
    assert {case.implementation for case in found} == measured
    assert len({case.id for case in found}) == len(found)


def test_what_a_scenario_says_of_an_implementation_holds_with_options_too():
    scenario = sweep(
        "a", own_base={"loop": {"d": 2}}, sizes_at_most={"loop": {"n": 8}}, implementations=["*", "loop:*"]
    )
    wanted = selection.Selection()
    found, _ = plan.expand([scenario], names={"attention": VARIANTS}, selection=wanted, device="cpu")
    assert [c.point for c in found if c.implementation == "loop:block=1"] == [{"n": 8, "d": 2}]


def test_the_identity_of_a_case_is_its_definition_alone():
    identity = {
        "problem": "attention",
        "point": {"n": 8, "d": 4},
        "dtype": "float32",
        "device": "cpu",
        "direction": "forward",
        "cache": "hot",
        "implementation": "loop",
    }
    assert case_id(**identity) == case_id(**{**identity, "point": {"d": 4, "n": 8}})
    assert case_id(**identity) != case_id(**{**identity, "point": {"n": 9, "d": 4}})
    assert {case.id for case in cases(sweep("a"))} == {case.id for case in cases(sweep("another name"))}


def planned(implementation, skip=None, reason=""):
    return PlannedCase(case=ok_case(implementation), skip=skip, reason=reason)


def test_a_baseline_that_is_not_measured_is_refused_before_anything_is():
    plan.check_baseline("loop", [planned("loop"), planned("sdpa-flash")])
    with pytest.raises(
        selection.SelectionError, match=r"'loop' is not among what is measured \(sdpa-flash\): add --impl"
    ):
        plan.check_baseline("loop", [planned("sdpa-flash")])
    with pytest.raises(selection.SelectionError, match=r"'sdpa-cudnn' can't run here; .*: runs on cuda only"):
        plan.check_baseline("sdpa-cudnn", [planned("sdpa-cudnn", "unsupported", "runs on cuda only"), planned("loop")])


def shard(index, count, found):
    asked = selection.Request(
        scenarios=(), selection=selection.Selection(shard=(index, count)), device="cpu", policy=DEFAULT
    )
    cost = Prediction(operations=10**6, extra_bytes=0, resident_bytes=8, seconds=1.0)
    whole = [PlannedCase(case=case, predicted=cost) for case in found]
    return plan.shard_of(whole, asked, baseline="loop")


def test_the_cases_of_all_shards_are_the_plan_each_once_but_for_the_bridge_that_each_has():
    found = cases(sweep("a", dtypes=["float32", "float16"], directions=["forward", "backward"]), sweep("b"))
    parts = [shard(index, 3, found) for index in (1, 2, 3)]
    guests = [part.bridge for _, part in parts if part.is_guest]
    assert (len(guests), len({part.bridge for _, part in parts})) == (2, 1)
    mine = [one.case.id for planned, _ in parts for one in planned]
    assert sorted(mine) == sorted([case.id for case in found] + guests)
    whole, part = shard(1, 1, found)
    assert (len(whole), part) == (len(found), None)


def test_an_empty_shard_tells_of_how_many_curves_there_are():
    found = cases(sweep("a", dtypes=["float32", "float16"]))
    with pytest.raises(selection.EmptyShardError, match=r"3/3 of 12 cases is empty: .*whole curves of which it has 2"):
        shard(3, 3, found)
