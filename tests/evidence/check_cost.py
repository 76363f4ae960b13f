"""What new values in inputs and checks of timed calls cost a case of the default bench, as a share of its wall time.

`python -m tests.evidence.check_cost [--seconds 150] [--cases 40] [--scenario NAME]` visits cases in one process as a
run does (A) and without rewriting inputs and without looking at results (B), in the order A B B A, and prints shares.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

from harness.cases import Case
from harness.instruments import timing, watched
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.stats.blocks import blocks_for, calls_per_block
from harness.worker import measuring
from tests.support.benches import bench_on
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.worker.workbench import Workbench

# The most that a case may cost more.
BAR = 0.03
BOOTSTRAPS = 2000
SEED = 5


@dataclass
class Unwatched:
    """Blocks of the same calls on inputs that stay as they are, after one untimed call; nothing is looked at."""

    timed: watched.Timed
    first: tuple[float, ...] = ()
    later: tuple[float, ...] = ()
    faulted: int = 0

    def needs_warming(self, calls: int) -> bool:  # noqa: ARG002
        """Say that a call is always made before the first block."""
        return True

    def warm(self, call: watched.Call) -> None:
        """Make that call."""
        self.timed(call, 1)

    def block(self, call: watched.Call, calls: int, *, meanwhile: timing.Meanwhile = None) -> timing.Block:  # noqa: ARG002
        """Time so many calls."""
        return self.timed(call, calls)


@contextmanager
def unchecked() -> Iterator[None]:
    """Let visits neither write inputs nor compare results."""
    with (
        mock.patch.object(measuring, "WatchedBlocks", lambda timed, *_, **__: Unwatched(timed)),
        mock.patch.object(measuring.timed_calls, "hold", return_value=None),
    ):
        yield


@dataclass
class Costs:
    """Seconds of one case: its preparation, and the mean of two visits with and without checks, a pair a turn."""

    label: str
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


def planned(scenarios: Sequence[str], *, at_most: int) -> list[Case]:
    """Return cases of the plan on this CPU, evenly spread over it."""
    command = [sys.executable, "-m", "attnbench", "plan", *scenarios, "--device", "cpu", "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    cases = [Case.model_validate(one["case"]) for one in json.loads(done.stdout)["cases"] if not one.get("skip")]
    return cases[:: -(-len(cases) // at_most)]


def turn(bench: Workbench, visit: messages.Visit, *, clock: Callable[[], float]) -> tuple[float, float]:
    """Visit a case in the order A B B A; return the mean seconds with checks, and without."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for is_checked in (True, False, False, True):
        started = clock()
        if is_checked:
            measuring.visit(bench, visit)
        else:
            with unchecked():
                measuring.visit(bench, visit)
        seconds[is_checked].append(clock() - started)
    return sum(seconds[True]) / 2, sum(seconds[False]) / 2


def measure(
    cases: Sequence[Case], *, seconds: float, turns: int = 2, clock: Callable[[], float] = time.perf_counter
) -> list[Costs]:
    """Prepare each case, then visit all in turns until the time is over, `turns` times at least."""
    bench = bench_on(canary=timing.Canary(DEFAULT.timing.canary_size))
    until = clock() + seconds
    costs, visits = [], []
    for case in cases:
        started = clock()
        prepared = measuring.prepare(bench, messages.Prepare(case=case, seed=SEED)).prepared
        costs.append(Costs(case.label, clock() - started))
        calls = calls_per_block(
            prepared.call_seconds,
            target=DEFAULT.timing.block_seconds_cpu,
            at_most=DEFAULT.timing.calls_per_block_at_most,
        )
        blocks = blocks_for(prepared.call_seconds, policy=DEFAULT.timing)
        visits.append(messages.Visit(case=case, seed=SEED + 1, calls=calls, blocks=blocks, index=0, process=0))
    while len(costs[-1].plain) < turns or clock() < until:
        for one, visit in zip(costs, visits, strict=True):
            bench.settle()
            checked, plain = turn(bench, visit, clock=clock)
            one.checked.append(checked)
            one.plain.append(plain)
    return costs


def share(costs: Sequence[Costs], *, rounds: int, with_preparation: bool) -> Share:
    """Return what checks add to the wall time of cases together: medians over turns, resampled for the interval."""
    random = np.random.default_rng(SEED)
    checked, plain = (np.array([getattr(one, name) for one in costs]) for name in ("checked", "plain"))
    fixed = sum(one.prepare for one in costs) if with_preparation else 0.0
    turns = checked.shape[1]

    def of(drawn: np.ndarray) -> float:
        without = np.median(plain[:, drawn], axis=1)
        more = np.median(checked[:, drawn] - plain[:, drawn], axis=1)
        return float(rounds * more.sum() / (fixed + rounds * without.sum()))

    resampled = [of(random.integers(0, turns, turns)) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Share(of(np.arange(turns)), float(low), float(high))


def report(costs: Sequence[Costs]) -> list[str]:
    """Write the shares: of visits, of whole cases by the rounds that a run makes, and of the dearest cases."""
    rounds = DEFAULT.timing.rounds_aimed
    whole = share(costs, rounds=rounds, with_preparation=True)
    verdict = "within" if whole.high <= BAR else "beyond" if whole.low > BAR else "not told apart from"
    each = sorted(((share([one], rounds=rounds, with_preparation=True), one.label) for one in costs), key=_middle)
    return [
        f"{len(costs)} cases, {len(costs[0].plain)} turns of A B B A",
        f"of visits alone: {share(costs, rounds=rounds, with_preparation=False)}",
        f"of cases with preparation and {rounds} rounds: {whole}, {verdict} the bar of {BAR:.0%}",
        f"middle case: {each[len(each) // 2][0]}",
        *(f"dearest: {found} {label}" for found, label in each[:-4:-1]),
    ]


def _middle(found: tuple[Share, str]) -> float:
    return found[0].middle


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=150.0)
    options.add_argument("--cases", type=int, default=40)
    options.add_argument("--scenario", action="append", default=[])
    asked = options.parse_args()
    for line in report(measure(planned(asked.scenario, at_most=asked.cases), seconds=asked.seconds)):
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
