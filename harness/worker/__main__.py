"""The worker's process: requests in, answers out, and the one place where exceptions become statuses."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from harness.collector import uncollected
from harness.machine import processor
from harness.protocol import messages
from harness.protocol.channel import Channel, ClosedError, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.worker.workbench import Workbench

    # Answers one kind of request.
    Handler = Callable[[Workbench, Any], messages.Answer]

# The signal of prctl(2) by which the kernel kills this process when its parent dies.
PR_SET_PDEATHSIG = 1
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "failed to allocate", "cannot allocate memory")
# How PyTorch, ONNX Runtime, cuDNN ("No execution plans support the graph", "No valid execution plans built") and
# Triton (a GPU with too little shared memory) say that they have no kernel for a call, and a build of torch that it has
# none for a GPU.
NOT_OFFERED = (
    *(
        "no available kernel",
        "no kernel found to launch",
        "no viable backend",
        "not implemented for",
        "not_implemented",
    ),
    *("execution plans", "no valid triton configs", "out of resource", "no kernel image is available"),
)
# After these, a clock that the case's implementation replaced makes the case invalid.
WATCHED = (
    *(messages.RunProbe, messages.Prepare, messages.Visit),
    *(messages.Recheck, messages.Sustain, messages.ProfileCase),
)
# These call an implementation.
CALLING = (*WATCHED, messages.Count, messages.Replay)


def die_with(parent: int) -> None:
    """Arrange that this process doesn't outlive its parent, whatever kills that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def handlers() -> Mapping[type[messages.Request], Handler]:
    """Return what answers each kind of request but Start."""
    from harness.worker import machine, measuring, prediction, probing, profiling

    return {
        messages.Describe: prediction.describe,
        messages.Predict: prediction.predict,
        messages.MeasureEnvironment: machine.measure_environment,
        messages.MeasureCeilings: machine.measure_ceilings,
        messages.ReadCanary: machine.read_canary,
        messages.ListProbes: probing.list_probes,
        messages.RunProbe: probing.run_probe,
        messages.Prepare: measuring.prepare,
        messages.Count: measuring.count,
        messages.Visit: measuring.visit,
        messages.Replay: measuring.replay,
        messages.Recheck: measuring.recheck,
        messages.Sustain: measuring.sustain,
        messages.ProfileCase: profiling.profile_case,
    }


class Worker:
    """Answers requests; torch and the implementations are imported at the first, which is Start."""

    def __init__(self, *, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._bench: Workbench | None = None
        self._is_booked = False
        self._handlers: Mapping[type[messages.Request], Handler] = {}

    def answer(self, data: Message) -> messages.Answer:
        """Answer one request, whatever comes of it."""
        self._is_booked = False
        try:
            request = messages.decode_request(data)
            return self._start(request) if isinstance(request, messages.Start) else self._handle(request)
        # An implementation may raise anything, SystemExit and KeyboardInterrupt included; every kind becomes a status.
        except BaseException as error:  # noqa: BLE001
            failed = failure(error)
            # What the error's frames hold of a case would be missing to the next.
            error.__traceback__ = error.__context__ = error.__cause__ = None
        if self._bench is None or not self._bench.has_context:
            return failed
        return failed.model_copy(update={"worker_gone": context_is_lost(self._bench.device)})

    def spent(self) -> dict[str, float]:
        """Return where the seconds of the last request went, by stage; nothing of a start, which the parent times."""
        return self._bench.stages.take() if self._bench is not None and self._is_booked else {}

    def _start(self, request: messages.Start) -> messages.Started:
        # Importing torch is part of the first answer, so that a failure to import it has a reason.
        with uncollected():
            from harness.worker import workbench

            self._handlers = handlers()
        self._bench = workbench.set_up(request, announce=self._announce)
        registry = self._bench.registry
        digests = {
            f"{name} of {entry.source}": registry.digests[problem, name]
            for (problem, name), entry in registry.entries.items()
            if (problem, name) in registry.digests
        }
        return messages.Started(free=self._bench.free_bytes(), digests=digests)

    def _handle(self, request: messages.Request) -> messages.Answer:
        from harness.instruments import cuda, timing
        from harness.worker.workbench import RefusedError

        bench = self._bench
        if bench is None:
            raise messages.MessageError(f"{request.do!r} before 'start'")
        bench.calls.seconds = 0.0
        bench.stages.restart()
        self._is_booked = True
        if isinstance(request, WATCHED):
            bench.settle()
        replaced: list[str] = []
        try:
            if isinstance(request, CALLING):
                load(bench, request)
            answer = self._handlers[type(request)](bench, request)
            if bench.has_context:
                # What a kernel did wrong is told by the next call that waits; it belongs to this request.
                cuda.DRIVER.synchronize(bench.device)
        except RefusedError as refused:
            answer = messages.Refused(
                status=refused.status,
                reason=refused.reason,
                agreement=refused.agreement,
                calls_seconds=bench.calls.seconds,
            )
        finally:
            # The timers here were bound before the implementation was loaded.
            if isinstance(request, WATCHED):
                clocks = timing.mend_clocks()
                replaced = ([f"replaced {', '.join(f'time.{name}' for name in clocks)}"] if clocks else []) + (
                    bench.process.mend()
                )
        if replaced:
            reason = f"it {', '.join(replaced)}"
            if bench.process.is_spoiled:
                return messages.Failed(status="invalid", reason=reason, worker_gone=True)
            return messages.Refused(status="invalid", reason=reason, calls_seconds=bench.calls.seconds)
        return answer


def load(bench: Workbench, request: Any) -> None:
    """Import what the implementation of a request needs, before it is called. Raises RefusedError if it can't be."""
    asked = request if isinstance(request, messages.RunProbe | messages.Count) else request.case
    entry = bench.registry.entries.get((asked.problem, asked.implementation))
    if entry is not None:
        bench.load(entry)


def failure(error: BaseException) -> messages.Failed:
    """Turn an exception into the status and reason of a record."""
    first, *rest = str(error).strip().split("\n")
    # What ends with a colon says why on the lines below it.
    message = " ".join([first, *(line.strip() for line in rest if first.endswith(":"))])[:500]
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    lowered = text.lower()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""  # noqa: PTH119
    if isinstance(error, MemoryError) or any(part in lowered for part in OUT_OF_MEMORY):
        return messages.Failed(status="oom", reason=text)
    if isinstance(error, NotImplementedError) or any(part in lowered for part in NOT_OFFERED):
        return messages.Failed(status="unsupported", reason=text)
    return messages.Failed(status="crashed", reason=text + where)


def context_is_lost(device: Any) -> bool:
    """Say whether a CUDA device's context still computes, and give its unused memory back.

    Asked of the device: Triton, CuPy and others word the errors after which nothing works each in their own way.
    """
    from harness.instruments import cuda

    gc.collect()
    try:
        cuda.DRIVER.probe(device)
        cuda.DRIVER.empty_cache(device)
    # Whatever the driver says, it did not compute.
    except Exception:  # noqa: BLE001
        return True
    return False


def serve(channel: Channel) -> None:
    """Answer requests until the parent closes the channel."""
    worker = Worker(announce=lambda step: channel.send(messages.encode(messages.Step(step=step))))
    while True:
        try:
            data = channel.receive()
        except ClosedError:
            return
        if data is not None:
            answer = worker.answer(data)
            channel.send(messages.encode(messages.Spent(seconds=worker.spent())))
            channel.send(messages.encode(answer))


def import_ahead() -> None:
    """Import torch before anything is asked; what fails here fails at the first request too, which says why."""
    with contextlib.suppress(Exception), uncollected():
        from harness.worker import workbench  # noqa: F401

        handlers()


def main() -> None:
    """Serve on the descriptors given as arguments: read end, write end, process id of the parent; maybe `ahead`."""
    read, write, parent = (int(argument) for argument in sys.argv[1:4])
    die_with(parent)
    processor.stand_somewhere()
    if sys.argv[4:] == [messages.AHEAD]:
        import_ahead()
    serve(Channel(read=read, write=write))


if __name__ == "__main__":
    main()
