"""Sustained load: a few chosen cases load the device for seconds, apart from timing, while its state is read."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, Refused, Sustain
from harness.runner import budget
from harness.runner.steps import fitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.policy import TelemetryPolicy
    from harness.records import Case, PlannedCase
    from harness.runner.state import RunState


def load_for_long(state: RunState) -> None:
    """Load the device for seconds with a few chosen cases, apart from timing, and keep its state meanwhile."""
    policy = state.policy.telemetry
    chosen = choose(state.open, policy=policy)
    seconds = budget.pass_seconds(state.plan.device, policy)
    wait = budget.wait_seconds(state.plan.device, policy)
    room = fitting.room_for_extras(state, is_asked=state.limits.sustain)
    wanted = [planned for planned in state.open if planned.case.id in chosen]
    until = state.time.spent + room
    # As far as can be told before: only the first is sure not to wait for the device to cool.
    foreseen = len(wanted) if math.isinf(room) else max(0, min(len(wanted), int(room / seconds)))
    state.progress.phase_begun("sustained load", cost=seconds * foreseen, cases=foreseen)
    for number, planned in enumerate(wanted):
        if state.time.spent + seconds + (wait if number else 0.0) > until:
            state.say_left_out("sustained load", [left.case for left in wanted[number:]])
            # The bar ends where it began.
            for left in wanted[number:foreseen]:
                state.progress.done(left.case, cost=seconds)
            break
        case = planned.case
        request = Sustain(case=case, seed=state.seed(case, visit=1), call_seconds=_timed_seconds(state, case))
        answer = state.supervisor.ask(request, seconds=state.timeout(planned) + seconds + wait)
        if isinstance(answer, Failed | Refused):
            state.progress.failed(state.refused(case, answer), cost=seconds)
            continue
        state.time.calls += answer.calls_seconds
        state.telemetry[case.id] = answer.telemetry.model_copy(update={"chosen": chosen[case.id]})
        state.progress.done(case, cost=seconds)


def _timed_seconds(state: RunState, case: Case) -> float:
    """Return the median of a case's timed samples, which burst throughput follows from."""
    return statistics.median(sample for visit in state.timed[case.id] for sample in visit.samples)


def choose(cases: Iterable[PlannedCase], *, policy: TelemetryPolicy) -> dict[str, str]:
    """Choose the cases of the sustained pass, by id with the reason; a few points per implementation.

    Of its forward cases with hot caches, those with a call short enough that many fit the window, the one with most
    operations, then the one in the middle.
    """
    by_implementation: dict[str, list[PlannedCase]] = {}
    for planned in cases:
        case = planned.case
        if planned.skip is None and planned.predicted and case.direction == "forward" and case.cache == "hot":
            by_implementation.setdefault(f"{case.problem} {case.implementation}", []).append(planned)
    chosen: dict[str, str] = {}
    for of_implementation in by_implementation.values():
        for planned, why in _few_points(of_implementation, policy=policy):
            chosen.setdefault(planned.case.id, why)
    return chosen


def _few_points(cases: Sequence[PlannedCase], *, policy: TelemetryPolicy) -> list[tuple[PlannedCase, str]]:
    short = [planned for planned in cases if _seconds(planned) <= policy.call_seconds_at_most]
    ordered = sorted(short, key=_operations)
    picks = [(min(cases, key=_seconds), "its shortest call")]
    if short:
        picks = [(ordered[-1], "its most operations in a short call"), (ordered[len(ordered) // 2], "its middle point")]
    on_gpu = cases[0].case.device.startswith("cuda")
    return picks[: policy.points_cuda if on_gpu else policy.points_cpu]


def _seconds(planned: PlannedCase) -> float:
    return planned.predicted.seconds if planned.predicted else math.inf


def _operations(planned: PlannedCase) -> int:
    return planned.predicted.operations if planned.predicted else 0
