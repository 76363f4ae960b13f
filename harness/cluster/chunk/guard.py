"""A guard against processes that outlive who started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The signal of prctl(2) by which the kernel kills this process when the thread that started it ends.
PR_SET_PDEATHSIG = 1


def end_with_parent(on_end: Callable[[], None], *, on_word: Callable[[], object] = bool) -> None:
    """Arrange that this process ends when its parent does, or closes the pipe that is this one's standard input.

    `on_end` is called in a thread of its own once the pipe is closed, and `on_word` whenever something is written to
    it; on Linux the kernel kills this process besides, whatever killed the parent and whatever this one is at.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                on_word()
        on_end()

    threading.Thread(target=watch, daemon=True).start()


def kill_all() -> None:
    """Kill whatever this process started, and then itself with its process group."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    with contextlib.suppress(OSError):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


def pin(cores: Sequence[int]) -> None:
    """Keep this process, and what it starts, on these cores; on all that it has if there are none.

    Call it before anything makes a thread: threads that exist stay where they are.
    """
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
