"""A fleet of 64 devices on paper: how close to the least possible time chunks of predicted cost come.

Every scenario of the catalogue but `smoke` is planned for a modelled H100 and repeated until each device has work for a
while; chunks are cut as for a run. The fleet gives each free device the longest chunk left. True seconds of a curve are
the predicted ones times a lognormal error, and boards differ. A makespan is held against the lower bound: all true
seconds over all devices at their speeds, or the longest chunk on the fastest of them.

Run: python -m tests.evidence.fleet_schedule
"""

from __future__ import annotations

import heapq
import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.fleet.shards import Chunk, chunks, curves, shards, target_seconds
from harness.policy import DEFAULT
from harness.runner import budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.records import PlannedCase

DEVICES = 64
LEAST_CASES = 20
# A scenario for seconds that nobody sends to a fleet.
SMALLEST = "smoke"
# How wrong predictions of a curve are, and how boards of one model differ: standard deviations of logarithms.
PREDICTION_ERROR, BOARD_SPREAD = 0.4, 0.02
DRAWS = 200


@dataclass(frozen=True)
class Outcome:
    """Makespans over the lower bound, of each draw, sorted."""

    ratios: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the middle one."""
        return statistics.median(self.ratios)

    @property
    def high(self) -> float:
        """Return the 90th percentile."""
        return self.ratios[int(0.9 * len(self.ratios))]


def plan_of_a_fleet(planned: Sequence[PlannedCase], *, copies: int) -> list[PlannedCase]:
    """Repeat a plan as that many scenarios of other names, as a sweep over many models would have them."""
    found = []
    for copy in range(copies):
        for one in planned:
            names = {"scenario": f"{one.case.scenario} {copy}", "also": [f"{name} {copy}" for name in one.case.also]}
            case = one.case.model_copy(update={**names, "id": f"{one.case.id} {copy}"})
            found.append(one.model_copy(update={"case": case}))
    return found


def seconds(one: PlannedCase) -> float:
    """Return what a case takes of a run, by its prediction; 0 where it does not run."""
    if one.skip is not None:
        return 0.0
    return budget.case_seconds(budget.estimate(one, {}), device=one.case.device, policy=DEFAULT)


def top_up(found: Sequence[Chunk], *, true: Sequence[float], speeds: Sequence[float]) -> float:
    """Return when the last chunk is done, if each free device takes the longest of those left by prediction."""
    free = [(0.0, device) for device in range(len(speeds))]
    heapq.heapify(free)
    order = sorted(range(len(found)), key=lambda at: -found[at].seconds)
    ends = 0.0
    for at in order:
        start, device = heapq.heappop(free)
        end = start + true[at] / speeds[device]
        ends = max(ends, end)
        heapq.heappush(free, (end, device))
    return ends


def lower_bound(true: Sequence[float], speeds: Sequence[float]) -> float:
    """Return the least makespan that no schedule of whole chunks can beat."""
    return max(sum(true) / sum(speeds), max(true) / max(speeds))


def chunks_of(planned: Sequence[PlannedCase], *, devices: int) -> list[Chunk]:
    """Cut a plan as a fleet does."""
    target = target_seconds(sum(map(seconds, planned)), devices=devices)
    return chunks(planned, target_seconds=target, least_cases=LEAST_CASES, seconds=seconds)


def as_predicted(found: Sequence[Chunk], *, devices: int) -> float:
    """Return what chunks come to on equal boards where each takes what was predicted."""
    true, speeds = [chunk.seconds for chunk in found], [1.0] * devices
    return top_up(found, true=true, speeds=speeds) / lower_bound(true, speeds)


def simulate(found: Sequence[Chunk], *, devices: int, draws: int = DRAWS) -> Outcome:
    """Return what chunks come to that are given out as devices become free."""
    costs, ratios = costs_of(found), []
    for draw, speeds in draws_of(devices, draws):
        true = true_seconds(costs, draw)
        ratios.append(top_up(found, true=true, speeds=speeds) / lower_bound(true, speeds))
    return Outcome(tuple(sorted(ratios)))


def simulate_shards(found: Sequence[Chunk], *, draws: int = DRAWS) -> Outcome:
    """Return what one shard a device comes to, cut beforehand, over what all of it takes evened out."""
    costs, ratios = costs_of(found), []
    for draw, speeds in draws_of(len(found), draws):
        true = true_seconds(costs, draw)
        ends = max(taken / speed for taken, speed in zip(true, speeds, strict=True))
        ratios.append(ends / (sum(true) / sum(speeds)))
    return Outcome(tuple(sorted(ratios)))


def costs_of(found: Sequence[Chunk]) -> list[list[float]]:
    """Return the predicted seconds of the curves of each chunk."""
    return [[sum(map(seconds, curve)) for curve in curves(chunk.cases)] for chunk in found]


def true_seconds(costs: Sequence[Sequence[float]], draw: random.Random) -> list[float]:
    """Draw what chunks really take: what is wrong in a prediction is wrong of a curve."""
    return [sum(cost * draw.lognormvariate(0.0, PREDICTION_ERROR) for cost in of_chunk) for of_chunk in costs]


def draws_of(devices: int, draws: int) -> Iterator[tuple[random.Random, list[float]]]:
    """Yield a source of chance and the speeds of the boards for each draw."""
    for seed in range(draws):
        draw = random.Random(seed)
        yield draw, [draw.lognormvariate(0.0, BOARD_SPREAD) for _ in range(devices)]


def modelled_plan() -> list[PlannedCase]:
    """Plan every scenario of the catalogue but `smoke` for a GPU that needs not be here."""
    from harness.runner.plan import make_plan
    from harness.runner.selection import Request, Selection
    from harness.runner.supervisor import Supervisor, WorkerSettings
    from scenarios import catalog
    from tests.support.scripted import Listener

    scenarios = tuple(scenario for scenario in catalog.CATALOG if scenario.name != SMALLEST)
    request = Request(scenarios=scenarios, selection=Selection(), device="cuda:0", policy=DEFAULT)
    settings = WorkerSettings(device="cuda:0", policy=DEFAULT, modelled=True)
    with Supervisor(settings, progress=Listener()) as supervisor:
        return make_plan(request, supervisor, progress=Listener()).cases


def main() -> None:
    """Print the table of docs/cluster.md."""
    planned = modelled_plan()
    once = sum(map(seconds, planned))
    print("| work | curves | chunks | mean, longest | if predictions hold | they err | one shard a device |")  # noqa: T201
    print("|---|---|---|---|---|---|---|")  # noqa: T201
    for minutes in (15, 30, 60, 120):
        plan = plan_of_a_fleet(planned, copies=round(DEVICES * 60 * minutes / once))
        found = chunks_of(plan, devices=DEVICES)
        given = simulate(found, devices=DEVICES)
        cut = simulate_shards(shards(plan, count=DEVICES, seconds=seconds))
        lengths = [chunk.seconds for chunk in found]
        cells = (
            f"{minutes} min a device",
            f"{len(curves(plan)):,}",
            f"{len(found):,}",
            f"{statistics.mean(lengths):.0f} s, {max(lengths):.0f} s",
            f"{as_predicted(found, devices=DEVICES):.3f}",
            f"{given.median:.3f} ({given.high:.3f})",
            f"{cut.median:.2f} ({cut.high:.2f})",
        )
        print(f"| {' | '.join(cells)} |")  # noqa: T201


if __name__ == "__main__":
    main()
