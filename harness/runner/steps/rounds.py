"""Rounds: every open case is visited once per round in shuffled order, until it is precise or time is up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, Refused, Replay, Replays, Visit
from harness.runner import budget, replays
from harness.stats import blocks, stopping

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from harness.records import PlannedCase, Round, StopReason
    from harness.runner.state import RunState


def take_rounds(state: RunState) -> None:
    """Visit every open case round by round until each is done, and note why each ended."""
    active = [planned for planned in state.open if _stop(state, planned) is None]
    if active:
        leave_profiled_worker(state)
    known = state.estimates(active)
    reserve = budget.seconds_after_rounds(known, device=state.plan.device, policy=state.policy)
    warn_of_time(state, known, reserve=reserve)
    block = budget.block_seconds(
        known,
        rounds=max(1, state.policy.timing.rounds_aimed - state.rounds_done),
        room=state.time.left - reserve,
        device=state.plan.device,
        policy=state.policy.timing,
    )
    while active:
        cost = _take_round(state, active, block=block)
        # A round that would not fit is not begun; its cost is what this one's was predicted to be.
        left = state.time.left - reserve - cost
        active = [planned for planned in active if planned.case.id not in state.closed]
        reasons = {planned.case.id: _stop(state, planned, seconds_left=left) for planned in active}
        state.stopped |= {identity: reason for identity, reason in reasons.items() if reason is not None}
        active = [planned for planned in active if reasons[planned.case.id] is None]


def warn_of_time(state: RunState, known: Sequence[budget.Estimate], *, reserve: float) -> None:
    """Say before the rounds that those which an interval needs will not fit the time that is left."""
    timing, left = state.policy.timing, state.time.left
    block = timing.block_seconds_cuda if "cuda" in state.plan.device else timing.block_seconds_cpu
    least = budget.rounds_seconds(known, rounds=timing.rounds_at_least, block=block, policy=timing) + reserve
    if known and least > left:
        state.warnings.append(
            f"{timing.rounds_at_least} rounds of {len(known)} cases and what follows them take about {least:.0f} s; "
            f"{max(0.0, left):.0f} s are left of the time budget, and the run will be longer."
        )


def leave_profiled_worker(state: RunState) -> None:
    """Begin a new worker on CUDA: one that has profiled a call launches 10 to 20 % slower ever after.

    The profiler's callbacks stay (pytorch issues 146604 and 144455), and taking them out is not safe (kineto 1554).
    """
    if state.profiled and state.plan.device.startswith("cuda"):
        state.supervisor.drop()
    state.profiled = False


def _stop(state: RunState, planned: PlannedCase, *, seconds_left: float = math.inf) -> StopReason | None:
    return stopping.stop(state.samples(planned.case), policy=state.policy.timing, seconds_left=seconds_left)


def _take_round(state: RunState, active: Sequence[PlannedCase], *, block: float) -> float:
    """Visit each active case once; return the seconds that this was predicted to take."""
    timing = state.policy.timing
    costs = {one.case.id: budget.visit_seconds(one, block=block, policy=timing) for one in state.estimates(active)}
    total = sum(costs.values())
    state.progress.round_begun(state.rounds_done + 1, cost=total, cases=len(active))
    _begin_process(state)
    for planned in shuffled(active, state.random):
        _visit(state, planned, block=block, cost=costs[planned.case.id])
    state.rounds_done += 1
    return total


def _begin_process(state: RunState) -> None:
    """Begin a new worker process if the policy spreads rounds over several."""
    timing = state.policy.timing
    index, processes = state.rounds_done, timing.processes
    if processes > 1 and index and index % -(-timing.rounds_at_least // processes) == 0:
        state.supervisor.drop()
        state.process += 1


def shuffled(cases: Sequence[PlannedCase], chance: random.Random) -> list[PlannedCase]:
    """Shuffle the points, and the implementations within each; those of a point stay adjacent."""
    groups: dict[str, list[PlannedCase]] = {}
    for planned in cases:
        groups.setdefault(planned.case.point_key, []).append(planned)
    order = list(groups.values())
    chance.shuffle(order)
    for group in order:
        chance.shuffle(group)
    return [planned for group in order for planned in group]


def _visit(state: RunState, planned: PlannedCase, *, block: float, cost: float) -> None:
    case = planned.case
    request = visit_request(state, planned, index=state.rounds_done, block=block)
    answer = state.supervisor.ask(request, seconds=state.timeout(planned))
    if isinstance(answer, Failed | Refused):
        state.progress.failed(state.refused(case, answer), cost=cost)
        return
    state.time.calls += answer.calls_seconds
    visited = with_graph(state, planned, answer.round, request)
    state.journal.append_round(case.id, visited)
    state.timed.setdefault(case.id, []).append(visited)
    state.progress.done(case, cost=cost)


def visit_request(state: RunState, planned: PlannedCase, *, index: int, block: float) -> Visit:
    """Return the request of one visit: blocks of about so many seconds, slow calls one by one."""
    case, timing = planned.case, state.policy.timing
    seconds = state.prepared[case.id].call_seconds
    calls = 1
    if seconds < timing.slow_call_seconds:
        calls = blocks.calls_per_block(seconds, target=block, at_most=timing.calls_per_block_at_most)
    return Visit(
        case=case,
        seed=state.seed(case, visit=2 + index),
        calls=calls,
        blocks=blocks.blocks_for(seconds, policy=timing),
        launches=state.prepared[case.id].ran.launches,
        index=index,
        process=state.process,
    )


def with_graph(state: RunState, planned: PlannedCase, visited: Round, request: Visit) -> Round:
    """Add replays of a CUDA graph to a visit that calls for them; a worker lost there costs the figure alone."""
    case = planned.case
    known = state.estimate(planned)
    if not replays.is_wanted(case, [*state.timed.get(case.id, []), visited], policy=state.policy.timing):
        return visited
    if reason := replays.too_many_kernels(known.launches, policy=state.policy.timing):
        return replays.with_replays(visited, Replays(reason=reason))
    key = (case.problem, case.implementation)
    if key in state.uncaptured:
        return replays.with_replays(visited, Replays(reason=state.uncaptured[key]))
    replay = Replay(
        case=case,
        seed=request.seed,
        blocks=request.blocks,
        call_seconds=known.call_seconds,
        launches=known.launches,
    )
    answer = state.supervisor.ask(replay, seconds=state.timeout(planned))
    if isinstance(answer, Failed | Refused):
        return replays.with_replays(visited, Replays(reason=f"{answer.status}, {answer.reason}"))
    state.time.calls += answer.calls_seconds
    if answer.capture_failed:
        state.uncaptured[key] = answer.graph.reason
        state.supervisor.drop()
    return replays.with_replays(visited, answer.graph)
