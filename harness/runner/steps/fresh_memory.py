"""What fresh memory costs a call on a CPU: a few cases where the C library keeps its memory, and gives it back."""

from __future__ import annotations

import math
import os
import statistics
from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, Refused
from harness.records import Allocation
from harness.runner import allocator, budget
from harness.runner.steps import fitting
from harness.runner.steps.rounds import visit_request
from harness.stats.samples import round_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.policy import AllocationPolicy
    from harness.records import PlannedCase, Preparation, Round
    from harness.runner.state import RunState
    from harness.runner.supervisor import Supervisor

# Starting the second worker, which imports torch and the implementations.
WORKER_SECONDS = 5.0


def compare_fresh_memory(state: RunState) -> None:
    """Time a few cases in turn by this worker, which keeps its memory, and by one that doesn't; no median has them.

    A failure here costs the comparison, and no case.
    """
    policy = state.policy.allocation
    if policy.rounds == 0 or not state.plan.keep_memory or allocator.why_not(state.plan.device, os.environ):
        return
    chosen = choose(state.open, prepared=state.prepared, policy=policy)
    if not chosen:
        return
    room = fitting.room_for_extras(state, is_asked=state.limits.fresh_memory)
    cost = budget.fresh_memory_seconds(
        state.estimates(chosen), device=state.plan.device, policy=policy, timing=state.policy.timing
    )
    if cost + WORKER_SECONDS > room:
        state.say_left_out("fresh memory", [planned.case for planned in chosen])
        return
    state.progress.phase_begun("fresh memory", cost=float(len(chosen)), cases=len(chosen))
    with state.supervisor.stages.under("fresh memory"), state.supervisor.returning_memory() as returning:
        for planned in chosen:
            reason = _compare(state, planned, returning)
            if reason:
                state.progress.missed(planned.case, "fresh memory", reason, cost=1.0)
            else:
                state.progress.done(planned.case, cost=1.0)


def _compare(state: RunState, planned: PlannedCase, returning: Supervisor) -> str:
    """Visit a case by both workers in turn; return why that was not possible, empty if it was."""
    returned: list[Round] = []
    kept: list[Round] = []
    # The first round finds the new worker cold.
    for index in range(-1, state.policy.allocation.rounds):
        request = visit_request(state, planned, index=max(0, index), block=state.policy.timing.block_seconds_cpu)
        pair = [(returning, returned), (state.supervisor, kept)]
        for supervisor, visits in pair if index % 2 else reversed(pair):
            answer = supervisor.ask(request, seconds=state.timeout(planned))
            if isinstance(answer, Failed | Refused):
                return answer.reason
            state.time.calls += answer.calls_seconds
            if index >= 0:
                visits.append(answer.round)
    state.allocations[planned.case.id] = conclude(returned, kept, confidence=state.policy.timing.confidence)
    return ""


def choose(
    cases: Iterable[PlannedCase], *, prepared: Mapping[str, Preparation], policy: AllocationPolicy
) -> list[PlannedCase]:
    """Choose for each implementation its forward case with most memory, where that is more than glibc ever keeps.

    Calls longer than the policy's are left out, since each is made often.
    """
    largest: dict[tuple[str, str], PlannedCase] = {}
    for planned in cases:
        case = planned.case
        known = prepared.get(case.id)
        if known is None or case.direction != "forward" or known.call_seconds > policy.call_seconds_at_most:
            continue
        peak = known.memory.peak or 0
        if peak > policy.peak_bytes_over:
            key = (case.problem, case.implementation)
            best = largest.get(key)
            if best is None or peak > (prepared[best.case.id].memory.peak or 0):
                largest[key] = planned
    return list(largest.values())


def conclude(returned: Sequence[Round], kept: Sequence[Round], *, confidence: float) -> Allocation:
    """Compare the rounds of a case under both ways, visited in turn: round i of the one beside round i of the other."""
    pairs = list(zip(returned, kept, strict=True))
    interval = round_interval(
        [[_middle(first) / _middle(second)] for first, second in pairs],
        confidence=confidence,
    )
    medians = [statistics.median(sample for visit in visits for sample in visit.samples) for visits in (returned, kept)]
    return Allocation(
        returned=medians[0],
        kept=medians[1],
        ratio=math.exp(interval[0]) if interval else medians[0] / medians[1],
        low=math.exp(interval[0] - interval[1]) if interval else None,
        high=math.exp(interval[0] + interval[1]) if interval else None,
        faults_returned=faults(returned),
        faults_kept=faults(kept),
        rounds=len(pairs),
    )


def faults(rounds: Sequence[Round]) -> float:
    """Return the mean page faults per call over rounds, 0 if none were counted."""
    known = [visit.faults_per_call for visit in rounds if visit.faults_per_call is not None]
    return statistics.fmean(known) if known else 0.0


def _middle(visit: Round) -> float:
    return statistics.median(visit.samples)
