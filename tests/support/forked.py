"""Worker processes that are forked from one that has imported torch already: starting one takes a tenth of the time.

Each is a process of its own as any worker is: it is ours to wait for, has its session, its environment and its output,
can end, be killed or hang, and dies with us. Importing what is the same for all, two seconds of a processor, is done
once for each set of variables that an import or the C library may read.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# prctl(2): orphans below this process become its children.
PR_SET_CHILD_SUBREAPER = 36
# What neither an import nor the C library reads.
READ_LATE = frozenset({"PYTEST_CURRENT_TEST", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "COLUMNS"})
# What an interpreter runs to be a source; ours come first, as for a worker.
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.support.forked import main; main()"
# Processes that wait for orders, each some 250 MB of which most is shared with what it forked.
SOURCES_AT_MOST = 3
ORDER_BYTES = 1 << 18
POLL_SECONDS = 0.005


class Source:
    """A process that has torch, of which workers are forked."""

    def __init__(self, interpreter: str, environment: Mapping[str, str]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [interpreter, "-P", "-c", PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                # Another interpreter that has not what it takes says so as a worker.
                stderr=None if interpreter == sys.executable else subprocess.DEVNULL,
            )

    def fork(self, order: dict[str, Any], files: Sequence[int]) -> int | None:
        """Fork a process by an order with descriptors; return its number once it is our child, None if there is none.

        That is where the source could not be had.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        try:
            socket.send_fds(self._ours, [json.dumps(order).encode()], files)
            return int(self._ours.recv(ORDER_BYTES) or 0) or None
        except ConnectionError:
            return None
        finally:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 0)

    def close(self) -> None:
        """End the process, which has nothing to finish."""
        self._ours.close()
        self._process.kill()
        self._process.wait()


class ForkedProcess:
    """What `subprocess.Popen` is for the parent of a worker."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, minus the signal of one that was killed; None while it runs."""
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def wait(self, timeout: float) -> int:
        """Wait for the exit code. Raises TimeoutExpired."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired(f"worker {self.pid}", timeout)
            time.sleep(POLL_SECONDS)
        return code


class Sources:
    """The processes of which workers are forked, by interpreter and by what an import may read of their variables.

    Workers of other interpreters than `only` are started; of `None` all are forked.
    """

    def __init__(self, *, only: str | None = sys.executable) -> None:
        self._only = only
        self._known: dict[tuple[object, ...], Source] = {}

    def start(self, words: Sequence[str], **options: Any) -> ForkedProcess | subprocess.Popen[bytes]:
        """Start a worker as `subprocess.Popen` would."""
        interpreter, *what = words[:4]
        if what != ["-P", "-m", "harness.worker"] or self._only not in {None, interpreter}:
            return subprocess.Popen(words, **options)
        environment = options["env"]
        read = sorted((name, value) for name, value in environment.items() if name not in READ_LATE)
        key = (interpreter, *read)
        source = self._known.pop(key, None) or Source(interpreter, environment)
        order = {"environment": environment, "parent": os.getpid(), "folder": os.getcwd()}  # noqa: PTH109
        order["cores"] = sorted(os.sched_getaffinity(0))
        pid = source.fork(order, [*map(int, words[4:6]), options["stdout"].fileno()])
        if pid is None:
            source.close()
            return subprocess.Popen(words, **options)
        self._known[key] = source
        if len(self._known) > SOURCES_AT_MOST:
            self._known.pop(next(iter(self._known))).close()
        return ForkedProcess(pid)

    def close(self) -> None:
        """End the processes that wait for orders."""
        while self._known:
            self._known.popitem()[1].close()


def fork_workers(put: Callable[[Any, str, Any], object], sources: Sources) -> None:
    """Let supervisors have forked workers, by `setattr` or a fixture's; only Linux hands processes over."""
    from harness.runner import process

    known = {"DEVNULL": subprocess.DEVNULL, "TimeoutExpired": subprocess.TimeoutExpired}
    put(process, "subprocess", SimpleNamespace(Popen=sources.start, **known))


def serve(connection: socket.socket) -> list[str]:
    """Fork a process for each order until there are none; return in each, with the words that it is to be given."""
    while True:
        order, files, *_ = socket.recv_fds(connection, ORDER_BYTES, 3)
        if not order:
            raise SystemExit
        ours, theirs = os.pipe()
        between = os.fork()
        if between == 0:
            own = os.fork()
            if own == 0:
                os.close(ours)
                os.close(theirs)
                connection.close()
                return become(json.loads(order), files)
            os.write(theirs, str(own).encode())
            os._exit(0)
        # Its parent gone, the process is a child of whoever gave the order.
        os.waitpid(between, 0)
        connection.send(os.read(ours, 64))
        for file in (ours, theirs, *files):
            os.close(file)


def become(order: Mapping[str, Any], files: Sequence[int]) -> list[str]:
    """Make this process what the order says; return the words that a worker is given."""
    while os.getppid() != order["parent"]:
        time.sleep(0.001)
    os.setsid()
    os.chdir(order["folder"])
    os.sched_setaffinity(0, order["cores"])
    read, write, output = files
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(order["environment"])
    return [str(read), str(write), str(order["parent"])]


def main() -> None:
    """Import what every worker does, then be the source of workers."""
    from harness.worker import __main__ as worker
    from harness.worker import workbench  # noqa: F401  # brings torch

    worker.handlers()
    # A worker keeps collections off what it imported, and would walk all of it once before.
    gc.collect()
    gc.freeze()
    sys.argv[1:] = serve(socket.socket(fileno=int(sys.argv[1])))
    worker.main()
