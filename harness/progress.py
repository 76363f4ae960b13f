"""Progress: a rich bar on a terminal, plain lines elsewhere, both with an ETA weighted by predicted cost."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from harness.run import Progress

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


def clock(seconds: float | None) -> str:
    """Format seconds as m:ss."""
    return "-:--" if seconds is None else f"{int(seconds // 60)}:{int(seconds % 60):02d}"


class Lines:
    """One plain line per case, for logs; on standard output unless told otherwise."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._pace = Pace(0.0)
        self._name = ""
        self._last = 0.0

    def phase(self, name: str, *, total: float) -> None:
        """Begin a phase whose predicted seconds are `total`."""
        self._pace, self._name = Pace(total), name

    def advance(self, amount: float, line: str, *, count: str = "") -> None:
        """Say what was done, worth `amount` predicted seconds."""
        self._pace.done += amount
        now = time.monotonic()
        if line:
            self._print(f"[{count}] {line} ETA {clock(self._pace.left())}" if count else line)
        elif now - self._last >= LINE_SECONDS:
            share = self._pace.done / self._pace.total if self._pace.total else 1.0
            self._print(f"{self._name}: {share:.0%} ETA {clock(self._pace.left())}")

    def note(self, line: str) -> None:
        """Say something outside the phases."""
        self._print(line)

    def close(self) -> None:
        """End the last phase."""

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        print(line, flush=True, file=self._stream or sys.stdout)


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

    def advance(self, amount: float, line: str, *, count: str = "") -> None:
        """Say what was done, worth `amount` predicted seconds."""
        self._pace.done += amount
        self._bar.update(self._task, advance=amount, eta=clock(self._pace.left()))
        if line:
            self._bar.update(self._task, line=f"{count} {line}"[:60])

    def note(self, line: str) -> None:
        """Say something outside the phases."""
        self._bar.console.print(line, markup=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def make() -> Progress:
    """Choose the bar where someone watches, plain lines where a log is written."""
    return Bar() if sys.stdout.isatty() and not os.environ.get("CI") else Lines()
