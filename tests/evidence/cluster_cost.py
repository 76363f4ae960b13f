"""What a sweep costs beside the measuring, and what a second worker gains: one plan on one core, alone and by workers.

`python -m tests.evidence.cluster_cost` runs a plan of four equal curves alone on the first core, by one worker and by
two, of a core each, and prints the walls, and where those of workers went. Each way does the same: every case has all
its rounds, since more of them where neighbours disturb would be no cost of the fleet, and ceilings are those that a
small run before kept for the day. What follows `--` replaces the plan's arguments. It needs a quiet machine of two
cores and some eight minutes, and ends with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cluster.store import FLEET, Store
from harness.results import journal
from harness.results.run import read_run
from tests.support.places import ROOT

if TYPE_CHECKING:
    from harness.results.summary_file import Summary

# Sixteen small sizes: in each dtype a case costs its preparation, its rounds and its check, which differ little.
SIZES = ",".join(str(size) for size in range(64, 128, 4))
DTYPES = ("--dtype", "float32", "--dtype", "float64", "--dtype", "bfloat16", "--dtype", "float16")
ASKED = (
    *("sequence-length", "--fast", "--device", "cpu", "-a", f"n={SIZES}"),
    # No interval is as narrow as that.
    *("--time-budget", "20m", "--precision", "0.001%"),
    *DTYPES,
)
# What measures the ceilings of the plan's dtypes and keeps them, before any way begins.
BEFORE = ("smoke", "--fast", "--device", "cpu", "--impl", "batched", "-a", "n=16", *DTYPES)
# What one device may take longer than the run alone, starts apart; how much faster two are to be.
OVERHEAD_AT_MOST, SPEED_UP_AT_LEAST = 0.05, 1.8
ALONE, ONE, TWO = "alone", "one worker", "two workers"
WAYS: dict[str, tuple[str, ...]] = {
    ALONE: (),
    ONE: ("--workers", "1", "--cores-per-worker", "1"),
    TWO: ("--workers", "2", "--cores-per-worker", "1"),
}
POLL_SECONDS = 0.02
# The bridge is measured in each part, and one record of it counts; beyond this share visits are others.
VISITS_APART = 0.01


@dataclass(frozen=True)
class Walls:
    """Seconds of a command until its plan was there, until all was measured, merged and summed up, and to its end.

    `cases`, those of them that had no time, and the `visits` to all in all rounds. `parts` has the seconds that each
    part of a sweep measured, by name.
    """

    wall: float
    start: float
    measured: float
    cases: int
    left_out: int
    visits: int
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> float:
        """Return the seconds after the plan was there."""
        return self.wall - self.start

    @property
    def between(self) -> float:
        """Return the seconds from the plan to the summary that no part of a sweep measured at its longest."""
        return self.measured - self.start - max(self.parts.values(), default=0.0)


def started(way: str, asked: tuple[str, ...], directory: Path, *, cache: Path) -> subprocess.Popen[bytes]:
    """Start a run one way, with the machine's ceilings kept in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "attnbench", "run", *asked, *WAYS[way], "-o", str(directory), "--quiet"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL,
        preexec_fn=None if WAYS[way] else lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),  # noqa: PLW1509
    )


def walls_of(way: str, asked: tuple[str, ...], directory: Path, *, cache: Path) -> Walls:
    """Run a plan one way, and take the time."""
    began = time.monotonic()
    process = started(way, asked, directory, cache=cache)
    awaited = {"plan": directory / (FLEET if WAYS[way] else journal.PLAN), "summary": directory / journal.SUMMARY}
    seen: dict[str, float] = {}
    while process.poll() is None:
        seen |= {name: time.monotonic() - began for name, file in awaited.items() if name not in seen and file.exists()}
        time.sleep(POLL_SECONDS)
    wall = time.monotonic() - began
    if seen.keys() != awaited.keys():
        sys.exit(f"{way}: it ended with {process.returncode} before it had a plan and a summary")
    records = read_run(directory).records
    return Walls(
        wall=wall,
        start=seen["plan"],
        measured=seen["summary"],
        cases=len(records),
        left_out=sum(record.status == "over_budget" for record in records),
        visits=sum(record.time.rounds for record in records if record.time),
        parts={part.name: summary_of(part).wall_seconds for part in Store(directory).parts()} if WAYS[way] else {},
    )


def summary_of(part: Path) -> Summary:
    """Read the summary of a part, which is there once the part is."""
    summary = journal.read_summary(part)
    assert summary is not None
    return summary


def table(found: dict[str, Walls]) -> list[str]:
    """Say what each way took, where it went, what the fleet costs and what a second worker gains."""
    said = [
        "| way | wall | until the plan | after it | of that the page | cases | visits |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, one in found.items():
        page = one.wall - one.measured
        said.append(
            f"| {way} | {one.wall:.1f} s | {one.start:.1f} s | {one.work:.1f} s | {page:.1f} s | {one.cases} "
            f"| {one.visits} |"
        )
    after = found[ONE].work / found[ALONE].work - 1.0
    whole = found[ONE].wall / found[TWO].wall
    bare = (found[ONE].measured - found[ONE].start) / (found[TWO].measured - found[TWO].start)
    return [
        *said,
        "",
        *(f"{way}: {where(one)}" for way, one in found.items() if one.parts),
        f"overhead: {overhead(found):+.1%} of the run alone beside the start, {after:+.1%} of what follows its plan",
        f"speed-up of two workers: {speed_up(found):.2f}, {whole:.2f} with their starts, {bare:.2f} without the page",
    ]


def where(one: Walls) -> str:
    """Say how long each part of a sweep measured, and what beside the longest was before the summary."""
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(one.parts.items()))
    return f"{parts}; starts of parts, their way here and the merge {one.between:.1f} s"


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
    visits = [one.visits for one in found.values()]
    if max(visits) - min(visits) > VISITS_APART * max(visits):
        said.append("the ways have other visits: they did not do the same")
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
        found, cache = {}, Path(folder) / "cache"
        if started(ALONE, BEFORE, Path(folder) / "before", cache=cache).wait() != 0:
            sys.exit("the run before the ways failed")
        for way in WAYS:
            found[way] = walls_of(way, asked, Path(folder) / way.replace(" ", "-"), cache=cache)
            print(f"{way}: {found[way].wall:.1f} s", file=sys.stderr)  # noqa: T201  # it takes minutes
    mistakes = mistakes_of(found)
    print("\n".join([*table(found), *mistakes]))  # noqa: T201  # a program's page
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
