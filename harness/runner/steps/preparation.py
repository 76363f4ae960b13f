"""Preparation: each case is held against the oracle and learnt about, each implementation's operations are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.protocol.messages import Count, Failed, Prepare, Refused
from harness.records import SKIPPED
from harness.runner import budget
from harness.runner.state import degrees_key
from harness.runner.steps import fitting

if TYPE_CHECKING:
    from harness.records import PlannedCase
    from harness.runner.state import RunState

# The budget is looked at after so many cases, and after each that takes long.
LOOK_EVERY = 8
LONG_SECONDS = 0.5


def prepare_cases(state: RunState) -> None:
    """Prepare every case that is open and has not been prepared before, then those put off that there is time for.

    Predictions are low or high by much until some cases were prepared: only then it is known what the budget holds.
    """
    _prepare_open(state)
    while cases := fitting.fitting_again(state):
        state.bring_back(cases)
        _prepare_open(state)
    state.give_up_postponed()


def _prepare_open(state: RunState) -> None:
    """Prepare what is open and was not, cheapest points first."""
    cases = [planned for planned in state.open if planned.case.id not in state.prepared]
    costs = {
        planned.case.id: budget.preparation_seconds(state.estimate(planned).call_seconds, device=state.plan.device)
        for planned in cases
    }
    state.progress.phase_begun("agreement", cost=sum(costs.values()), cases=len(cases))
    loaded: set[tuple[str, str, str]] = set()
    for number, planned in enumerate(budget.by_point(cases)):
        if planned.case.id in state.closed or planned.case.id in state.postponed:
            continue
        before, cost = state.time.spent, costs[planned.case.id]
        _prepare(state, planned, cost=cost)
        # The first case of an implementation in a dtype loads its kernels, on a GPU for seconds: that is no pace.
        kind = (planned.case.problem, planned.case.implementation, planned.case.dtype)
        if kind in loaded:
            state.time.preparing.learn(predicted=cost, taken=state.time.spent - before)
        loaded.add(kind)
        if number % LOOK_EVERY == 0 or cost > LONG_SECONDS:
            _keep_to_budget(state)


def _keep_to_budget(state: RunState) -> None:
    """Put off what turns out not to fit, of those that are not prepared yet."""
    room = fitting.room_for_cases(state)
    needs = {one.case.id: fitting.least_seconds(state, one) for one in state.estimates(state.open)}
    if sum(needs.values()) <= room:
        return
    later = [planned for planned in state.open if planned.case.id not in state.prepared]
    done = sum(needs[planned.case.id] for planned in state.open if planned.case.id in state.prepared)
    state.postpone(fitting.too_dear(state, later, room=room - done, seconds=lambda one: needs[one.case.id]))


def _prepare(state: RunState, planned: PlannedCase, *, cost: float) -> None:
    case = planned.case
    request = Prepare(
        case=case,
        seed=state.seed(case, visit=0),
        predicted_bytes=planned.predicted.extra_bytes if planned.predicted else None,
    )
    state.profiled = True
    answer = state.supervisor.ask(request, seconds=state.timeout(planned))
    if isinstance(answer, Failed | Refused):
        state.progress.failed(state.refused(case, answer), cost=cost)
        return
    state.time.calls += answer.calls_seconds
    state.journal.append_prepared(case.id, answer.prepared)
    state.prepared[case.id] = answer.prepared
    state.progress.prepared(case, answer.prepared, cost=cost)


def count_operations(state: RunState) -> None:
    """Count the operations of each implementation that answered so far, once.

    A failure here leaves the law declared, and costs no case.
    """
    failing = {degrees_key(record.case) for record in state.closed.values() if record.status not in SKIPPED | {"ok"}}
    wanted = {
        degrees_key(planned.case): planned.case
        for planned in state.plan.cases
        if planned.case.id in state.prepared and degrees_key(planned.case) not in state.degrees.keys() | failing
    }
    state.progress.phase_begun("counting operations", cost=float(len(wanted)), cases=len(wanted))
    for key, case in wanted.items():
        request = Count(
            problem=case.problem, implementation=case.implementation, dtype=case.dtype, direction=case.direction
        )
        seconds = state.limits.timeout or state.policy.run.timeout_at_least
        answer = state.supervisor.ask(request, seconds=seconds)
        if isinstance(answer, Failed | Refused):
            state.progress.missed(case, "operations", answer.reason, cost=1.0)
            continue
        state.journal.append_facts(key, answer.degrees.model_dump())
        state.degrees[key] = answer.degrees
        state.progress.done(case, cost=1.0)
