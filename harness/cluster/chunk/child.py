"""The process that carries one order out: `python -P -m harness.cluster.chunk.child FOLDER CORES`, under a guard.

The folder holds order.json and device.txt; what comes of it goes beside them: answer.json, and plan.json or the
directory run. Standard output tells of progress, a JSON object a line.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cluster.chunk import guard

if TYPE_CHECKING:
    from harness.cluster.orders import Answer, Order

ORDER, DEVICE, ANSWER, PLAN, RUN = "order.json", "device.txt", "answer.json", "plan.json", "run"


def carry_out(order: Order, folder: Path, *, device: str) -> Answer:
    """Plan, or measure, what an order says, into a folder; whatever stands in the way becomes the answer."""
    from harness.cluster.orders import Answer
    from harness.results.device_lock import DeviceHeldError
    from harness.runner.execute import ForeignCodeError
    from harness.runner.selection import SelectionError
    from harness.runner.supervisor import WorkerError

    try:
        (_measure if order.plan else _plan)(order, folder, device=device)
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


def _plan(order: Order, folder: Path, *, device: str) -> None:
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
    with Supervisor(WorkerSettings.of(request), progress=shown) as supervisor:
        plan = make_plan(request, supervisor, progress=shown)
    skipped = [planned for planned in plan.cases if planned.skip]
    if len(skipped) == len(plan.cases):
        raise SelectionError(f"no case can run on {order.on}; {skipped[0].case.label}: {skipped[0].reason}")
    (folder / PLAN).write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")


def _measure(order: Order, folder: Path, *, device: str) -> None:
    """Take the chunk's plan to its end, as a run of its own."""
    from harness.cluster.chunk.stages import StageLines
    from harness.cluster.orders import laid_out
    from harness.runner.execute import take_over

    plan = order.plan
    if plan is None or plan.device != device:
        raise ValueError(f"the plan is for {plan and plan.device}, the device here is {device}")
    plan = plan.model_copy(update={"impl_files": list(laid_out(order.kernels, folder / "kernels"))})
    finished = take_over(plan, folder / RUN, progress=StageLines(sys.stdout), limits=order.limits.time_limits())
    if finished.is_interrupted:
        raise ValueError("; ".join(finished.summary.warnings[-1:]) or "it was interrupted")


def main() -> None:
    """Carry out the order in a folder, on some cores; end with who gave it."""
    guard.end_with_parent(guard.kill_all)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder, cores = Path(sys.argv[1]), sys.argv[2]
    guard.pin([int(core) for core in cores.split(",") if core])

    from harness.cluster.orders import Order

    order = Order.model_validate_json((folder / ORDER).read_bytes())
    answer = carry_out(order, folder, device=(folder / DEVICE).read_text(encoding="utf-8"))
    partial = folder / f"{ANSWER}.part"
    partial.write_text(answer.model_dump_json(), encoding="utf-8")
    partial.replace(folder / ANSWER)
    sys.stdout.flush()
    # A thread waits on standard input for as long as the parent holds it.
    os._exit(0)


if __name__ == "__main__":
    main()
