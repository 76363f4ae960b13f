"""What a sweep costs beside the measuring, and what a second worker gains: one plan on one core, alone and by workers.

`python -m tests.evidence.cluster_cost` runs a plan of four equal curves alone on the first core, by one worker and by
two, of a core each, and prints the walls. What follows `--` replaces the plan's arguments. It needs a quiet machine of
two cores and some eight minutes, and ends with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.store import FLEET
from harness.results import journal
from harness.results.run import read_run
from tests.support.places import ROOT

# Sixteen small sizes: in each dtype a case costs its preparation, its rounds and its check, which differ little.
SIZES = ",".join(str(size) for size in range(64, 128, 4))
ASKED = (
    *("sequence-length", "--fast", "--device", "cpu", "-a", f"n={SIZES}"),
    *("--time-budget", "20m", "--ceilings", "fresh"),
    *("--dtype", "float32", "--dtype", "float64", "--dtype", "bfloat16", "--dtype", "float16"),
)
# What one device may take longer than the run alone, starts apart; how much faster two are to be.
OVERHEAD_AT_MOST, SPEED_UP_AT_LEAST = 0.05, 1.8
ALONE, ONE, TWO = "alone", "one worker", "two workers"
WAYS: dict[str, tuple[str, ...]] = {
    ALONE: (),
    ONE: ("--workers", "1", "--cores-per-worker", "1"),
    TWO: ("--workers", "2", "--cores-per-worker", "1"),
}
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Walls:
    """Seconds of a command from its start to its end, and until its plan was there; how many cases had no time."""

    wall: float
    start: float
    cases: int
    left_out: int

    @property
    def work(self) -> float:
        """Return the seconds after the plan was there."""
        return self.wall - self.start


def walls_of(way: str, asked: tuple[str, ...], directory: Path) -> Walls:
    """Run a plan one way, and take the time."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "attnbench", "run", *asked, *WAYS[way], "-o", str(directory), "--quiet"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        preexec_fn=None if WAYS[way] else lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),  # noqa: PLW1509
    )
    planned, start = directory / (FLEET if WAYS[way] else journal.PLAN), None
    while process.poll() is None:
        if start is None and planned.exists():
            start = time.monotonic() - began
        time.sleep(POLL_SECONDS)
    wall = time.monotonic() - began
    if start is None:
        sys.exit(f"{way}: it ended with {process.returncode} before it had a plan")
    records = read_run(directory).records
    return Walls(wall, start, len(records), sum(record.status == "over_budget" for record in records))


def table(found: dict[str, Walls]) -> list[str]:
    """Say what each way took, what the fleet costs and what a second worker gains."""
    said = ["| way | wall | until the plan | after it | cases |", "|---|---|---|---|---|"]
    for way, one in found.items():
        said.append(f"| {way} | {one.wall:.1f} s | {one.start:.1f} s | {one.work:.1f} s | {one.cases} |")
    after = found[ONE].work / found[ALONE].work - 1.0
    whole = found[ONE].wall / found[TWO].wall
    return [
        *said,
        "",
        f"overhead: {overhead(found):+.1%} of the run alone beside the start, {after:+.1%} of what follows its plan",
        f"speed-up of two workers: {speed_up(found):.2f}, {whole:.2f} with their starts",
    ]


def overhead(found: dict[str, Walls]) -> float:
    """Return what one worker takes longer than the run alone, its start apart, as a share of that run."""
    return (found[ONE].wall - found[ONE].start) / found[ALONE].wall - 1.0


def speed_up(found: dict[str, Walls]) -> float:
    """Return how many times as long one worker takes as two, starts apart."""
    return found[ONE].work / found[TWO].work


def mistakes_of(found: dict[str, Walls]) -> list[str]:
    """Say which bars are missed, and what makes the walls say nothing."""
    said = [
        f"{way} left {one.left_out} cases out: its wall is its time budget, give it more with --time-budget"
        for way, one in found.items()
        if one.left_out
    ]
    if len({one.cases for one in found.values()}) > 1:
        said.append("the ways have other cases")
    if overhead(found) > OVERHEAD_AT_MOST:
        said.append(f"the overhead is over {OVERHEAD_AT_MOST:.0%}")
    if speed_up(found) < SPEED_UP_AT_LEAST:
        said.append(f"the speed-up is below {SPEED_UP_AT_LEAST}")
    return said


def main() -> None:
    """Take the time of each way, and tell."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("asked", nargs="*", default=ASKED, help="what is run, after --")
    asked = tuple(options.parse_args().asked)
    if len(os.sched_getaffinity(0)) < len((ONE, TWO)):
        sys.exit("two workers need a core each")
    with tempfile.TemporaryDirectory(prefix="attnbench-cost-") as folder:
        found = {}
        for way in WAYS:
            found[way] = walls_of(way, asked, Path(folder) / way.replace(" ", "-"))
            print(f"{way}: {found[way].wall:.1f} s", file=sys.stderr)  # noqa: T201  # it takes minutes
    mistakes = mistakes_of(found)
    print("\n".join([*table(found), *mistakes]))  # noqa: T201  # a program's page
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
