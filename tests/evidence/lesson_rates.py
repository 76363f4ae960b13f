"""How steady the lesson's verdicts are: `python -m tests.evidence.lesson_rates [--runs 5] [--write docs/lesson.md]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.machine import environment
from harness.results.run import read_run
from reports.lesson import page
from reports.lesson.lines import LINES
from tests.support.sections import replaced

SECTION = "lesson rates"
RUNS = 5
# What must come out on a two-core CPU in all runs but one, and its opposite in none.
ASKED = {"A2": "confirmed", "A4": "confirmed", "B1": "confirmed", "B2": "confirmed", "A3": "refuted", "A5": "refuted"}
OPPOSITE = {"confirmed": "refuted", "refuted": "confirmed"}
MISSED_AT_MOST = 1


@dataclass(frozen=True)
class Row:
    """A line of the lesson for one implementation, with its verdict in each run; `asked` is empty where none is."""

    line: str
    implementation: str
    asked: str
    verdicts: tuple[str, ...]

    @property
    def held(self):
        """Tell whether the verdicts are as asked in all runs but one, and never the opposite."""
        if not self.asked:
            return True
        missed = sum(verdict != self.asked for verdict in self.verdicts)
        return missed <= MISSED_AT_MOST and OPPOSITE[self.asked] not in self.verdicts


def rows(runs):
    """Return a row for each line and implementation, from each run's verdicts."""
    judged = [
        {one.line.id: {name: verdict for name, verdict, _ in one.verdicts} for one in page.group_by_claim(run)}
        for run in runs
    ]
    return [
        Row(
            line=line.id,
            implementation=name,
            asked=ASKED.get(line.claim, ""),
            verdicts=tuple(of_run[line.id].get(name, "not measured") for of_run in judged),
        )
        for line in LINES
        for name in line.implementations
    ]


def table(found):
    """Write the rows."""
    runs = len(found[0].verdicts)
    lines = [
        f"| line | implementation | {' | '.join(f'run {i + 1}' for i in range(runs))} | asked for | held |",
        "|---" * (runs + 4) + "|",
    ]
    for row in found:
        held = ("yes" if row.held else "no") if row.asked else ""
        lines.append(f"| {row.line} | {row.implementation} | {' | '.join(row.verdicts)} | {row.asked} | {held} |")
    return lines


def section(found, seconds):
    """Write the section: where it ran, how long it took, the table."""
    stable = environment.describe("cpu").stable
    took = ", ".join(f"{each:.0f} s" for each in seconds)
    machine = f"{stable['cpu']}, threads: {stable['threads']}, torch {stable['torch']}"
    return "\n".join(
        [
            f"Written by `python -m tests.evidence.lesson_rates --write docs/lesson.md` on {machine}.",
            f"`attnbench lesson`, {len(seconds)} one after another, took {took}.",
            "",
            *table(found),
        ]
    )


def teach(directory):
    """Run a lesson; return its verdicts and how long it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "attnbench", "lesson", "--device", "cpu", "-o", str(directory)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return read_run(directory).verdicts, time.monotonic() - started


def main(arguments=None):
    """Run the lessons, print the section, and write it into a page where asked; fail where a row does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--write", type=Path, help=f"page whose section {SECTION!r} is replaced")
    parser.add_argument("--keep", type=Path, help="directory to leave the runs in")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        home = options.keep or Path(scratch)
        lessons = [teach(home / f"lesson-{index + 1}") for index in range(options.runs)]
    found = rows([verdicts for verdicts, _ in lessons])
    text = section(found, [seconds for _, seconds in lessons])
    sys.stdout.write(text + "\n")
    if options.write:
        options.write.write_text(replaced(options.write.read_text(encoding="utf-8"), SECTION, text), encoding="utf-8")
    return not all(row.held for row in found)


if __name__ == "__main__":
    raise SystemExit(main())
