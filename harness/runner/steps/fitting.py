"""Fitting: what the time budget does not hold is left out and said before anything is measured, in order of worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.runner import budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.cases import Case
    from harness.records import PlannedCase
    from harness.runner.state import RunState


# Predictions can be high by much before anything was held against the clock: at first only what would not fit at this
# share of them is put off. Preparation, cheapest points first, puts off the rest as it learns its pace, and then takes
# up again what there is time for.
HOPE = 0.6
# The share of the room left that is filled again: what was put off may load kernels that nothing loaded so far.
SURE = 0.8


def fit_budget(state: RunState) -> None:
    """Put off the dearest cases if not all can be prepared, visited often enough and checked.

    First to go is what is measured beside time (unless it was asked for), then rounds beyond those that an interval
    needs, cases last.
    """
    cases = state.open
    hope = 1.0 if state.prepared else HOPE
    state.postpone(
        too_dear(state, cases, room=room_for_cases(state), seconds=lambda one: hope * least_seconds(state, one))
    )
    kept = state.estimates(state.open)
    timing = state.policy.timing
    block = budget.shortest_block(state.plan.device, timing)
    a_round = sum(budget.visit_seconds(one, block=block, policy=timing) for one in kept)
    rest = sum(_beside_rounds(state, one) for one in kept)
    rounds = (room_for_cases(state) - rest) / a_round if a_round > 0 else float(timing.rounds_aimed)
    if rounds < timing.rounds_aimed:
        state.progress.rounds_expected(max(needed_rounds(state), int(rounds)), aimed=timing.rounds_aimed)


def needed_rounds(state: RunState) -> int:
    """Return how many rounds an interval needs."""
    return min(state.policy.timing.rounds_needed, state.policy.timing.rounds_at_least)


def least_seconds(state: RunState, one: budget.Estimate) -> float:
    """Return what a case takes at least: preparation, the rounds an interval needs, the check after them."""
    timing = state.policy.timing
    block = budget.shortest_block(state.plan.device, timing)
    left = max(0, needed_rounds(state) - len(state.timed.get(one.case.id, [])))
    visits = budget.rounds_seconds([one], rounds=left, block=block, policy=timing) * state.time.visiting.factor
    return _beside_rounds(state, one) + visits


def _beside_rounds(state: RunState, one: budget.Estimate) -> float:
    preparing = 0.0
    if one.case.id not in state.prepared:
        preparing = budget.preparation_seconds(one.call_seconds, device=state.plan.device)
    return (preparing + budget.check_seconds(one.call_seconds, device=state.plan.device)) * state.time.preparing.factor


def too_dear(
    state: RunState, cases: Sequence[PlannedCase], *, room: float, seconds: Callable[[budget.Estimate], float]
) -> list[Case]:
    """Return the dearest of these cases, without which the rest fits the room; the cheapest point always stays."""
    least = budget.cheapest_point(state.estimates(state.open))
    return [one.case for one in budget.dearest(state.estimates(cases), room=room, seconds=seconds, least=least)]


def shed(
    state: RunState, cases: Sequence[PlannedCase], *, room: float, seconds: Callable[[budget.Estimate], float]
) -> None:
    """Leave out the dearest of these cases, so that the rest fits the room."""
    state.leave_out(too_dear(state, cases, room=room, seconds=seconds))


def fitting_again(state: RunState) -> list[Case]:
    """Return the cheapest of the cases that were put off which the room left holds beside all that is open."""
    needs = {
        one.case.id: least_seconds(state, one) for one in state.estimates([*state.open, *state.postponed.values()])
    }
    room = SURE * (room_for_cases(state) - sum(needs[planned.case.id] for planned in state.open))
    found = []
    for planned in sorted(state.postponed.values(), key=lambda planned: needs[planned.case.id]):
        room -= needs[planned.case.id]
        if room < 0:
            break
        found.append(planned.case)
    return found


def room_for_cases(state: RunState) -> float:
    """Return the seconds left for preparing, visiting and checking cases: the report and what was asked for aside."""
    after = budget.report_seconds(len(state.plan.cases)) + ceilings_seconds(state) + extras(state)
    return state.time.left - after - worker_seconds(state)


def worker_seconds(state: RunState) -> float:
    """Return what workers still take on a GPU: loading kernels for the first case, and a new one for the rounds."""
    if "cuda" not in state.plan.device or state.rounds_done:
        return 0.0
    first = 0.0 if state.prepared else budget.FIRST_CALLS_SECONDS_CUDA
    is_profiled = state.profiled or len(state.prepared) < len(state.open)
    return first + is_profiled * (budget.START_SECONDS + budget.FIRST_CALLS_SECONDS_CUDA)


def ceilings_seconds(state: RunState) -> float:
    """Return what measuring the ceilings again takes at the end."""
    return state.policy.run.ceiling_again_seconds


def room_after_rounds(state: RunState, cases: Sequence[PlannedCase]) -> float:
    """Return the seconds left for rounds of these cases: their checks, the report and what was asked for aside."""
    checks = sum(budget.check_seconds(one.call_seconds, device=state.plan.device) for one in state.estimates(cases))
    return room_for_cases(state) - checks * state.time.preparing.factor


def extras(state: RunState) -> float:
    """Return the seconds kept for sustained load and fresh memory: all where they were asked for, else a small share.

    They come after the rounds, and never take more than they need.
    """
    known = state.estimates(state.open)
    device, policy = state.plan.device, state.policy
    sustained = budget.sustained_seconds(known, device=device, policy=policy.telemetry)
    fresh = budget.fresh_memory_seconds(known, device=device, policy=policy.allocation, timing=policy.timing)
    asked = state.limits.sustain * sustained + state.limits.fresh_memory * fresh
    return max(asked, min(sustained, budget.extras_share(device, policy.run) * state.time.budget))


def room_for_extras(state: RunState, *, is_asked: bool) -> float:
    """Return the seconds that sustained load or fresh memory may take now."""
    if is_asked:
        return float("inf")
    known, device = state.estimates(state.open), state.plan.device
    checks = sum(budget.check_seconds(one.call_seconds, device=device) for one in known)
    closing = checks * state.time.preparing.factor + budget.report_seconds(len(state.plan.cases))
    left = state.time.left - closing - ceilings_seconds(state)
    return min(left, budget.extras_share(state.plan.device, state.policy.run) * state.time.spent)
