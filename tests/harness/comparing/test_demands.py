"""A gate fails on a regression alone, never on a speed-up, and never passes on silence."""

from __future__ import annotations

import pytest

from harness.comparing.compare import compare
from harness.comparing.demands import Demand, DemandError, confirmed, exit_code, judge_demands, parse, policy_for
from harness.policy import ComparisonPolicy
from tests.support.comparisons import MACHINE, case, side

POLICY = ComparisonPolicy()


def gate(base, new, *texts, **machine):
    """Return the exit code of a gate with what it judged."""
    demands = [parse(text) for text in texts]
    changes = compare(side(base), side(new, **machine), policy=policy_for(demands, POLICY))
    judged = judge_demands(changes, demands)
    return exit_code(changes, judged), judged


def two(**known):
    return [case(**known), case("online", **known)]


@pytest.mark.parametrize(
    ("text", "quantity", "share"),
    [
        ("slower:5%", "slower", 0.05),
        ("slower:0.05", "slower", 0.05),
        ("slower", "slower", POLICY.effect_at_least),
        ("memory:1%", "memory", 0.01),
        ("memory", "memory", 0.0),
        ("operations:0%", "operations", 0.0),
        ("disagreed", "disagreed", 0.0),
    ],
)
def test_demands_as_they_are_typed(text, quantity, share):
    assert parse(text) == Demand(quantity=quantity, share=share)


@pytest.mark.parametrize("text", ["slow:5%", "slower:", "slower:-5%", "slower:0%", "disagreed:1%", "faster:5%", ""])
def test_what_is_no_demand_is_refused(text):
    with pytest.raises(DemandError, match="--fail-on"):
        parse(text)


def test_one_regression_fails():
    code, [judged] = gate(two(), [case(seconds=1.3e-3), case("online")], "slower:5%")
    assert code == 1
    assert judged.breaches == [case().case.id]


def test_a_speed_up_does_not():
    assert gate(two(), two(seconds=0.5e-3), "slower:5%")[0] == 0


def test_nothing_changed_is_a_pass_that_says_on_how_many_cases():
    code, [judged] = gate(two(width=0.001), two(width=0.001), "slower:20%")
    assert (code, judged.compared, judged.total, judged.ruled_out, judged.holds) == (0, 2, 2, 2, True)


def test_a_slow_down_within_what_is_allowed_passes():
    assert gate(two(), two(seconds=1.3e-3), "slower:50%")[0] == 0


def test_a_demand_below_the_least_effect_lowers_it():
    base, new = two(width=0.001), two(seconds=1.02e-3, width=0.001)
    sure = {"process_deviation": 1e-6}
    demands = [parse("slower:1%")]
    changes = compare(side(base, **sure), side(new, **sure), policy=policy_for(demands, POLICY))
    assert [one.outcome for one in changes.cases] == ["slower", "slower"]
    assert exit_code(changes, judge_demands(changes, demands)) == 1
    assert policy_for([parse("slower:5%")], POLICY) == POLICY


@pytest.mark.parametrize("new", [[], [case("loop")], [case(point={"n": 128, "d": 64, "heads": 2, "batch": 1})]])
def test_no_overlap_is_5(new):
    code, [judged] = gate(two(), new, "slower:5%")
    assert (code, judged.compared, judged.holds) == (5, 0, None)


def test_nothing_on_either_side_is_5_with_a_demand_or_without():
    assert gate([], [], "slower:5%")[0] == 5
    assert gate([], [])[0] == 5


def test_another_machine_is_5_for_times_and_no_matter_for_bytes():
    other = {"stable": {**MACHINE, "cpu": "Another CPU"}}
    assert gate(two(), two(seconds=9e-3), "slower:5%", **other)[0] == 5
    assert gate(two(), two(seconds=9e-3), "memory:1%", "operations", "disagreed", **other)[0] == 0
    assert gate(two(), two(extra_bytes=4096), "memory:1%", **other)[0] == 1


def test_memory_and_operations_fail_where_they_grow_beyond_the_share():
    assert gate(two(), two(extra_bytes=2060), "memory:1%")[0] == 0
    assert gate(two(), two(extra_bytes=2080), "memory:1%")[0] == 1
    assert gate(two(), two(extra_bytes=0), "memory")[0] == 0
    assert gate(two(extra_bytes=0), two(extra_bytes=1), "memory:50%")[0] == 1
    assert gate(two(), two(operations=1001), "operations")[0] == 1


@pytest.mark.parametrize("status", ["disagreed", "fallback", "invalid"])
def test_a_wrong_answer_is_1_where_asked_for_and_3_where_not(status):
    new = [case(), case("online", status=status, reason="error 3e-2")]
    code, [judged] = gate(two(), new, "disagreed")
    assert (code, judged.breaches) == (1, [case("online").case.id])
    assert gate(two(), new, "slower:5%")[0] == 3
    assert gate(two(), new)[0] == 0


def test_a_wrong_answer_that_was_wrong_before_is_no_news():
    wrong = [case(), case("online", status="disagreed", reason="error 3e-2")]
    assert gate(wrong, wrong, "disagreed")[0] == 0
    assert gate(wrong, wrong, "slower:5%")[0] == 0


@pytest.mark.parametrize("status", ["crashed", "timeout", "oom"])
def test_a_case_that_no_longer_runs_is_4(status):
    lost = [case(), case("online", status=status, reason="gone")]
    assert gate(two(), lost, "slower:5%")[0] == 4
    assert gate(lost, lost, "slower:5%")[0] == 0


def test_part_that_compares_is_judged_and_the_rest_counted():
    code, [judged] = gate([case(), case("online")], [case()], "slower:5%")
    assert (code, judged.compared, judged.total) == (0, 1, 2)


def test_one_demand_without_anything_to_judge_is_5_whatever_others_say():
    base = [case(extra_bytes=None)]
    code, judged = gate(base, [case(extra_bytes=None)], "slower:5%", "memory:1%")
    assert (code, [one.holds for one in judged]) == (5, [True, None])


def test_only_what_repeats_stays_a_breach():
    base, new = two(), two(seconds=1.3e-3)
    _, judged = gate(base, new, "slower:5%", "memory")
    again = compare(side(base), side([case(seconds=1.3e-3), case("online")]), policy=POLICY)
    [slower, memory] = confirmed(judged, again)
    assert slower.breaches == [case().case.id]
    assert slower.cleared == [case("online").case.id]
    assert memory == judged[1]


def test_what_could_not_be_measured_again_stays_a_breach():
    base, new = two(), two(seconds=1.3e-3)
    _, judged = gate(base, new, "slower:5%")
    again = compare(side(base), side([case(seconds=1.3e-3)]), policy=POLICY)
    assert len(confirmed(judged, again)[0].breaches) == 2
