"""The process that carries one order out: `python -P -m harness.cluster.chunk.child FOLDER CORES`, under a guard.

The folder holds device.txt; it gets order.json, of which a line on standard input tells, and what comes of that goes
beside them: answer.json, and plan.json or the directory run. Until the order is there the process imports what it will
need, and has a worker do so. Standard output tells of progress, a JSON object a line.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cluster.chunk import guard

if TYPE_CHECKING:
    from harness.cluster.orders import Answer, Order
    from harness.runner.process import WorkerProcess

# What planning and measuring import.
NEEDED = (
    *("harness.cluster.orders", "harness.cluster.chunk.stages", "harness.runner.execute", "harness.runner.plan"),
    "harness.verdicts.judging",
)
ORDER, DEVICE, ANSWER, PLAN, RUN = "order.json", "device.txt", "answer.json", "plan.json", "run"


def carry_out(order: Order, folder: Path, *, device: str, ahead: WorkerProcess | None = None) -> Answer:
    """Plan, or measure, what an order says, into a folder; whatever stands in the way becomes the answer.

    `ahead` is a worker for the device that waits for what it starts with.
    """
    from harness.cluster.orders import Answer
    from harness.results.device_lock import DeviceHeldError
    from harness.runner.execute import ForeignCodeError
    from harness.runner.selection import SelectionError
    from harness.runner.supervisor import WorkerError

    try:
        (_measure if order.plan else _plan)(order, folder, device=device, ahead=ahead)
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


def _plan(order: Order, folder: Path, *, device: str, ahead: WorkerProcess | None) -> None:
    """Make the plan of a class on its device."""
    from harness.cluster.chunk.stages import StageLines
    from harness.cluster.orders import laid_out
    from harness.runner.plan import make_plan
    from harness.runner.selection import SelectionError
    from harness.runner.supervisor import Supervisor, WorkerSettings

    if order.asked is None:
        raise ValueError("an order without a plan must say what is asked for")
    request = order.asked.request(device=device, impl_files=laid_out(order.kernels, folder / "kernels"))
    shown = StageLines(sys.stdout)
    with Supervisor(WorkerSettings.of(request), progress=shown, ahead=ahead) as supervisor:
        plan = make_plan(request, supervisor, progress=shown)
    skipped = [planned for planned in plan.cases if planned.skip]
    if len(skipped) == len(plan.cases):
        raise SelectionError(f"no case can run on {order.on}; {skipped[0].case.label}: {skipped[0].reason}")
    (folder / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")


def _measure(order: Order, folder: Path, *, device: str, ahead: WorkerProcess | None) -> None:
    """Take the chunk's plan to its end, as a run of its own."""
    from harness.cluster.chunk.stages import StageLines
    from harness.cluster.orders import laid_out
    from harness.runner.execute import take_over

    plan = order.plan
    if plan is None or plan.device != device:
        raise ValueError(f"the plan is for {plan and plan.device}, the device here is {device}")
    plan = plan.model_copy(update={"impl_files": list(laid_out(order.kernels, folder / "kernels"))})
    limits = order.limits.time_limits()
    finished = take_over(plan, folder / RUN, progress=StageLines(sys.stdout), limits=limits, ahead=ahead)
    if finished.is_interrupted:
        raise ValueError("; ".join(finished.summary.warnings[-1:]) or "it was interrupted")


def main() -> None:
    """Carry out the order that comes into a folder, on some cores; end with who gives it."""
    told = threading.Event()
    folder, cores = Path(sys.argv[1]), sys.argv[2]
    guard.pin([int(core) for core in cores.split(",") if core])
    guard.end_with_parent(guard.kill_all, on_word=told.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    device = (folder / DEVICE).read_text(encoding="utf-8")

    from harness.runner.supervisor import launch_ahead

    # It imports torch, which takes longest, while this process imports the rest.
    ahead = launch_ahead(device)
    for name in NEEDED:
        importlib.import_module(name)
    told.wait()

    from harness.cluster.orders import Order

    order = Order.model_validate_json((folder / ORDER).read_bytes())
    answer = carry_out(order, folder, device=device, ahead=ahead)
    partial = folder / f"{ANSWER}.part"
    partial.write_text(answer.model_dump_json(), encoding="utf-8")
    partial.replace(folder / ANSWER)
    sys.stdout.flush()
    # A thread waits on standard input for as long as the parent holds it.
    os._exit(0)


if __name__ == "__main__":
    main()
