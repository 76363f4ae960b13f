"""What parts of a run cost, in seconds, and how long blocks may be so that its rounds fit the time there is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.runner import replays
from harness.stats.blocks import blocks_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.policy import AllocationPolicy, Policy, RunPolicy, TelemetryPolicy, TimingPolicy
    from harness.records import Case, PlannedCase, Preparation, Status

# Calls of an implementation that a preparation makes at least: agreement, memory, profile, warm-up.
PREPARATION_CALLS = 6
# What a visit, a check or a preparation costs beside the calls, in seconds: inputs, messages, the oracle, the profile.
VISIT_SECONDS = 0.006
VISIT_SECONDS_CUDA = 0.035
CHECK_SECONDS = 0.08
CHECK_SECONDS_CUDA = 0.02
PREPARATION_SECONDS = 0.15
# A session of the profiler on a GPU, and what the memory of a call is measured with; a worker's start.
SESSION_SECONDS = 0.1
START_SECONDS = 8.0
# The first calls of a worker on a GPU load the libraries' kernels.
FIRST_CALLS_SECONDS_CUDA = 5.0
# Judging the claims and writing the report: scipy and matplotlib are loaded, then each case adds a little.
REPORT_SECONDS = 4.0
REPORT_SECONDS_A_CASE = 0.01
# Blocks grow up to this many times the policy's length if the time budget leaves room, in so many steps.
BLOCK_GROWTH_AT_MOST = 6.0
BLOCK_STEPS = 28
# A block on a GPU waits behind a sleep of this many times what the host needs to enqueue it, up to these seconds; see
# harness/instruments/timing.py.
SLEEP_PER_ENQUEUED = 2.0
SLEEP_SECONDS_AT_MOST = 0.05
# Rates that shards are weighed by, in FLOP/s and B/s: what each machine measures of itself before it plans differs from
# moment to moment, and machines that share a plan must cut it alike. Attention reaches about these on eight cores and
# on a GPU of 2022.
NOMINAL_RATES, NOMINAL_RATES_CUDA = (1e11, 2e10), (1e14, 1e12)
# Dispatch of one call.
NOMINAL_CALL_SECONDS = 2e-5
# Passes over what a call holds beside its inputs.
NOMINAL_PASSES = 6
# Reasons not to run that are the same on every machine of a kind.
NEVER_RUN: frozenset[Status] = frozenset({"unsupported", "predicted_slow"})
# Seconds of prediction that count as right before any was held against the clock.
PACE_PRIOR = 0.5


@dataclass
class Pace:
    """How much longer than predicted a kind of work takes, by the seconds that were predicted and taken so far."""

    predicted: float = 0.0
    taken: float = 0.0

    @property
    def factor(self) -> float:
        """Return taken over predicted seconds, 1 before anything was done."""
        return (self.taken + PACE_PRIOR) / (self.predicted + PACE_PRIOR)

    def learn(self, *, predicted: float, taken: float) -> None:
        """Hold a prediction against the clock."""
        self.predicted += predicted
        self.taken += taken


@dataclass
class TimeAccount:
    """The run's account of time, in seconds: its start, the budget, and what was spent.

    `calls` is the time inside implementations, `timed` the part of it that is in timed samples. Of `sides` that are
    measured in turn each may have its part of what is left.
    """

    budget: float
    sides: int = 1
    started: float = field(default_factory=time.monotonic)
    calls: float = 0.0
    timed: float = 0.0
    preparing: Pace = field(default_factory=Pace)
    visiting: Pace = field(default_factory=Pace)

    @property
    def spent(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Return the seconds left of the budget."""
        return (self.budget - self.spent) / self.sides


@dataclass(frozen=True)
class Estimate:
    """A case, and the seconds that one call of it takes: as prepared, else as predicted.

    `launches` is how many kernels one call launches, None if that is unknown or nothing is launched. `has_graph` tells
    that its graph has been timed in as many rounds as it will be.
    """

    case: Case
    call_seconds: float
    launches: int | None = None
    has_graph: bool = False


def estimate(planned: PlannedCase, prepared: Mapping[str, Preparation]) -> Estimate:
    """Return the best estimate of a case that there is."""
    known = prepared.get(planned.case.id)
    if known is not None:
        return Estimate(planned.case, known.call_seconds, known.ran.launches)
    return Estimate(planned.case, planned.predicted.seconds if planned.predicted else 0.0)


def nominal_call_seconds(planned: PlannedCase) -> float:
    """Return what a call of a case takes on no machine in particular, 0 if none of the kind runs it."""
    if planned.predicted is None or planned.skip in NEVER_RUN:
        return 0.0
    operations, copies = NOMINAL_RATES_CUDA if planned.case.device.startswith("cuda") else NOMINAL_RATES
    moved = NOMINAL_PASSES * planned.predicted.extra_bytes + planned.predicted.resident_bytes
    return planned.predicted.operations / operations + moved / copies + NOMINAL_CALL_SECONDS


def nominal_seconds(planned: PlannedCase, *, device: str, policy: Policy) -> float:
    """Return what a case takes of a run on no machine in particular, so that each gets the same; see `case_seconds`.

    What would take a run's whole time is left out of it, and counts no more than that.
    """
    call = nominal_call_seconds(planned)
    taken = case_seconds(Estimate(planned.case, call), device=device, policy=policy) if call else 0.0
    return min(taken, time_budget(device, policy.run))


def case_seconds(known: Estimate, *, device: str, policy: Policy) -> float:
    """Return what a case takes of a run, from its preparation to its check, with the rounds that are aimed at."""
    timing, call = policy.timing, known.call_seconds
    rounds = max(timing.rounds_at_least, min(timing.rounds_aimed, int(timing.case_seconds / call) if call else 0))
    visits = rounds_seconds([known], rounds=rounds, block=shortest_block(device, timing), policy=timing)
    return preparation_seconds(call, device=device) + visits + check_seconds(call, device=device)


def time_budget(device: str, policy: RunPolicy) -> float:
    """Return the policy's time budget of a run on a device."""
    return policy.time_budget_cuda if "cuda" in device else policy.time_budget_cpu


def extras_share(device: str, policy: RunPolicy) -> float:
    """Return the share of a run's time that sustained load and fresh memory may take unless they are asked for."""
    return policy.extras_share_cuda if "cuda" in device else policy.extras_share


def timeout(call_seconds: float, *, policy: Policy) -> float:
    """Return how long a request about a case may take before the worker counts as hung."""
    calls = PREPARATION_CALLS + policy.timing.blocks_per_round
    return max(policy.run.timeout_at_least, policy.run.timeout_factor * calls * call_seconds)


def preparation_seconds(call_seconds: float, *, device: str = "cpu") -> float:
    """Return what preparing a case costs; on a GPU a session of the profiler and emptying the pool come with it."""
    return call_seconds * PREPARATION_CALLS + PREPARATION_SECONDS + (SESSION_SECONDS if "cuda" in device else 0.0)


def check_seconds(call_seconds: float, *, device: str = "cpu") -> float:
    """Return what holding a case against the oracle costs."""
    return call_seconds + (CHECK_SECONDS_CUDA if "cuda" in device else CHECK_SECONDS)


def visit_seconds(known: Estimate, *, block: float, policy: TimingPolicy) -> float:
    """Return what one visit to a case costs, with blocks of so many seconds, its graph included if one is due."""
    call = known.call_seconds
    blocks = blocks_for(call, policy=policy)
    graph = 0.0 if known.has_graph else graph_seconds(known, block=block, policy=policy)
    if not known.case.device.startswith("cuda"):
        # Where two calls or fewer make a block, two are made and both timed; else one goes before the block.
        timed = 2 * call if 2 * call >= block else call + block
        return timed + (blocks - 1) * max(call, block) + VISIT_SECONDS + graph
    queue = queue_seconds(known, block=block, policy=policy)
    return call + blocks * max(call, block) + queue + VISIT_SECONDS_CUDA + graph


def graph_seconds(known: Estimate, *, block: float, policy: TimingPolicy) -> float:
    """Return what timing a case inside a graph costs in one visit."""
    return replays.predicted_seconds(
        known.case, known.call_seconds, launches=known.launches, block=block, policy=policy
    )


def queue_seconds(known: Estimate, *, block: float, policy: TimingPolicy) -> float:
    """Return what a visit to a case on a GPU costs beside its blocks: sleeps before them, and the calls in a row."""
    if known.launches is None or known.call_seconds >= policy.slow_call_seconds:
        return 0.0
    calls = max(1.0, block / known.call_seconds)
    host = known.launches * replays.LAUNCH_SECONDS
    sleep = min(SLEEP_PER_ENQUEUED * host * calls, SLEEP_SECONDS_AT_MOST)
    return policy.blocks_per_round * sleep + calls * max(host, known.call_seconds)


def pass_seconds(device: str, policy: TelemetryPolicy) -> float:
    """Return what a sustained pass takes, the wait for a warm device aside."""
    if device.startswith("cuda"):
        return policy.idle_seconds_cuda + policy.lead_in_cuda + policy.window_cuda
    return policy.lead_in_cpu + policy.window_cpu


def wait_seconds(device: str, policy: TelemetryPolicy) -> float:
    """Return the longest that a pass may wait for the device to cool."""
    return policy.cool_down_at_most if device.startswith("cuda") else 0.0


def sustained_seconds(known: Iterable[Estimate], *, device: str, policy: TelemetryPolicy) -> float:
    """Return what the sustained passes of a few cases per implementation take together."""
    implementations = {(one.case.problem, one.case.implementation) for one in known}
    points = policy.points_cuda if "cuda" in device else policy.points_cpu
    return len(implementations) * points * (pass_seconds(device, policy) + wait_seconds(device, policy))


def fresh_memory_seconds(
    known: Iterable[Estimate], *, device: str, policy: AllocationPolicy, timing: TimingPolicy
) -> float:
    """Return the most that the comparison of fresh memory may take, a new worker's start included."""
    if policy.rounds == 0 or "cuda" in device:
        return 0.0
    largest: dict[tuple[str, str], float] = {}
    for one in known:
        key = (one.case.problem, one.case.implementation)
        if one.call_seconds <= policy.call_seconds_at_most:
            largest[key] = max(largest.get(key, 0.0), one.call_seconds)
    visits = 2 * (policy.rounds + 1)
    block = timing.block_seconds_cpu
    return sum(visits * (call + timing.blocks_per_round * max(call, block)) for call in largest.values())


def report_seconds(cases: int) -> float:
    """Return what judging and the report of so many cases take."""
    return REPORT_SECONDS + REPORT_SECONDS_A_CASE * cases


def cheapest_point(known: Sequence[Estimate]) -> str:
    """Return the key of the point whose calls take least together, empty without a case."""
    points: dict[str, float] = {}
    for one in known:
        points[one.case.point_key] = points.get(one.case.point_key, 0.0) + one.call_seconds
    return min(points, key=points.__getitem__, default="")


def dearest(
    known: Sequence[Estimate], *, room: float, seconds: Callable[[Estimate], float], least: str | None = None
) -> list[Estimate]:
    """Return the cases to leave out so that the rest fits the `room`, dearest first; `seconds` is what one takes.

    The point of the key `least`, by default the cheapest of these, stays whatever it costs: a run without a case says
    nothing.
    """
    costs = {one.case.id: seconds(one) for one in known}
    least = cheapest_point(known) if least is None else least
    total = sum(costs.values())
    left_out: list[Estimate] = []
    for one in sorted(known, key=lambda one: -costs[one.case.id]):
        if total <= room:
            break
        if one.case.point_key != least:
            left_out.append(one)
            total -= costs[one.case.id]
    return left_out


def seconds_after_rounds(known: Sequence[Estimate], *, device: str, policy: Policy) -> float:
    """Return what is still to do once the rounds of these cases are over: checks, sustained load, fresh memory."""
    return (
        sum(check_seconds(one.call_seconds, device=device) for one in known)
        + sustained_seconds(known, device=device, policy=policy.telemetry)
        + fresh_memory_seconds(known, device=device, policy=policy.allocation, timing=policy.timing)
    )


def rounds_seconds(known: Sequence[Estimate], *, rounds: int, block: float, policy: TimingPolicy) -> float:
    """Return what so many rounds cost, with graphs in the first of them only."""
    bare = [replace(one, has_graph=True) for one in known]
    visits = sum(visit_seconds(one, block=block, policy=policy) for one in bare)
    graphs = sum(graph_seconds(one, block=block, policy=policy) for one in known if not one.has_graph)
    return rounds * visits + min(rounds, policy.graph_rounds) * graphs


def start_seconds(*, device: str, policy: Policy) -> float:
    """Return what the workers of a run take to start, and its ceilings at both ends."""
    workers = 2 * (START_SECONDS + FIRST_CALLS_SECONDS_CUDA) if "cuda" in device else START_SECONDS
    return workers + policy.run.ceiling_seconds + policy.run.ceiling_again_seconds


def least_seconds(known: Sequence[Estimate], *, device: str, policy: Policy) -> float:
    """Return what a run of these cases takes at least, from its first worker to its last check."""
    timing = policy.timing
    block = timing.block_seconds_cuda if "cuda" in device else timing.block_seconds_cpu
    return (
        start_seconds(device=device, policy=policy)
        + sum(preparation_seconds(one.call_seconds, device=device) for one in known)
        + rounds_seconds(known, rounds=timing.rounds_at_least, block=block, policy=timing)
        + seconds_after_rounds(known, device=device, policy=policy)
    )


def block_seconds(known: Sequence[Estimate], *, rounds: int, room: float, device: str, policy: TimingPolicy) -> float:
    """Return how long blocks may be, so that so many rounds fit into the `room`; never below the policy's.

    The room is at most the policy's `case_seconds` for each case. A case whose visits would take more than its part of
    the room counts with fewer, down to those that every case gets.
    """
    room = min(room, policy.case_seconds * len(known))
    least = shortest_block(device, policy)
    longest = least
    for step in range(1, BLOCK_STEPS + 1):
        block = least * (1.0 + (BLOCK_GROWTH_AT_MOST - 1.0) * step / BLOCK_STEPS)
        bare = [replace(one, has_graph=True) for one in known]
        graphs = sum(graph_seconds(one, block=block, policy=policy) for one in known if not one.has_graph)
        costs = [visit_seconds(one, block=block, policy=policy) for one in bare]
        fewest = min(rounds, policy.rounds_at_least)
        counts = [max(fewest, min(rounds, int(room / (len(known) * cost)))) for cost in costs]
        visits = sum(cost * count for cost, count in zip(costs, counts, strict=True))
        if visits + min(rounds, policy.graph_rounds) * graphs <= room:
            longest = block
    return longest


def shortest_block(device: str, policy: TimingPolicy) -> float:
    """Return the length of a block on a device where nothing leaves room for longer ones, in seconds."""
    return policy.block_seconds_cuda if "cuda" in device else policy.block_seconds_cpu


def by_point(cases: Sequence[PlannedCase]) -> list[PlannedCase]:
    """Order cases so that those of a point are adjacent, cheapest points first."""
    cost: dict[str, float] = {}
    for planned in cases:
        key = planned.case.point_key
        cost[key] = max(cost.get(key, 0.0), planned.predicted.seconds if planned.predicted else 0.0)
    return sorted(cases, key=lambda planned: (cost[planned.case.point_key], planned.case.point_key))
