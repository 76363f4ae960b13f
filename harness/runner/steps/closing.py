"""Closing: what can't run is recorded as such, what was timed is held against the oracle again and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, Recheck, Refused
from harness.records import Record
from harness.results import closing
from harness.results.remembered import remembered
from harness.runner import budget
from harness.stats import stopping

if TYPE_CHECKING:
    from harness.protocol.messages import SecondLook
    from harness.records import Agreement, Case, StopReason
    from harness.runner.state import RunState
    from harness.stats.control import Controlled

# A run may exceed its budget by a twentieth; where the checks would take more, the agreement before timing stands.
OVERRUN = 0.03


def close_skipped(state: RunState) -> None:
    """Record the cases that the plan skips, with its reason."""
    for planned in state.open:
        if planned.skip is not None:
            state.close(Record(case=planned.case, status=planned.skip, reason=planned.reason))


def recheck_and_close(state: RunState) -> None:
    """Hold each timed case against the oracle on inputs it has not seen, and write its record."""
    cases = state.open
    floor = state.canary_floor()
    among = closing.controlled(state.timed, floor=floor)
    device = state.plan.device
    costs = {one.case.id: budget.check_seconds(one.call_seconds, device=device) for one in state.estimates(cases)}
    state.progress.phase_begun("agreement on fresh inputs", cost=sum(costs.values()), cases=len(cases))
    unchecked: list[Case] = []
    for planned in budget.by_point(cases):
        case, cost = planned.case, costs[planned.case.id]
        # A machine that became slower shows it in the rounds.
        pace = max(state.time.preparing.factor, state.time.visiting.factor)
        if state.time.left - pace * cost < budget.report_seconds(len(state.plan.cases)) - OVERRUN * state.time.budget:
            unchecked.append(case)
            state.close(_record(state, case, None, None, floor=floor, among=among))
            state.progress.done(case, cost=cost)
            continue
        request = Recheck(
            case=case,
            seed=state.seed(case, visit=1),
            look_again=_suspected(state, case, floor=floor),
        )
        answer = state.supervisor.ask(request, seconds=state.timeout(planned))
        if isinstance(answer, Failed | Refused):
            state.progress.failed(state.refused(case, answer), cost=cost)
            continue
        state.time.calls += answer.calls_seconds
        state.close(_record(state, case, answer.agreement, answer.second_look, floor=floor, among=among))
        state.progress.done(case, cost=cost)
    if unchecked:
        state.say_left_out("agreement on fresh inputs", unchecked)


def _suspected(state: RunState, case: Case, *, floor: float | None) -> int | None:
    """Return how many calls each block of a case has if its rounds look like those of kept results, else None."""
    rounds = state.timed[case.id]
    is_suspected = remembered(rounds, floor=floor, policy=state.policy.timing, at_least=1)
    return rounds[-1].calls_per_sample if is_suspected else None


def _record(
    state: RunState,
    case: Case,
    recheck: Agreement | None,
    second_look: SecondLook | None,
    *,
    floor: float | None,
    among: Controlled,
) -> Record:
    return closing.close(
        case,
        state.prepared[case.id],
        state.timed[case.id],
        floor=floor,
        among=among,
        policy=state.policy,
        environment=state.environment,
        stop_reason=state.stopped.get(case.id) or _stop_reason(state, case),
        recheck=recheck,
        second_look=second_look,
        telemetry=state.telemetry.get(case.id),
        allocation=state.allocations.get(case.id),
    )


def _stop_reason(state: RunState, case: Case) -> StopReason:
    """Return why the rounds of a case ended that a resumed run found done."""
    return stopping.stop(state.samples(case), policy=state.policy.timing, seconds_left=0.0) or "rounds"
