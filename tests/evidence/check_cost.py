"""What new values in inputs and checks of timed calls cost a case of a run, as a share of its wall time.

`python -m tests.evidence.check_cost RUN [--cases 40]` visits cases of a run directory in one process
that keeps its memory as a worker does, in blocks of as many calls as the run's: as a run visits them (A), and without
rewriting inputs and without looking at results (B), in the order A B B A. It prints shares.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

from harness.instruments import timing, watched
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.results.run import read_run
from harness.runner import allocator
from harness.worker import measuring
from tests.support.benches import bench_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.cases import Case
    from harness.worker.workbench import Workbench

# The most that a case may cost more.
BAR = 0.03
BOOTSTRAPS = 500
AT_MOST = 0.5
SEED = 5


class Unwatched(watched.Watching):
    """Says that no visit is watched."""

    def is_due(self, share: float) -> bool:  # noqa: ARG002
        """Say no."""
        return False


@contextmanager
def unchecked(bench: Workbench) -> Iterator[None]:
    """Let visits neither write inputs nor compare results."""
    with mock.patch.object(bench, "watching", defaultdict(Unwatched)):
        yield


@dataclass
class Costs:
    """Seconds of one case: its preparation, and the mean of two visits with and without checks, a pair per turn."""

    label: str
    rounds: int
    prepare: float
    checked: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Share:
    """How much more wall time is spent, as a share of the time without, with its 95 % interval."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:+.1%} ({self.low:+.1%} to {self.high:+.1%})"


@dataclass(frozen=True)
class Timed:
    """A case as a run timed it: the calls of a block, and in how many rounds."""

    case: Case
    calls: int
    rounds: int

    @property
    def turns(self) -> int:
        """Return how many turns have as many visits with checks: two each."""
        return -(-self.rounds // 2)


def timed(directory: str, *, at_most: int) -> list[Timed]:
    """Return cases that a run timed, evenly spread over it."""
    run = read_run(directory)
    rounds = {record.case.id: run.rounds.get(record.case.id, []) for record in run.records}
    cases = [
        Timed(one.case, round(statistics.median(visit.calls_per_sample for visit in visits)), len(visits))
        for one in run.records
        if (visits := rounds[one.case.id])
    ]
    return cases[:: -(-len(cases) // at_most)]


def turn(bench: Workbench, visit: messages.Visit, *, clock: Callable[[], float]) -> tuple[float, float]:
    """Visit a case in the order A B B A; return the mean seconds with checks, and without."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    # Drawn once for all implementations of a point: else the first visit would pay for it.
    bench.inputs.of(bench.subject(visit.case), visit.seed)
    for is_checked in (True, False, False, True):
        started = clock()
        if is_checked:
            measuring.visit(bench, visit)
        else:
            with unchecked(bench):
                measuring.visit(bench, visit)
        seconds[is_checked].append(clock() - started)
    return sum(seconds[True]) / 2, sum(seconds[False]) / 2


def measure(cases: Sequence[Timed], *, clock: Callable[[], float] = time.perf_counter) -> list[Costs]:
    """Prepare each case, then visit all in turns, each as often with checks as the run did: later visits have fewer."""
    bench = bench_on(canary=timing.Canary(DEFAULT.timing.canary_size))
    costs = []
    for one in cases:
        started = clock()
        measuring.prepare(bench, messages.Prepare(case=one.case, seed=SEED))
        costs.append(Costs(one.case.label, one.rounds, clock() - started))
    for made in range(max(one.turns for one in cases)):
        for known, cost in zip(cases, costs, strict=True):
            if made >= known.turns:
                continue
            bench.settle()
            visit = messages.Visit(
                case=known.case, seed=SEED + 1 + made, calls=known.calls, blocks=1, index=made, process=0
            )
            checked, plain = turn(bench, visit, clock=clock)
            cost.checked.append(checked)
            cost.plain.append(plain)
    return costs


def share(costs: Sequence[Costs], *, with_preparation: bool) -> Share:
    """Return what checks add to the wall time of cases together, resampled by turns for the interval.

    Means, not medians: the first visits are checked always, later ones where that is cheap. No visit counts for more
    than half a visit more or less: beyond that it met another process of the machine.
    """
    random = np.random.default_rng(SEED)
    fixed = sum(one.prepare for one in costs) if with_preparation else 0.0
    more = [_more(one) for one in costs]
    without = sum(one.rounds * float(np.median(one.plain)) for one in costs) + fixed

    def of(draw: Callable[[int], np.ndarray]) -> float:
        return (
            sum(one.rounds * found[draw(len(found))].mean() for one, found in zip(costs, more, strict=True)) / without
        )

    resampled = [of(lambda count: random.integers(0, count, count)) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Share(float(of(np.arange)), float(low), float(high))


def _more(costs: Costs) -> np.ndarray:
    limit = AT_MOST * float(np.median(costs.plain))
    return np.clip(np.array(costs.checked) - np.array(costs.plain), -limit, limit)


def report(costs: Sequence[Costs]) -> list[str]:
    """Write the shares: of visits, of whole cases by the rounds that the run made, and of the dearest cases."""
    whole = share(costs, with_preparation=True)
    verdict = "within" if whole.high <= BAR else "beyond" if whole.low > BAR else "not told apart from"
    each = sorted(((share([one], with_preparation=True), one.label) for one in costs), key=_middle)
    rounds = statistics.median(one.rounds for one in costs)
    return [
        f"{len(costs)} cases, {sum(len(one.plain) for one in costs)} turns of A B B A",
        f"of visits alone: {share(costs, with_preparation=False)}",
        f"of cases with preparation and their {rounds:g} rounds: {whole}, {verdict} the bar of {BAR:.0%}",
        f"middle case: {each[len(each) // 2][0]}",
        *(f"dearest: {found} {label}" for found, label in each[:-4:-1]),
    ]


def _middle(found: tuple[Share, str]) -> float:
    return found[0].middle


def main() -> None:
    """Measure and print, in a process that keeps freed memory."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run")
    options.add_argument("--cases", type=int, default=40)
    asked = options.parse_args()
    if not allocator.why_not("cpu", os.environ):
        command = [sys.executable, "-m", "tests.evidence.check_cost", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | allocator.KEEPING)
    for line in report(measure(timed(asked.run, at_most=asked.cases))):
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
