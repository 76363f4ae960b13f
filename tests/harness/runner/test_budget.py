"""What a run costs is known before: blocks grow where there is room, and what follows the rounds is kept free."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT, FAST
from harness.records import PlannedCase, Prediction
from harness.runner import budget
from harness.runner.budget import Estimate, TimeAccount
from tests.harness.results.test_closing import prepared
from tests.support.runs import ok_case

TIMING = DEFAULT.timing


def planned(implementation="batched", *, seconds=0.01, **point):
    predicted = Prediction(operations=1, extra_bytes=0, resident_bytes=0, seconds=seconds)
    return PlannedCase(case=ok_case(implementation, **point), predicted=predicted)


def known(call_seconds, implementation="batched", **point):
    return Estimate(ok_case(implementation, **point), call_seconds)


def test_what_was_measured_takes_the_place_of_what_was_predicted():
    case = planned(seconds=5.0)
    assert budget.estimate(case, {}).call_seconds == 5.0
    measured = {case.case.id: prepared()}
    assert budget.estimate(case, measured).call_seconds == prepared().call_seconds
    assert budget.estimate(PlannedCase(case=case.case), {}).call_seconds == 0.0


def test_time_left_is_the_budget_less_what_has_passed(monkeypatch):
    now = [145.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    account = TimeAccount(60.0, started=100.0)
    assert account.left == 15.0


def test_a_slow_case_gets_a_longer_deadline_and_a_quick_one_the_least():
    assert budget.timeout(1e-3, policy=DEFAULT) == DEFAULT.run.timeout_at_least
    calls = budget.PREPARATION_CALLS + TIMING.blocks_per_round
    assert budget.timeout(10.0, policy=DEFAULT) == pytest.approx(DEFAULT.run.timeout_factor * calls * 10.0)


def test_a_visit_takes_a_call_and_its_blocks():
    quick = budget.visit_seconds(known(1e-4), block=0.005, policy=TIMING)
    assert quick == pytest.approx(1e-4 + TIMING.blocks_per_round * 0.005 + budget.VISIT_SECONDS)
    # A slow call is sampled once a round.
    slow = budget.visit_seconds(known(1.0), block=0.005, policy=TIMING)
    assert slow == pytest.approx(2.0 + budget.VISIT_SECONDS)


def test_sustained_load_is_paid_for_by_implementation_and_not_by_case():
    cases = [known(0.01, n=64), known(0.01, n=128), known(0.01, "einsum", n=64)]
    policy = DEFAULT.telemetry
    once = budget.pass_seconds("cpu", policy)
    assert budget.sustained_seconds(cases, device="cpu", policy=policy) == pytest.approx(2 * policy.points_cpu * once)
    on_gpu = budget.sustained_seconds(cases, device="cuda:0", policy=policy)
    # A warm GPU may be waited for before each pass.
    one = budget.pass_seconds("cuda:0", policy) + policy.cool_down_at_most
    assert on_gpu == pytest.approx(2 * policy.points_cuda * one)


def test_fresh_memory_costs_nothing_where_it_is_not_compared():
    cases = [known(0.01)]
    assert budget.fresh_memory_seconds(cases, device="cuda:0", policy=DEFAULT.allocation, timing=TIMING) == 0.0
    assert budget.fresh_memory_seconds(cases, device="cpu", policy=FAST.allocation, timing=TIMING) == 0.0
    too_long = [known(DEFAULT.allocation.call_seconds_at_most * 2)]
    assert budget.fresh_memory_seconds(too_long, device="cpu", policy=DEFAULT.allocation, timing=TIMING) == 0.0


def test_fresh_memory_is_compared_on_the_longest_call_of_each_implementation():
    one = budget.fresh_memory_seconds([known(0.05)], device="cpu", policy=DEFAULT.allocation, timing=TIMING)
    more = [known(0.05, n=64), known(0.01, n=32)]
    assert one == budget.fresh_memory_seconds(more, device="cpu", policy=DEFAULT.allocation, timing=TIMING)
    visits = 2 * (DEFAULT.allocation.rounds + 1)
    assert one == pytest.approx(visits * (0.05 + TIMING.blocks_per_round * 0.05))


def test_the_dearest_cases_are_left_out_until_the_rest_fits_and_the_cheapest_point_stays():
    cases = [known(0.01, n=64), known(0.02, "einsum", n=64), known(1.0, n=512), known(9.0, "einsum", n=512)]

    def left_out(room):
        dear = budget.dearest(cases, room=room, seconds=lambda one: one.call_seconds)
        return [one.call_seconds for one in dear]

    assert left_out(20.0) == []
    assert left_out(2.0) == [9.0]
    assert left_out(0.5) == [9.0, 1.0]
    assert left_out(-1.0) == [9.0, 1.0]
    assert budget.dearest([], room=1.0, seconds=lambda one: one.call_seconds) == []


def test_a_pace_learns_how_predictions_stand_against_the_clock():
    pace = budget.Pace()
    assert pace.factor == 1.0
    pace.learn(predicted=10.0, taken=20.0)
    assert 1.9 < pace.factor < 2.0


@pytest.mark.parametrize("room", [0.0, 1.0, 3.0, 1e6])
def test_blocks_grow_until_the_rounds_would_no_longer_fit(room):
    cases = [known(1e-4, n=64), known(1e-4, n=128)]
    room = min(room, TIMING.case_seconds * len(cases))
    block = budget.block_seconds(cases, rounds=10, room=room, device="cpu", policy=TIMING)
    least, most = TIMING.block_seconds_cpu, budget.BLOCK_GROWTH_AT_MOST * TIMING.block_seconds_cpu
    assert least <= block <= most * (1 + 1e-9)

    def cost(of_block):
        return 10 * sum(budget.visit_seconds(one, block=of_block, policy=TIMING) for one in cases)

    step = (most - least) / budget.BLOCK_STEPS
    assert block == least or cost(block) <= room
    assert block == pytest.approx(most) or cost(block + step) > room


def test_the_points_come_cheapest_first_with_their_implementations_together():
    cases = [planned("batched", seconds=9.0, n=512), planned("einsum", seconds=1.0, n=64)]
    cases += [planned("einsum", seconds=2.0, n=512), planned("batched", seconds=1.5, n=64)]
    ordered = budget.by_point(cases)
    assert [case.case.point["n"] for case in ordered] == [64, 64, 512, 512]
    assert sorted(ordered, key=cases.index) == cases


def test_shards_are_weighed_alike_on_fast_and_slow_machines_and_by_what_no_machine_of_the_kind_runs():
    def weight(one):
        return budget.nominal_seconds(one, device="cpu", policy=DEFAULT)

    slow, quick = planned(seconds=5.0), planned(seconds=0.001)
    assert weight(slow) == weight(quick) > 0.0
    assert weight(slow.model_copy(update={"skip": "predicted_oom", "reason": "too little memory here"})) == weight(slow)
    assert weight(slow.model_copy(update={"skip": "unsupported", "reason": "takes float16"})) == 0.0
    dear = Prediction(operations=10**18, extra_bytes=0, resident_bytes=0, seconds=1.0)
    assert weight(PlannedCase(case=slow.case, predicted=dear)) == DEFAULT.run.time_budget_cpu


def test_a_case_of_a_longer_call_takes_more_of_a_run():
    costs = [budget.case_seconds(known(call), device="cpu", policy=DEFAULT) for call in (1e-4, 1e-2, 1.0)]
    assert costs == sorted(costs)
    assert costs[2] > 6 * 1.0
