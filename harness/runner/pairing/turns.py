"""Rounds of both sides in turn: every case is visited by one side, then by the other, first this one, then that one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.runner import budget
from harness.runner.steps import fitting
from harness.runner.steps.rounds import leave_profiled_worker, shuffled, visit, visit_cost, visit_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.policy import TimingPolicy
    from harness.protocol.messages import Visit
    from harness.records import PlannedCase
    from harness.runner.state import RunState


# Blocks are at most so many times the shortest.
BLOCK_GROWTH_AT_MOST = 3.0


@dataclass(frozen=True)
class Pair:
    """The states of both sides under way, the base first. They share their time, and each has half of what is left."""

    base: RunState
    new: RunState

    @property
    def states(self) -> tuple[RunState, RunState]:
        """Return both states."""
        return self.base, self.new

    def level(self) -> None:
        """Leave out of each side what the time budget made the other leave out: its time would have no partner."""
        for here, there in ((self.base, self.new), (self.new, self.base)):
            lost = {name for name, record in here.closed.items() if record.status == "over_budget"}
            there.leave_out([planned.case for planned in there.open if planned.case.id in lost])


@dataclass(frozen=True)
class Schedule:
    """How many processes of each side take part one after the other, and how many rounds each of them has."""

    processes: int
    rounds: int


def take_turns(pair: Pair) -> None:
    """Visit every case round by round, both sides of it one right after the other, until the rounds or the time end.

    A side that stands alone (the other has not this case, or failed at it) has the rounds that an interval needs.
    """
    for state in pair.states:
        leave_profiled_worker(state)
        room, cases = fitting.room_for_cases(state), state.open
        fitting.shed(state, cases, room=room, seconds=lambda one, state=state: fitting.least_seconds(state, one))  # type: ignore[misc]
    pair.level()
    if not any(state.open for state in pair.states):
        return
    timing = pair.base.policy.timing
    block = min(_block(state) for state in pair.states if state.open)
    reserve = sum(state.time.left - fitting.room_after_rounds(state, state.open) for state in pair.states)
    plan = schedule(
        2 * pair.base.time.left - reserve, a_round=_round_cost(pair, block), restart=_restart(pair), timing=timing
    )
    for process in range(plan.processes):
        _begin_processes(pair, process)
        for _ in range(plan.rounds):
            cost = _round_cost(pair, block)
            is_needed = pair.base.rounds_done < timing.rounds_needed and _has_cheapest_alone(pair)
            if not is_needed and 2 * pair.base.time.left - reserve < cost:
                _end(pair, "time budget")
                return
            _take_round(pair, block=block, cost=cost)
    _end(pair, "rounds")


def schedule(room: float, *, a_round: float, restart: float, timing: TimingPolicy) -> Schedule:
    """Spread the rounds that are aimed at, or that fit the room in seconds, over as many processes as can have some.

    Each process has an even number of rounds, so that each side goes first as often as the other: two at least.
    """
    for processes in range(timing.processes, 0, -1):
        aimed = _even(math.ceil(timing.rounds_aimed / processes), up=True)
        fit = _even(int((room - processes * restart) / (processes * max(a_round, 1e-6))), up=False)
        rounds = min(aimed, fit)
        if rounds > 0 and rounds * processes >= timing.rounds_needed:
            return Schedule(processes, rounds)
    return Schedule(1, _even(timing.rounds_needed, up=True))


def _even(count: int, *, up: bool) -> int:
    return max(0, count + count % 2 if up else count - count % 2)


def _has_cheapest_alone(pair: Pair) -> bool:
    """Tell whether only one point is left, which is visited whatever it costs: a pair without a case says nothing."""
    return len({planned.case.point_key for state in pair.states for planned in state.open}) <= 1


def _block(state: RunState) -> float:
    """Return how long blocks are: the smallest of a few counts, and what longer ones take is time for further pairs."""
    timing, device = state.policy.timing, state.plan.device
    longest = BLOCK_GROWTH_AT_MOST * budget.shortest_block(device, timing)
    found = budget.block_seconds(
        state.estimates(state.open),
        rounds=timing.rounds_aimed,
        room=fitting.room_after_rounds(state, state.open) / state.time.visiting.factor,
        device=device,
        policy=timing,
    )
    return min(longest, found)


def _restart(pair: Pair) -> float:
    """Return what new workers of both sides take, which start at the same time, in seconds, as those before did."""
    known = max(
        state.supervisor.stages.seconds["starting workers"] / max(1, state.supervisor.started_workers)
        for state in pair.states
    )
    return known + 2 * ("cuda" in pair.base.plan.device) * budget.FIRST_CALLS_SECONDS_CUDA


def _begin_processes(pair: Pair, process: int) -> None:
    """Replace the workers of both sides, which start together: of two copies, the one that started first was slower."""
    for state in pair.states:
        state.supervisor.drop()
        state.process = process
    for state in pair.states:
        state.supervisor.launch()


def _due(pair: Pair) -> Iterator[tuple[RunState, PlannedCase]]:
    """Yield the open cases of both sides, less those that stand alone and have what an interval needs."""
    base, new = ({planned.case.id: planned for planned in state.open} for state in pair.states)
    for state, own, other in ((pair.base, base, new), (pair.new, new, base)):
        needed = state.policy.timing.rounds_needed
        for name, planned in own.items():
            if name in other or len(state.timed.get(name, ())) < needed:
                yield state, planned


def _round_cost(pair: Pair, block: float) -> float:
    return sum(visit_cost(state, planned, block=block) for state, planned in _due(pair))


def _take_round(pair: Pair, *, block: float, cost: float) -> None:
    due: dict[str, list[tuple[RunState, PlannedCase]]] = {}
    for state, planned in _due(pair):
        due.setdefault(planned.case.id, []).append((state, planned))
    number = pair.base.rounds_done
    pair.base.progress.round_begun(number + 1, cost=cost, cases=sum(map(len, due.values())))
    for planned in shuffled([of[0][1] for of in due.values()], pair.base.random):
        of = due[planned.case.id]
        _visit_both(of if (number + pair.base.process) % 2 == 0 else of[::-1], number=number, block=block)
    for state in pair.states:
        state.rounds_done += 1


def _visit_both(of: Sequence[tuple[RunState, PlannedCase]], *, number: int, block: float) -> None:
    """Visit a case by one side, then by the other, with blocks of as many calls: fewer where one is slower."""
    requests = [visit_request(state, planned, index=number, block=block) for state, planned in of]
    same = {"calls": min(one.calls for one in requests), "blocks": min(one.blocks for one in requests)}
    for (state, planned), request in zip(of, requests, strict=True):
        asked: Visit = request.model_copy(update=same)
        visit(state, planned, asked, block=block, cost=visit_cost(state, planned, block=block))


def _end(pair: Pair, reason: str) -> None:
    for state in pair.states:
        timed = [planned.case for planned in state.open if state.timed.get(planned.case.id)]
        state.stopped |= dict.fromkeys((case.id for case in timed), reason)  # type: ignore[arg-type]
        state.leave_out([planned.case for planned in state.open if not state.timed.get(planned.case.id)])
    pair.level()
