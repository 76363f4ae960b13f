"""How well do two runs agree? Ours, pytest-benchmark and torch's blocked_autorange at equal wall time per case.

`python -m tests.evidence.reproducibility` repeats a bench and the two others in turn, each in fresh processes minutes
apart, and writes its table into docs/sampling.md. `--quick` takes under four minutes, `--runs A B` compares two run
directories that exist. Give the default bench its quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.results.run import read_run
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.results.run import Run

PAGE = ROOT / "docs" / "sampling.md"
BEGIN, END = "<!-- begin: reproducibility -->", "<!-- end: reproducibility -->"
OURS = "attnbench"
OTHERS = ("pytest-benchmark", "blocked_autorange")
QUICK = ("sequence-length", "-a", "n=64,256,1024", "--impl", "batched", "--impl", "sdpa-auto", "--time-budget", "25")
COLUMNS = (
    "tool", "cases", "two runs differ by", "mean shift", "agree within intervals", "half-width", "at most 5 %",
    "at most 10 %", "wall time per case", "wall time for 1 %",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What a tool says of one case: seconds per call, and its 95 % interval where it has one."""

    seconds: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Return half the interval's width in log time."""
        return None if self.low is None or self.high is None else 0.5 * math.log(self.high / self.low)


Session = dict[str, Known]


@dataclass(frozen=True)
class Agreement:
    """Two or more sessions of one tool: standard deviation and mean of log ratios over cases, averaged over pairs.

    `agree` is the share of cases within their combined intervals, `half_width` the median; `within_5` and `within_10`
    the shares of intervals at most so wide.
    """

    cases: int
    apart: float
    shift: float
    agree: float | None
    half_width: float | None
    within_5: float | None
    within_10: float | None

    def seconds_for(self, precision: float, *, spent: float) -> float:
        """Return the wall time per case at which one run would scatter by so much, as scatter falls with its root."""
        return spent * (self.apart / math.sqrt(2) / precision) ** 2


def agreement(sessions: Sequence[Mapping[str, Known]]) -> Agreement:
    """Compare every pair of sessions over the cases that all have. Raises ValueError for fewer than two of either."""
    shared = sorted(set.intersection(*(set(one) for one in sessions)))
    if len(sessions) < 2 or len(shared) < 2:
        raise ValueError(f"{len(sessions)} sessions share {len(shared)} timed cases: two of each are needed")
    apart, shifts, agree = [], [], []
    for first, second in itertools.combinations(sessions, 2):
        ratios = np.array([math.log(second[name].seconds / first[name].seconds) for name in shared])
        apart.append(float(ratios.std(ddof=1)))
        shifts.append(abs(float(ratios.mean())))
        for name, ratio in zip(shared, ratios, strict=True):
            widths = (first[name].half_width, second[name].half_width)
            if widths[0] is not None and widths[1] is not None:
                agree.append(abs(ratio) <= math.hypot(widths[0], widths[1]))
    known = [width for one in sessions for name in shared if (width := one[name].half_width) is not None]
    return Agreement(
        cases=len(shared),
        apart=float(np.sqrt(np.mean(np.square(apart)))),
        shift=float(np.mean(shifts)),
        agree=float(np.mean(agree)) if agree else None,
        half_width=float(np.median(known)) if known else None,
        within_5=float(np.mean(np.array(known) <= math.log(1.05))) if known else None,
        within_10=float(np.mean(np.array(known) <= math.log(1.10))) if known else None,
    )


def session_of(run: Run) -> Session:
    """Return the times that a run shows, by case id."""
    return {
        record.case.id: Known(record.time.seconds, *(record.time.interval or (None, None)))
        for record in run.records
        if record.time is not None and record.status == "ok"
    }


def row(tool: str, found: Agreement, *, spent: float) -> tuple[str, ...]:
    """Write a row under COLUMNS; `spent` is the wall time per case in seconds."""
    return (
        tool,
        str(found.cases),
        f"{found.apart:.1%}",
        f"{found.shift:.1%}",
        *("none" if share is None else f"{share:.0%}" for share in (found.agree,)),
        "none" if found.half_width is None else f"{found.half_width:.1%}",
        *("none" if share is None else f"{share:.0%}" for share in (found.within_5, found.within_10)),
        f"{spent:.2f} s",
        f"{found.seconds_for(0.01, spent=spent):.2f} s",
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows as a Markdown table."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def bench(directory: Path, arguments: Sequence[str]) -> float:
    """Run attnbench in a process of its own; return its wall time."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "attnbench", "run", *arguments, "-o", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def others(tool: str, directory: Path, *, seconds: float) -> Session:
    """Time the cases of a run by another tool in a process of its own, so many seconds per case."""
    command = [sys.executable, "-m", "tests.evidence.peers.equal_time", tool, str(directory), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name: Known(*figures) for name, figures in json.loads(done.stdout).items()}


def measure(
    arguments: Sequence[str], *, sessions: int, gap: float, folder: Path
) -> tuple[dict[str, list[Session]], float]:
    """Take sessions of every tool, the tools in turn; return them with the wall time per case in seconds."""
    found: dict[str, list[Session]] = {tool: [] for tool in (OURS, *OTHERS)}
    first, spent = folder / "0", 0.0
    for number in range(sessions):
        # The first bench tells how long a case may take; after it, another tool begins each session.
        turn = number % len(found)
        for tool in [*found][turn:] + [*found][:turn]:
            if tool == OURS:
                wall = bench(folder / str(number), arguments)
                session = session_of(read_run(folder / str(number)))
                spent = spent or wall / max(len(session), 1)
            else:
                session = others(tool, first, seconds=spent)
            found[tool].append(session)
        if number + 1 < sessions:
            time.sleep(gap)
    return found, spent


def section(found: Mapping[str, Sequence[Session]], *, spent: float, gap: float, where: str, bench: str) -> str:
    """Write the section of the page."""
    sessions = len(found[OURS])
    lines = [
        "## Two runs",
        "",
        f"{sessions} sessions of each tool, in turn, each in a process of its own, {gap:.0f} s between sessions; every",
        f"tool had the same wall time per case, all of ours included. The bench is `{bench}`; written by",
        f"`nox -s reproducibility` on {where}.",
        "",
        *table([row(tool, agreement(taken), spent=spent) for tool, taken in found.items()]),
        "",
        "Two runs differ by the standard deviation of the log ratio over cases; wall time for 1 % is what a case would",
        "need for one run to scatter by so much. The others claim no interval: each has that of the median of",
        "independent samples.",
    ]
    return "\n".join(lines) + "\n"


def put(page: str, text: str) -> str:
    """Return the page with its section replaced, or added at the end."""
    marked = f"{BEGIN}\n{text}{END}\n"
    if BEGIN not in page:
        return f"{page.rstrip()}\n\n{marked}"
    before, _, rest = page.partition(BEGIN)
    return before + marked + rest.partition(END)[2].lstrip("\n")


def keep(old: str, new: str) -> str:
    """Return a new page with the section that the old one has, if any."""
    if BEGIN not in old:
        return new
    return put(new, old.partition(BEGIN)[2].partition(END)[0].removeprefix("\n"))


def compare(directories: Sequence[Path]) -> list[str]:
    """Compare run directories that exist."""
    runs = [read_run(directory) for directory in directories]
    found = agreement([session_of(run) for run in runs])
    walls = [run.summary.wall_seconds for run in runs if run.summary is not None]
    spent = float(np.mean(walls)) / found.cases if walls else math.nan
    return table([row(OURS, found, spent=spent)])


def where() -> str:
    """Name the machine."""
    import platform

    import torch

    return f"{platform.machine()} with {torch.get_num_threads()} threads, torch {torch.__version__}"


def main() -> None:
    """Measure and write the page, or compare two runs and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", type=Path, metavar="DIR", help="run directories to compare instead")
    parser.add_argument("--quick", action="store_true", help="six cases, two sessions, under four minutes")
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--gap", type=float, default=120.0, help="seconds between sessions")
    parser.add_argument("--print", action="store_true", dest="only_print")
    options, arguments = parser.parse_known_args()
    if options.runs:
        print("\n".join(compare(options.runs)))  # noqa: T201
        return
    sessions, gap = (2, 15.0) if options.quick else (options.sessions, options.gap)
    with tempfile.TemporaryDirectory() as folder:
        taken = QUICK if options.quick else arguments
        found, spent = measure(taken, sessions=sessions, gap=gap, folder=Path(folder))
    text = section(found, spent=spent, gap=gap, where=where(), bench=" ".join(["attnbench run", *taken]))
    if options.only_print or options.quick:
        print(text)  # noqa: T201
    else:
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
