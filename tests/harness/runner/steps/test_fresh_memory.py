"""What fresh memory costs is measured in turn, on the cases that fault it in; without allocator there is nothing."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from harness.policy import DEFAULT, AllocationPolicy
from harness.protocol.messages import Visit, Visited
from harness.records import Agreement, Case, Counts, Memory, PlannedCase, Preparation, Ran, Round, case_id
from harness.runner.selection import TimeLimits
from harness.runner.steps import fresh_memory
from tests.support.scripted import ScriptedSupervisor
from tests.support.steps import FIRST, LOST, ready

MEBIBYTE = 2**20
POLICY = AllocationPolicy(rounds=5, call_seconds_at_most=0.1, peak_bytes_over=32 * MEBIBYTE)


def planned(implementation: str, n: int, *, direction: str = "forward") -> PlannedCase:
    identity = {
        "problem": "attention",
        "point": {"n": n},
        "dtype": "float32",
        "device": "cpu",
        "direction": direction,
        "cache": "hot",
        "implementation": implementation,
    }
    return PlannedCase(case=Case.model_validate({**identity, "id": case_id(**identity), "scenario": "smoke"}))


def prepared(*, peak: int | None = 64 * MEBIBYTE, seconds: float = 0.01) -> Preparation:
    return Preparation(
        agreement=Agreement(passed=True, checks=[]),
        counts=Counts(operations=1, attended=1, ideal_bytes=1),
        memory=Memory(inputs=0, peak=peak),
        ran=Ran(operators={}),
        call_seconds=seconds,
        warm_up_calls=3,
    )


def visit(*, seconds: float = 0.01, faults: float | None = 0.0, index: int = 0) -> Round:
    return Round(index=index, started=0.0, calls_per_sample=1, samples=[seconds] * 3, faults_per_call=faults)


def chosen(*entries: tuple[PlannedCase, Preparation]) -> list[PlannedCase]:
    return fresh_memory.choose(
        [case for case, _ in entries], prepared={case.case.id: known for case, known in entries}, policy=POLICY
    )


def test_the_case_with_most_memory_of_each_implementation_is_chosen():
    small, large = planned("batched", 1024), planned("batched", 2048)
    other = planned("einsum", 1024)
    found = chosen((small, prepared(peak=40 * MEBIBYTE)), (large, prepared()), (other, prepared()))
    assert found == [large, other]


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(prepared(peak=32 * MEBIBYTE), id="glibc keeps it"),
        pytest.param(prepared(seconds=0.2), id="too long a call"),
        pytest.param(prepared(peak=None), id="peak unknown"),
    ],
)
def test_a_case_with_nothing_to_tell_is_not_chosen(known):
    assert chosen((planned("batched", 2048), known)) == []


def test_only_forward_calls_are_compared():
    assert chosen((planned("batched", 2048, direction="backward"), prepared())) == []


def test_the_ratio_is_of_neighbours_so_that_drift_cancels():
    drift = [1.0, 1.5, 2.0, 2.5, 3.0]
    returned = [visit(seconds=0.02 * factor, faults=100.0) for factor in drift]
    kept = [visit(seconds=0.01 * factor, faults=1.0) for factor in drift]
    found = fresh_memory.conclude(returned, kept, confidence=0.95)
    assert found.ratio == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0)
    assert (found.faults_returned, found.faults_kept, found.rounds) == (100.0, 1.0, 5)
    assert (found.returned, found.kept) == pytest.approx((0.04, 0.02))


def test_one_round_has_a_ratio_and_no_interval():
    found = fresh_memory.conclude([visit(seconds=0.03)], [visit(seconds=0.01)], confidence=0.95)
    assert found.ratio == pytest.approx(3.0)
    assert found.low is None
    assert found.high is None


@pytest.mark.parametrize("changes", [{"keep_memory": False}, {"device": "cuda:0"}])
def test_fresh_memory_is_not_compared_where_no_worker_keeps_its_own(changes):
    state = ready(FIRST, policy=DEFAULT, **changes)
    fresh_memory.compare_fresh_memory(state)
    assert state.supervisor.asked == []


def test_a_case_is_visited_by_both_workers_in_turn_after_a_round_that_does_not_count(monkeypatch):
    order = []

    def answering(name, seconds):
        def visited(request):
            order.append((name, request.index))
            return Visited(round=visit(seconds=seconds, faults=4.0), calls_seconds=1.0)

        return ScriptedSupervisor({Visit: visited})

    policy = DEFAULT.model_copy(update={"allocation": POLICY.model_copy(update={"rounds": 2})})
    case = planned("batched", 2048)
    state = ready(case, policy=policy, limits=TimeLimits(fresh_memory=True))
    state.prepared = {case.case.id: prepared()}
    state.supervisor = answering("kept", 0.01)
    state.supervisor.returning_memory = lambda: nullcontext(answering("returned", 0.03))
    monkeypatch.setattr(fresh_memory.allocator, "why_not", lambda *_: "")
    fresh_memory.compare_fresh_memory(state)
    assert [name for name, _ in order] == ["returned", "kept", "kept", "returned", "returned", "kept"]
    found = state.allocations[case.case.id]
    assert (found.rounds, found.ratio, found.returned, found.kept) == (2, pytest.approx(3.0), 0.03, 0.01)
    assert state.time.calls == 6.0
    assert state.progress.names() == ["phase_begun", "done"]


def test_a_worker_lost_in_the_comparison_costs_the_figure_and_no_case(monkeypatch):
    case = planned("batched", 2048)
    state = ready(case, policy=DEFAULT, limits=TimeLimits(fresh_memory=True))
    state.prepared = {case.case.id: prepared()}
    lost = ScriptedSupervisor({Visit: LOST})
    state.supervisor = lost
    state.supervisor.returning_memory = lambda: nullcontext(lost)
    monkeypatch.setattr(fresh_memory.allocator, "why_not", lambda *_: "")
    fresh_memory.compare_fresh_memory(state)
    assert (state.allocations, state.closed) == ({}, {})
    assert state.progress.events[1] == ("missed", (case.case, "fresh memory", LOST.reason), {"cost": 1.0})


def test_what_the_budget_does_not_hold_is_said_and_no_worker_started(monkeypatch):
    case = planned("batched", 2048)
    state = ready(case, policy=DEFAULT)
    state.prepared = {case.case.id: prepared()}
    monkeypatch.setattr(fresh_memory.allocator, "why_not", lambda *_: "")
    fresh_memory.compare_fresh_memory(state)
    assert state.progress.names() == ["left_out"]
    assert state.left_out[0].startswith("fresh memory: batched ")
    assert state.supervisor.asked == []


def test_page_faults_are_a_mean_over_the_rounds_that_counted_them():
    counted = [visit(faults=2.0), visit(faults=None), visit(faults=4.0)]
    assert fresh_memory.faults(counted) == 3.0
    assert fresh_memory.faults([visit(faults=None)]) == fresh_memory.faults([]) == 0.0


def test_rounds_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="zip"):
        fresh_memory.conclude([visit(), visit()], [visit()], confidence=0.95)
