"""What several devices are at: one screen where someone watches, a JSON object a line on standard error elsewhere."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from reports import text, units

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.cluster.orders import Announcement, Order
    from harness.cluster.seen import State

# Without a terminal the state of all devices is told once in this many seconds; while other runs hold them all, who
# holds them is.
STATE_SECONDS = 10.0
# Width of a bar on the screen, and the last lines kept under the table.
BAR, NOTES = 12, 6


class Shown(Protocol):
    """Hears what happens to a sweep, and takes remarks; as a context it takes itself away at the end."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def note(self, line: str) -> None: ...  # noqa: D102
    def joined(self, worker: Announcement) -> None: ...  # noqa: D102
    def refused(self, worker: str, reason: str) -> None: ...  # noqa: D102
    def begun(self, order: Order, worker: Announcement) -> None: ...  # noqa: D102
    def lost(self, order: Order, worker: str, reason: str) -> None: ...  # noqa: D102
    def state(self, now: State) -> None: ...  # noqa: D102


class JsonLines:
    """Write each event as a JSON object on a line, and where everything is, now and then."""

    def __init__(self, stream: TextIO, *, is_quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._is_quiet, self._clock = stream, is_quiet, clock
        self._last, self._done = float("-inf"), -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave what was written."""

    def note(self, line: str) -> None:
        """Write a remark."""
        self._write("note", text=line)

    def joined(self, worker: Announcement) -> None:
        """Write of a worker that takes part."""
        self._write("joined", worker=worker.place, on=worker.on, model=worker.model, process=worker.process)

    def refused(self, worker: str, reason: str) -> None:
        """Write of a worker that gets no order."""
        self._write("refused", is_always=True, worker=worker, reason=reason)

    def begun(self, order: Order, worker: Announcement) -> None:
        """Write that an attempt begins."""
        self._write("begun", order=order.name, attempt=order.attempt, worker=worker.place, seconds=order.seconds)

    def lost(self, order: Order, worker: str, reason: str) -> None:
        """Write that an attempt came to nothing."""
        self._write("lost", is_always=True, order=order.name, attempt=order.attempt, worker=worker, reason=reason)

    def state(self, now: State) -> None:
        """Write where everything is, where something ended or some time has passed."""
        is_waiting = bool(now.held) and now.held.keys() == now.workers.keys()
        if now.done == self._done and (is_waiting or self._clock() - self._last < STATE_SECONDS):
            return
        self._last, self._done = self._clock(), now.done
        devices = [
            {"worker": worker.place, "order": order.name, "phase": stage.phase, "share": stage.share, "seconds": spent}
            for address, worker in now.workers.items()
            if address in now.at
            for order, stage, spent in [now.at[address]]
        ]
        self._write("state", done=now.done, of=now.of, seconds_left=now.seconds_left, devices=devices)

    def _write(self, event: str, *, is_always: bool = False, **facts: Any) -> None:
        if is_always or not self._is_quiet:
            print(json.dumps({"event": event, **facts}), file=self._stream, flush=True)


class Screen:
    """Keep one table on the terminal: a line for each device, what is done, and when all will be."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(refresh_per_second=2, transient=True)
        self._notes: list[str] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def note(self, line: str) -> None:
        """Print a line above the table."""
        self._live.console.print(text.line(line), markup=False)

    def joined(self, worker: Announcement) -> None:
        """Say nothing: the table has it."""

    def refused(self, worker: str, reason: str) -> None:
        """Say who gets no order."""
        self.note(f"{worker} is refused: {reason}")

    def begun(self, order: Order, worker: Announcement) -> None:
        """Say nothing: the table has it."""

    def lost(self, order: Order, worker: str, reason: str) -> None:
        """Say which attempt came to nothing."""
        self.note(f"chunk {order.name}, attempt {order.attempt}, on {worker}: {reason}")

    def state(self, now: State) -> None:
        """Draw the table anew."""
        self._live.update(table(now))


def table(now: State) -> Any:
    """Return the table of a moment: a row for each device."""
    from rich.table import Table

    left = units.clock(now.seconds_left)
    drawn = Table(title=f"{now.done} of {now.of} chunks, ETA {left}", title_justify="left", box=None)
    for column in ("class", "device", "chunk", "", "at"):
        drawn.add_column(column)
    for address, worker in sorted(now.workers.items(), key=lambda one: one[1].place):
        if address in now.held:
            drawn.add_row(worker.on, text.line(worker.place), "", "", text.line(now.held[address])[:70])
            continue
        if address not in now.at:
            drawn.add_row(worker.on, text.line(worker.place), "", "", "idle")
            continue
        order, stage, spent = now.at[address]
        share = min(1.0, spent / order.seconds) if order.seconds > 0.0 else stage.share
        full = round(BAR * share)
        bar = "━" * full + "─" * (BAR - full)
        drawn.add_row(
            worker.on, text.line(worker.place), order.name, bar, text.line(f"{stage.phase} {stage.line}")[:70]
        )
    return drawn


def shown(*, is_quiet: bool, is_json: bool) -> Shown:
    """Choose the screen where someone watches, lines elsewhere; who asks for quiet hears of losses alone."""
    if sys.stdout.isatty() and not os.environ.get("CI") and not is_quiet and not is_json:
        return Screen()
    return JsonLines(sys.stderr, is_quiet=is_quiet)
