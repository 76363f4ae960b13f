"""Rounds: every case is visited until an interval has what it needs, then those that a visit improves most."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, Refused, Replay, Replays, Visit
from harness.results import device_lock
from harness.runner import budget, replays
from harness.runner.steps import fitting
from harness.stats import allocation, blocks, stopping

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from harness.records import PlannedCase, Round, StopReason
    from harness.runner.state import RunState

# A visit is taken to cost this many seconds at least, so that none is free.
VISIT_SECONDS_AT_LEAST = 1e-6


@dataclass
class Course:
    """Which cases the next rounds visit: each case's share of them, and how many there are; all cases, if none."""

    shares: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    number: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether its rounds are taken."""
        return self.number >= self.rounds

    def due(self, active: Sequence[PlannedCase]) -> list[PlannedCase]:
        """Return the cases of the next round, and go on to the one after it."""
        number, self.number = self.number, self.number + 1
        return [one for one in active if allocation.is_due(number, share=self.shares.get(one.case.id, 0.0))]


def take_rounds(state: RunState) -> None:
    """Visit the open cases round by round until each is done, and note why each ended.

    All are visited `rounds_at_least` times. From then on rounds are planned from look to look, so that what time is
    left goes where it narrows intervals most for what it costs.
    """
    active = [planned for planned in state.open if _stop(state, planned) is None]
    if active:
        leave_profiled_worker(state)
    fitting.shed(
        state,
        active,
        room=fitting.room_for_cases(state),
        seconds=lambda one: fitting.least_seconds(state, one),
    )
    active = _still(state, active)
    timing = state.policy.timing
    block = budget.block_seconds(
        state.estimates(active),
        rounds=max(1, timing.rounds_aimed - state.rounds_done),
        room=fitting.room_after_rounds(state, state.open) / state.time.visiting.factor,
        device=state.plan.device,
        policy=timing,
    )
    course = Course()
    while active:
        young = [planned for planned in active if _count(state, planned) < timing.rounds_at_least]
        if not young and (course.is_over or state.rounds_done in timing.looks):
            course = _course(state, active, block=block)
        due = young or course.due(active)
        if not due and course.rounds:
            continue
        costs = {planned.case.id: visit_cost(state, planned, block=block) for planned in due}
        due = _within(state, due, costs)
        if not due:
            state.stopped |= {planned.case.id: "time budget" for planned in active}
            break
        _take_round(state, due, block=block, costs=costs)
        active = _still(state, active)
        reasons = {planned.case.id: _stop(state, planned) for planned in active}
        state.stopped |= {identity: reason for identity, reason in reasons.items() if reason is not None}
        active = [planned for planned in active if reasons[planned.case.id] is None]
    state.leave_out([planned.case for planned in state.open if not state.timed.get(planned.case.id)])


def _still(state: RunState, cases: Sequence[PlannedCase]) -> list[PlannedCase]:
    return [planned for planned in cases if planned.case.id not in state.closed]


def leave_profiled_worker(state: RunState) -> None:
    """Begin a new worker on CUDA: one that has profiled a call launches 10 to 20 % slower ever after.

    The profiler's callbacks stay (pytorch issues 146604 and 144455), and taking them out is not safe (kineto 1554).
    """
    if state.profiled and state.plan.device.startswith("cuda"):
        state.supervisor.drop()
    state.profiled = False


def _count(state: RunState, planned: PlannedCase) -> int:
    return len(state.timed.get(planned.case.id, []))


def _stop(state: RunState, planned: PlannedCase) -> StopReason | None:
    return stopping.stop(state.samples(planned.case), policy=state.policy.timing)


def visit_cost(state: RunState, planned: PlannedCase, *, block: float) -> float:
    """Return what a visit takes: what those before it took and a graph if one is due, else what is predicted."""
    known, one, timing = state.visit_seconds.get(planned.case.id), state.estimate(planned), state.policy.timing
    if known is None:
        return budget.visit_seconds(one, block=block, policy=timing) * state.time.visiting.factor
    graph = 0.0 if one.has_graph else budget.graph_seconds(one, block=block, policy=timing)
    return max(VISIT_SECONDS_AT_LEAST, statistics.median(known) + graph * state.time.visiting.factor)


def _course(state: RunState, active: Sequence[PlannedCase], *, block: float) -> Course:
    """Plan rounds: visits where intervals are widest for what a visit costs, those of a case spread evenly."""
    timing = state.policy.timing
    scatters = allocation.scatters([state.samples(planned.case) for planned in active], policy=timing)
    demands = [
        allocation.Demand(
            done=_count(state, planned),
            scatter=max(scatter, timing.precision / 2),
            cost=visit_cost(state, planned, block=block),
        )
        for planned, scatter in zip(active, scatters, strict=True)
    ]
    room = max(0.0, fitting.room_after_rounds(state, state.open))
    wanted = allocation.visits(demands, seconds=room, policy=timing)
    more = [count - demand.done for count, demand in zip(wanted, demands, strict=True)]
    rounds = max(more)
    shares = {planned.case.id: count / rounds for planned, count in zip(active, more, strict=True) if count}
    return Course(shares=shares, rounds=rounds)


def _within(state: RunState, due: Sequence[PlannedCase], costs: dict[str, float]) -> list[PlannedCase]:
    """Return the cases of a round that the time left holds: all, or of a first round those that are dearest not.

    The cheapest point of the run has the rounds that an interval needs in any case.
    """
    room = fitting.room_after_rounds(state, state.open)
    if sum(costs.values()) <= room:
        return list(due)
    needed = fitting.needed_rounds(state)
    due = [planned for planned in due if _count(state, planned) < needed]
    if room <= 0.0:
        least = budget.cheapest_point(state.estimates(state.open))
        return [planned for planned in due if planned.case.point_key == least]
    dear = budget.dearest(state.estimates(due), room=room, seconds=lambda one: costs[one.case.id])
    left_out = {one.case.id for one in dear}
    return [planned for planned in due if planned.case.id not in left_out]


def _take_round(state: RunState, due: Sequence[PlannedCase], *, block: float, costs: dict[str, float]) -> None:
    """Visit each case of a round once, the implementations of a point one after the other."""
    state.progress.round_begun(state.rounds_done + 1, cost=sum(costs[one.case.id] for one in due), cases=len(due))
    _begin_process(state)
    state.neighbours = device_lock.neighbours(device_lock.folders())
    reserve = state.time.left - fitting.room_after_rounds(state, state.open)
    least, needed = budget.cheapest_point(state.estimates(state.open)), fitting.needed_rounds(state)
    for planned in shuffled(due, state.random):
        # A machine that became slower meanwhile would take the time of the checks.
        count = _count(state, planned)
        if state.time.left < reserve and count and (planned.case.point_key != least or count >= needed):
            continue
        request = visit_request(state, planned, index=state.rounds_done, block=block)
        visit(state, planned, request, block=block, cost=costs[planned.case.id])
    state.rounds_done += 1


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


def visit(state: RunState, planned: PlannedCase, request: Visit, *, block: float, cost: float) -> None:
    """Visit a case once, its graph included where one is due, and keep what came of it."""
    case = planned.case
    begun = time.monotonic()
    answer = state.supervisor.ask(request, seconds=state.timeout(planned))
    if isinstance(answer, Failed | Refused):
        state.progress.failed(state.refused(case, answer), cost=cost)
        return
    state.time.calls += answer.calls_seconds
    state.time.timed += answer.round.calls_per_sample * sum(answer.round.samples)
    # A graph is timed in the first rounds only, and is no part of what a later visit takes.
    bare = time.monotonic() - begun
    visited = with_graph(state, planned, answer.round, request)
    visited = visited.model_copy(update={"neighbours": state.neighbours})
    taken = time.monotonic() - begun
    predicted = budget.visit_seconds(state.estimate(planned), block=block, policy=state.policy.timing)
    state.time.visiting.learn(predicted=predicted, taken=taken)
    state.visit_seconds.setdefault(case.id, []).append(bare)
    state.journal.append_round(case.id, visited)
    state.timed.setdefault(case.id, []).append(visited)
    state.progress.done(case, cost=cost)
    run = state.policy.run
    if state.watch.hear(visited.canary, policy=run):
        state.watch.wait(state.supervisor, policy=run, budget=state.time.budget, progress=state.progress)


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
