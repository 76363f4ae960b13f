"""Progress: a run's events as a bar on a terminal, as plain lines elsewhere, with an ETA weighted by predicted cost."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from reports import text, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import Case, Preparation, Record
    from harness.runner.progress import Extra, Part, Phase

# Why a part of a run that gets little of its time is left out, and what asks for it.
EXTRAS = {
    "sustained load": "it gets a small share of a run; --sustain gives it the time it needs",
    "fresh memory": "it gets a small share of a run; --fresh-memory gives it the time it needs",
}
# Without a terminal, rounds print at most one line in this many seconds.
LINE_SECONDS = 10.0


class Pace:
    """Predict the seconds left of a phase from the predicted seconds done, total, and what they took."""

    def __init__(self, total: float) -> None:
        self.total, self.done, self.started = total, 0.0, time.monotonic()

    def left(self) -> float | None:
        """Return seconds left, None before anything is done."""
        if self.done <= 0.0:
            return None
        return max(0.0, self.total - self.done) * (time.monotonic() - self.started) / self.done


class Display(Protocol):
    """Where text about a run goes; `amount` and `total` are predicted seconds."""

    def phase(self, name: str, *, total: float) -> None: ...  # noqa: D102
    def advance(self, amount: float, line: str, *, count: str = "", point: str = "") -> None: ...  # noqa: D102
    def note(self, line: str) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def silence(stream: TextIO | None) -> None:
    """Let what is still printed to a stream that fails go nowhere, its buffer included."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Lines:
    """Plain lines for logs, on standard output unless told otherwise.

    The cases of a point have one line, that of the first, or one in ten seconds; failures always have theirs. Where
    the reader of a pipe has gone away, the run under way is interrupted, and the rest is said on standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._pace = Pace(0.0)
        self._name = ""
        self._point = ""
        self._last = 0.0

    def phase(self, name: str, *, total: float) -> None:
        """Begin a phase whose predicted seconds are `total`."""
        self._pace, self._name, self._point = Pace(total), name, ""

    def advance(self, amount: float, line: str, *, count: str = "", point: str = "") -> None:
        """Say what was done, worth `amount` predicted seconds; `point` if the line may be spared beside others of it.

        Raises KeyboardInterrupt where nobody reads any more.
        """
        self._pace.done += amount
        now = time.monotonic()
        is_due = now - self._last >= LINE_SECONDS
        if line and (is_due or not point or point != self._point):
            self._print(f"[{count}] {line} ETA {units.clock(self._pace.left())}" if count else line)
            self._point = point
        elif not line and is_due:
            share = self._pace.done / self._pace.total if self._pace.total else 1.0
            self._print(f"{self._name}: {share:.0%} ETA {units.clock(self._pace.left())}")

    def note(self, line: str) -> None:
        """Say something outside the phases. Raises KeyboardInterrupt where nobody reads any more."""
        self._print(line)

    def close(self) -> None:
        """End the last phase."""

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        stream = self._stream or sys.stdout
        try:
            print(text.line(line), flush=True, file=stream)
        except BrokenPipeError:
            silence(stream)
            if stream is sys.stderr:
                return
            self._stream = sys.stderr
            raise KeyboardInterrupt from None


class Bar:
    """A bar for people at a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("ETA {task.fields[eta]}"),
            TextColumn("{task.fields[line]}"),
        )
        self._task: Any = None
        self._pace = Pace(0.0)
        self._bar.start()

    def phase(self, name: str, *, total: float) -> None:
        """Begin a phase whose predicted seconds are `total`."""
        if self._task is not None:
            self._bar.update(self._task, visible=False)
        self._pace = Pace(total)
        self._task = self._bar.add_task(name, total=max(total, 1e-9), eta="-:--", line="")

    def advance(self, amount: float, line: str, *, count: str = "", point: str = "") -> None:  # noqa: ARG002
        """Say what was done, worth `amount` predicted seconds."""
        self._pace.done += amount
        self._bar.update(self._task, advance=amount, eta=units.clock(self._pace.left()))
        if line:
            self._bar.update(self._task, line=text.line(f"{count} {line}")[:60])

    def note(self, line: str) -> None:
        """Say something outside the phases."""
        self._bar.console.print(text.line(line), markup=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class Reporter:
    """Put a run's events into words on a display; as a context it closes the display."""

    def __init__(self, display: Display) -> None:
        self._display = display
        # Of a phase whose cases are counted: how many there are, and how many are done.
        self._cases, self._done = 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._display.close()

    def phase_begun(self, phase: Phase, *, cost: float, cases: int) -> None:
        """Show a phase; the cases of the first, where each has its line, are counted."""
        self._cases, self._done = cases if phase == "agreement" else 0, 0
        self._display.phase(phase, total=cost)

    def round_begun(self, number: int, *, cost: float, cases: int) -> None:  # noqa: ARG002  # rounds are not counted
        """Show a round as a phase of its own."""
        self._cases = 0
        self._display.phase(f"round {number}", total=cost)

    def prepared(self, case: Case, preparation: Preparation, *, cost: float) -> None:
        """Say how well a case agreed and what a call takes."""
        ratio = preparation.agreement.ratio
        agreed = "agrees" if ratio is None else f"agrees ({ratio:.2f} of budget)"
        took = units.duration(preparation.call_seconds)
        self._advance(cost, f"{case.label}: {agreed}, {took} per call", point=case.point_key)

    def done(self, case: Case, *, cost: float) -> None:  # noqa: ARG002  # most cases pass without a word
        """Move on without a word."""
        self._advance(cost, "")

    def failed(self, record: Record, *, cost: float) -> None:
        """Say how a case failed."""
        self._advance(cost, f"{record.case.label}: {record.status}, {record.reason}")

    def missed(self, case: Case, extra: Extra, reason: str, *, cost: float) -> None:
        """Say what could not be measured of a case."""
        subject, verb = (case.implementation, "counted") if extra == "operations" else (case.label, "compared")
        self._advance(cost, f"{subject}: {extra} not {verb}, {reason}")

    def left_out(self, part: Part, cases: Sequence[Case], *, budget: float) -> None:
        """Say what the time budget does not hold, naming the dearest."""
        dearest = f"; the dearest: {cases[0].label}" if len(cases) > 1 else f": {cases[0].label}"
        many = f"{len(cases)} case{'s' if len(cases) > 1 else ''}"
        what = many if part == "cases" else f"{part} of {many}"
        why = EXTRAS.get(part) or f"a time budget of {units.duration(budget)} does not hold more"
        self._display.note(f"left out: {what}{dearest} ({why})")

    def brought_back(self, cases: Sequence[Case]) -> None:
        """Say how many cases come back."""
        self._display.note(f"there is time for {len(cases)} of the cases left out: they are measured after all")

    def rounds_expected(self, rounds: int, *, aimed: int) -> None:
        """Say that intervals will be wider than they could be."""
        self._display.note(f"the time budget holds about {rounds} rounds, {aimed} are aimed at: intervals will be wide")

    def crowded(self, processes: Sequence[str]) -> None:
        """Say who takes the cores before anything is measured."""
        self._display.note(f"the cores are taken by {', '.join(processes)}: times will be too long")

    def waiting(self, processes: Sequence[str], *, seconds: float) -> None:
        """Say that the machine is busy, and with what."""
        who = f" by {', '.join(processes)}" if processes else ""
        self._display.note(f"the cores are taken{who}: waiting up to {units.duration(seconds)}")

    def unavailable(self, source: str, reason: str) -> None:
        """Say which source gives no implementation."""
        self._display.note(f"{source}: {reason}")

    def examining(self, implementation: str, dtype: str, *, probes: int) -> None:
        """Say what is held against the battery, and show how far it is."""
        self._display.note(f"checking {implementation} {dtype}")
        self._display.phase(f"checking {implementation} {dtype}", total=probes)

    def probed(self) -> None:
        """Move on without a word."""
        self._display.advance(1.0, "")

    def judging(self) -> None:
        """Say that the claims are judged."""
        self._display.note("judging the claims")

    def interrupted(self) -> None:
        """Say how an interrupted run is continued."""
        self._display.note("interrupted: what was measured is kept; continue with --resume")

    def replaced(self, implementation: str) -> None:
        """Say what is measured anew."""
        self._display.note(f"{implementation}: its source changed since the run was begun; it is measured anew")

    def nothing_left(self, directory: str) -> None:
        """Say that a run is finished."""
        self._display.note(f"{directory} is finished: nothing is left to measure")

    def resumed(self, directory: str) -> None:
        """Say under which plan a run goes on."""
        self._display.note(f"resuming: scenarios, cases and options are those of {directory}")

    def _advance(self, cost: float, line: str, *, point: str = "") -> None:
        self._done += 1
        self._display.advance(cost, line, count=f"{self._done}/{self._cases}" if self._cases else "", point=point)


class Quiet(Reporter):
    """Tell of what failed, and of what interrupts or changes a run; of nothing else."""

    def phase_begun(self, phase: Phase, *, cost: float, cases: int) -> None:
        """Say nothing."""

    def round_begun(self, number: int, *, cost: float, cases: int) -> None:
        """Say nothing."""

    def prepared(self, case: Case, preparation: Preparation, *, cost: float) -> None:
        """Say nothing."""

    def done(self, case: Case, *, cost: float) -> None:
        """Say nothing."""

    def left_out(self, part: Part, cases: Sequence[Case], *, budget: float) -> None:
        """Say nothing: the summary says it."""

    def brought_back(self, cases: Sequence[Case]) -> None:
        """Say nothing: they have records."""

    def rounds_expected(self, rounds: int, *, aimed: int) -> None:
        """Say nothing: the report says it."""

    def crowded(self, processes: Sequence[str]) -> None:
        """Say nothing: the summary says it."""

    def waiting(self, processes: Sequence[str], *, seconds: float) -> None:
        """Say nothing: the summary says it."""

    def examining(self, implementation: str, dtype: str, *, probes: int) -> None:
        """Say nothing."""

    def probed(self) -> None:
        """Say nothing."""

    def judging(self) -> None:
        """Say nothing."""

    def resumed(self, directory: str) -> None:
        """Say nothing."""


def make() -> Reporter:
    """Return one that speaks on the display that fits standard output."""
    return Reporter(display())


def display() -> Display:
    """Choose the bar if someone watches, plain lines where a log is written."""
    return Bar() if sys.stdout.isatty() and not os.environ.get("CI") else Lines()
