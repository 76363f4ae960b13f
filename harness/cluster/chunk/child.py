"""The process that carries an order out: `python -P -m harness.cluster.chunk.child FOLDER CORES`, under a guard.

The folder holds device.txt; it gets order.json, of which a line on standard input tells, and what comes of that goes
beside them: plan.json or the directory run. Until the order is there the process imports what it will need, and has a
worker do so. Standard output tells of progress, a JSON object a line, of the answer, and by empty lines that the
process lives. One that has planned keeps its worker and waits for another order; one that has measured ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cluster.chunk import guard

if TYPE_CHECKING:
    from harness.cluster.orders import Answer, Kernel, Order
    from harness.runner.process import WorkerProcess
    from harness.runner.progress import Progress
    from harness.runner.supervisor import Supervisor, WorkerSettings

# What planning and measuring import.
NEEDED = (
    *("harness.cluster.orders", "harness.cluster.chunk.stages", "harness.runner.execute", "harness.runner.plan"),
    "harness.verdicts.judging",
)
# What the line begins with that has the answer, as JSON: a file could not be written where the disk is full.
ANSWERED = b"answered "
ORDER, DEVICE, PLAN, RUN = "order.json", "device.txt", "plan.json", "run"
# Seconds between two signs of life.
BEAT_SECONDS = 5.0


@dataclass(frozen=True)
class _Planned:
    """A supervisor that has planned, with the settings of its worker and the kernels that this has loaded."""

    kernels: list[Kernel]
    settings: WorkerSettings
    supervisor: Supervisor


@dataclass
class Hands:
    """What carries orders out on a device, into a folder; `ahead` is a worker that waits for what it starts with."""

    folder: Path
    device: str
    ahead: WorkerProcess | None = None
    _planned: _Planned | None = None

    def supervisor(self, order: Order, settings: WorkerSettings, *, progress: Progress) -> Supervisor:
        """Return a supervisor for an order: that of the planning before, where its worker has these kernels loaded."""
        from harness.runner.supervisor import Supervisor

        planned, self._planned = self._planned, None
        if planned and order.plan and (planned.settings, planned.kernels) == (settings, order.kernels):
            # Where its seconds went is told of the measuring alone.
            planned.supervisor.stages.seconds.clear()
            return planned.supervisor
        if planned:
            planned.supervisor.drop()
        made, self.ahead = Supervisor(settings, progress=progress, ahead=self.ahead), None
        return made

    def keep(self, order: Order, supervisor: Supervisor, *, settings: WorkerSettings) -> None:
        """Keep what has planned, whose worker turned out to have these settings."""
        self._planned = _Planned(order.kernels, settings, supervisor)


def carry_out(order: Order, hands: Hands) -> Answer:
    """Plan, or measure, what an order says; whatever stands in the way becomes the answer."""
    from harness.cluster.orders import Answer
    from harness.results.device_lock import DeviceHeldError
    from harness.runner.execute import ForeignCodeError
    from harness.runner.selection import SelectionError
    from harness.runner.supervisor import WorkerError

    try:
        (_measure if order.plan else _plan)(order, hands)
    except DeviceHeldError as error:
        return Answer(kind="held", reason=str(error))
    except ForeignCodeError as error:
        return Answer(kind="refused", reason=str(error))
    except SelectionError as error:
        # A plan that was made already is not the fault of who asked for it.
        return Answer(kind="failed" if order.plan else "mistake", reason=str(error))
    except (ValueError, OSError, WorkerError) as error:
        return Answer(kind="failed", reason=str(error))
    return Answer(kind="part")


def _plan(order: Order, hands: Hands) -> None:
    """Make the plan of a class on its device."""
    from harness.cluster.chunk.stages import StageLines
    from harness.cluster.orders import laid_out
    from harness.runner.plan import make_plan
    from harness.runner.selection import SelectionError
    from harness.runner.supervisor import WorkerSettings

    if order.asked is None:
        raise ValueError("an order without a plan must say what is asked for")
    request = order.asked.request(device=hands.device, impl_files=laid_out(order.kernels, hands.folder / "kernels"))
    shown = StageLines(sys.stdout)
    supervisor = hands.supervisor(order, WorkerSettings.of(request), progress=shown)
    try:
        plan = make_plan(request, supervisor, progress=shown)
        hands.keep(order, supervisor, settings=WorkerSettings.of(plan))
    except BaseException:
        supervisor.drop()
        raise
    skipped = [planned for planned in plan.cases if planned.skip]
    if len(skipped) == len(plan.cases):
        raise SelectionError(f"no case can run on {order.on}; {skipped[0].case.label}: {skipped[0].reason}")
    (hands.folder / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")


def _measure(order: Order, hands: Hands) -> None:
    """Take the chunk's plan to its end, as a run of its own."""
    from harness.cluster.chunk.stages import StageLines
    from harness.cluster.orders import laid_out
    from harness.runner.execute import take_over
    from harness.runner.supervisor import WorkerSettings

    plan = order.plan
    if plan is None or plan.device != hands.device:
        raise ValueError(f"the plan is for {plan and plan.device}, the device here is {hands.device}")
    plan = plan.model_copy(update={"impl_files": list(laid_out(order.kernels, hands.folder / "kernels"))})
    shown = StageLines(sys.stdout)
    # What refuses the plan before its device is held leaves no worker either.
    with hands.supervisor(order, WorkerSettings.of(plan), progress=shown) as supervisor:
        finished = take_over(
            plan, hands.folder / RUN, progress=shown, limits=order.limits.time_limits(), supervisor=supervisor
        )
    if finished.is_interrupted:
        raise ValueError("; ".join(finished.summary.warnings[-1:]) or "it was interrupted")


def main() -> None:
    """Carry out orders that come into a folder, on some cores, to the first that measures; end with who gives them."""
    told = threading.Event()
    folder, cores = Path(sys.argv[1]), sys.argv[2]
    guard.pin([int(core) for core in cores.split(",") if core])
    guard.end_with_parent(guard.kill_all, on_word=told.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_beat, daemon=True).start()
    device = (folder / DEVICE).read_text(encoding="utf-8")

    from harness.runner.supervisor import launch_ahead

    # It imports torch, which takes longest, while this process imports the rest.
    hands = Hands(folder, device, launch_ahead(device))
    for name in NEEDED:
        importlib.import_module(name)
    has_measured = False
    while not has_measured:
        told.wait()
        told.clear()
        has_measured = _answer(hands)
    # A thread waits on standard input for as long as the parent holds it.
    os._exit(0)


def _beat() -> None:
    """Give signs of life for as long as somebody may read them."""
    with contextlib.suppress(OSError):
        while True:
            time.sleep(BEAT_SECONDS)
            _say(b"")


def _answer(hands: Hands) -> bool:
    """Carry out the order that lies in the folder and answer; return whether that was to measure."""
    from harness.cluster.orders import Order

    order = Order.model_validate_json((hands.folder / ORDER).read_bytes())
    tell(carry_out(order, hands))
    return order.plan is not None


def tell(answer: Answer) -> None:
    """Say what came of an order to who gave it."""
    sys.stdout.flush()
    _say(ANSWERED + answer.model_dump_json().encode())


def _say(line: bytes) -> None:
    """Write a line whole, whichever thread writes another; the buffer has a lock for each write."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
