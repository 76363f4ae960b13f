"""The worker: one process a device that holds the implementations, answering the parent's requests."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from harness.protocol.channel import Channel, ClosedError
from harness.protocol.messages import Answer, Failed, Start, Step, decode_request, encode

if TYPE_CHECKING:
    from collections.abc import Callable

# The signal of prctl(2) by which the kernel kills this process when its parent dies.
PR_SET_PDEATHSIG = 1
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "failed to allocate", "cannot allocate memory")
NOT_OFFERED = ("no available kernel", "no viable backend", "not implemented for")


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


def failure(error: BaseException) -> Failed:
    """Turn an exception into the status and reason of a record, the one place where that happens."""
    message = str(error).strip().split("\n")[0][:500]
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    lowered = text.lower()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""  # noqa: PTH119
    if isinstance(error, MemoryError) or any(part in lowered for part in OUT_OF_MEMORY):
        return Failed(status="oom", reason=text)
    if isinstance(error, NotImplementedError) or any(part in lowered for part in NOT_OFFERED):
        return Failed(status="unsupported", reason=text)
    # After an error on the device its context is lost: every later call would fail too.
    lost = "CUDA error" in text or type(error).__name__ == "AcceleratorError"
    return Failed(status="crashed", reason=text + where, worker_gone=lost)


def serve(channel: Channel) -> None:
    """Answer requests until the parent closes the channel."""
    handlers: dict[str, Callable[[Any], Answer]] = {}
    while True:
        try:
            data = channel.receive()
        except ClosedError:
            return
        if data is None:
            continue
        try:
            request = decode_request(data)
            if isinstance(request, Start):
                # Importing torch is part of the first answer, so that a failure to import it has a reason.
                from harness.bench import Bench

                bench = Bench(request, announce=lambda step: channel.send(encode(Step(step=step))))
                handlers = bench.handlers()
                answer: Answer = bench.started()
            else:
                answer = handlers[request.do](request)
        # An implementation may raise anything, SystemExit and KeyboardInterrupt included; every kind becomes a status.
        except BaseException as error:  # noqa: BLE001
            answer = failure(error)
        channel.send(encode(answer))


def main() -> None:
    """Serve on the descriptors given as arguments: read end, write end, process id of the parent."""
    read, write, parent = (int(argument) for argument in sys.argv[1:4])
    die_with(parent)
    serve(Channel(read=read, write=write))


if __name__ == "__main__":
    main()
