"""The parent's side of a worker: start it, ask it with a deadline, learn how it died, leave none behind."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil
from pydantic import BaseModel

from harness.protocol.channel import Channel, ClosedError, GarbledError
from harness.protocol.messages import AHEAD, Failed, MessageError, Refused, Spent, Step, decode_answer, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.protocol.messages import Asking, Start, Started
    from harness.records import Status

A = TypeVar("A", bound=BaseModel)

# The folder that holds our packages, which a worker imports.
ROOT = Path(__file__).resolve().parents[2]
# Variables that tell an interpreter where packages are.
LEADING = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})
# How often a waiting parent looks at the worker's resident memory, in seconds.
WATCH_SECONDS = 0.25
# A worker imports torch before it answers; a cold disk makes that slow.
START_SECONDS = 300.0
# A process in a driver's call that never returns does not die of SIGKILL; nobody waits longer for it.
KILL_SECONDS = 30.0
# Of what a lost worker printed, no more is read, and no more of a line is kept.
STDERR_BYTES = 2**14
LINE_AT_MOST = 300
# The kernel's count of processes that it killed for want of memory, in the system or in a control group.
KILLS = Path("/proc/vmstat")


class WorkerProcess:
    """A worker process, one request at a time, run by an interpreter; `variables` are added to its environment.

    It imports our packages, or with `has_own_packages` those that are installed for its interpreter.
    It starts at once, and without a `start` imports torch and waits for `begin`; `ready` waits for its answer to
    `start`, and is read before anything is asked. `hear` is told where the seconds of each request went, by stage;
    `step` is what it announced last; `is_stuck` if it could not be killed.
    """

    def __init__(
        self,
        start: Start | None,
        *,
        interpreter: str,
        stderr_lines: int = 0,
        variables: Mapping[str, str] | None = None,
        has_own_packages: bool = False,
        hear: Callable[[Mapping[str, float]], object] = dict,
    ) -> None:
        self.variables = dict(variables or {})
        self.resident_cap: int | None = None
        self.is_stuck = False
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        to_worker, from_worker = os.pipe(), os.pipe()
        environment = {**os.environ, **self.variables}
        if has_own_packages:
            # What leads our interpreter to its packages would lead the other one to ours.
            environment = {name: value for name, value in environment.items() if name not in LEADING}
        else:
            known = environment.get("PYTHONPATH", "")
            environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), known]).rstrip(os.pathsep)
        # Kineto announces each profiled call on stderr, where the last lines tell of a crash.
        environment.setdefault("KINETO_LOG_LEVEL", "99")
        self._process = subprocess.Popen(
            # -P: a folder named as one of our packages, where the user happens to be, is not theirs to load.
            [
                *(interpreter, "-P", "-m", "harness.worker", str(to_worker[0]), str(from_worker[1]), str(os.getpid())),
                *([AHEAD] if start is None else []),
            ],
            pass_fds=(to_worker[0], from_worker[1]),
            stdin=subprocess.DEVNULL,
            stdout=self._stderr,
            stderr=self._stderr,
            env=environment,
            # Its own session: Ctrl-C reaches the parent alone, which then ends the worker in order.
            start_new_session=True,
        )
        os.close(to_worker[0])
        os.close(from_worker[1])
        self._channel = Channel(read=from_worker[0], write=to_worker[1])
        # What a worker says before it hears anything is about its start.
        self._printed = 0
        self.step = "start"
        if start is not None:
            self.begin(start, stderr_lines=stderr_lines, hear=hear)

    @property
    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self._process.poll() is not None

    def begin(self, start: Start, *, stderr_lines: int, hear: Callable[[Mapping[str, float]], object]) -> None:
        """Tell a worker what it starts with, and whom its stages are told."""
        self._hear, self._stderr_lines = hear, stderr_lines
        self._oom_kills = oom_kills()
        self._start, self._start_until = start, time.monotonic() + START_SECONDS
        # One that ended already is found out by whoever waits for its answer.
        with contextlib.suppress(ClosedError):
            self._channel.send(encode(start))

    @functools.cached_property
    def ready(self) -> Started | Refused | Failed:
        """Return the answer to `start`, waiting for it."""
        return self._answer(self._start, deadline=self._start_until, seconds=START_SECONDS)

    def ask(self, request: Asking[A], *, seconds: float) -> A | Refused | Failed:
        """Send a request and wait for its answer; a worker that hangs or outgrows its cap is killed."""
        if isinstance(self.ready, Failed) and self.ready.worker_gone:
            return self.ready
        deadline = time.monotonic() + seconds
        try:
            self._channel.send(encode(request))
        except ClosedError:
            return self._ended()
        return self._answer(request, deadline=deadline, seconds=seconds)

    def _answer(self, request: Asking[A], *, deadline: float, seconds: float) -> A | Refused | Failed:
        try:
            while True:
                message = self._channel.receive(seconds=min(WATCH_SECONDS, max(0.0, deadline - time.monotonic())))
                answer = self._hung(deadline, seconds) if message is None else decode_answer(message, request)
                if isinstance(answer, Step):
                    self.step = answer.step
                elif isinstance(answer, Spent):
                    self._hear(answer.seconds)
                elif answer is not None:
                    if isinstance(answer, Failed) and answer.worker_gone:
                        self.kill()
                    self._printed = self._stderr.seek(0, os.SEEK_END)
                    return answer
        except ClosedError:
            return self._ended()
        except (MessageError, GarbledError) as error:
            self.kill()
            return Failed(status="crashed", reason=str(error), worker_gone=True)

    def _hung(self, deadline: float, seconds: float) -> Failed | None:
        """Say why a silent worker has to go: it is late or holds too much memory; None if it may go on."""
        if time.monotonic() >= deadline:
            reason = f"no answer to {self.step!r} within {seconds:.0f} s"
            return Failed(status="timeout", reason=reason, worker_gone=True)
        resident = self._resident()
        if self.resident_cap is not None and resident > self.resident_cap:
            reason = f"held {resident:,} bytes in {self.step!r}, over the cap of {self.resident_cap:,}"
            return Failed(status="oom", reason=reason, worker_gone=True)
        return None

    def kill(self) -> None:
        """End the worker and whatever it started; one that hangs in the kernel is left behind, and `is_stuck`."""
        if self.is_stuck:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            self._process.wait(timeout=KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self.is_stuck = True

    def close(self) -> None:
        """Kill the worker if it lives, and release its descriptors."""
        self.kill()
        self._channel.close()
        self._stderr.close()

    def _resident(self) -> int:
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _ended(self) -> Failed:
        try:
            code = self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.poll() or -signal.SIGKILL
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        status: Status = "crashed"
        if code == -signal.SIGKILL and oom_kills() != self._oom_kills:
            status, how = "oom", how + " by the kernel's out-of-memory killer"
        return Failed(status=status, reason=f"worker {how} in {self.step!r}{self._last_words()}", worker_gone=True)

    def _last_words(self) -> str:
        """Return the last lines printed since the worker's last answer."""
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(self._printed, end - STDERR_BYTES))
        lines = deque(self._stderr.read().decode(errors="replace").splitlines(), maxlen=self._stderr_lines)
        return ": " + " | ".join(line[:LINE_AT_MOST] for line in lines) if lines else ""


def oom_kills() -> int | None:
    """Return how many processes the kernel has killed for want of memory since it started, None if it won't say."""
    try:
        lines = KILLS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
