"""The supervisor: one worker at a time, kept alive; a lost one is replaced at the next request."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel

from harness.protocol.messages import Failed, Refused, Start, Started
from harness.runner import allocator
from harness.runner.process import WorkerProcess
from impls.discovery import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.policy import Policy
    from harness.protocol.messages import Asking
    from harness.results.plan_file import Plan
    from harness.runner.progress import Progress
    from harness.runner.selection import Request

A = TypeVar("A", bound=BaseModel)

# Sources that kill the process on import are skipped one by one, at most this many.
IMPORT_DEATHS_AT_MOST = 20
LAUNCH_QUEUES = "CUDA_SCALE_LAUNCH_QUEUES"
# Seconds before a worker on a GPU is started again after a start that failed.
START_WAITS = (1.0, 5.0, 15.0)
# Requests that make no call of an implementation answer within this many seconds.
QUICK_SECONDS = 120.0
# The resident cap lies by this share of free memory above the allocation limit that the worker sets itself, so that it
# bites only where that one can't.
CAP_ABOVE = 0.2


class WorkerError(RuntimeError):
    """No worker can be had, or it failed at what has nothing to do with a case."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker of a run is started with. With `keep_memory` a CPU worker reuses memory that it freed.

    With `modelled` it plans for a device that is not here.
    """

    device: str
    policy: Policy
    threads: int | None = None
    impl_files: tuple[str, ...] = ()
    keep_memory: bool = True
    modelled: bool = False

    @classmethod
    def of(cls, wanted: Request | Plan) -> Self:
        """Return the settings that a request or a plan asks for."""
        return cls(
            device=wanted.device,
            policy=wanted.policy,
            threads=wanted.threads,
            impl_files=tuple(wanted.impl_files),
            keep_memory=wanted.keep_memory,
        )


class Stages:
    """Seconds of a run's workers by stage; those of a part of the run may go `under` a name of its own."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._under = ""

    def add(self, spent: Mapping[str, float]) -> None:
        """Book seconds by stage."""
        for stage, seconds in spent.items():
            self.seconds[self._under or stage] += seconds

    @contextmanager
    def under(self, name: str) -> Iterator[None]:
        """Book all seconds as one stage meanwhile."""
        self._under = name
        try:
            yield
        finally:
            self._under = ""


class Supervisor:
    """Keep one worker alive, run by `interpreter`; as a context it ends the worker.

    With `has_own_packages` the worker is of the attnbench that is installed for its interpreter. `ahead` is a process
    of ours that waits for what it starts with: it becomes the first worker if it lives and its environment is the one
    wanted. `stages` has where the seconds of its workers went.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        progress: Progress,
        interpreter: str = sys.executable,
        has_own_packages: bool = False,
        ahead: WorkerProcess | None = None,
    ) -> None:
        self.settings = settings
        self.started_workers = 0
        self.stages = Stages()
        # When a worker was ready for the first time, by the monotonic clock.
        self.first_ready: float | None = None
        self._progress = progress
        self._interpreter = interpreter
        self._has_own_packages = has_own_packages
        self._variables = variables_of(settings.device, keep_memory=settings.keep_memory)
        self._skip: dict[str, str] = {}
        self._sleep = time.sleep
        # Why no worker may use the device any more.
        self._stuck = ""
        self._worker: WorkerProcess | None = None
        # Launched, and not yet waited for.
        self._coming: WorkerProcess | None = None
        self._ahead = ahead
        # Versions of the implementations' sources, as the first worker imported them.
        self._digests: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def ask(self, request: Asking[A], *, seconds: float = QUICK_SECONDS) -> A | Refused | Failed:
        """Ask the worker, started if there is none, and drop it if it is gone. Raises WorkerError if none starts."""
        if self._worker is None:
            self._worker = self._start()
        answer = self._worker.ask(request, seconds=seconds)
        if isinstance(answer, Failed) and answer.worker_gone:
            self.drop()
        return answer

    def require(self, request: Asking[A], *, seconds: float = QUICK_SECONDS) -> A:
        """Ask what can't fail, twice if the worker was lost meanwhile. Raises WorkerError if it fails all the same."""
        answer = self.ask(request, seconds=seconds)
        if isinstance(answer, Failed) and answer.worker_gone:
            answer = self.ask(request, seconds=seconds)
        if isinstance(answer, Failed | Refused):
            raise WorkerError(f"the worker failed at {request.do!r}: {answer.reason}")
        return answer

    def returning_memory(self) -> Supervisor:
        """Return a second supervisor of the same settings, whose workers give freed memory back to the system."""
        settings = replace(self.settings, keep_memory=False)
        second = Supervisor(
            settings,
            progress=self._progress,
            interpreter=self._interpreter,
            has_own_packages=self._has_own_packages,
        )
        second._digests = self._digests
        second.stages = self.stages
        return second

    def launch(self) -> None:
        """Launch a worker where there is none, and don't wait for it: several of them can start at the same time."""
        if self._worker is None and self._coming is None and not self._stuck:
            # What forbids one is said when it is asked for.
            with suppress(OSError):
                self._coming = self._launch()

    def drop(self) -> None:
        """End the worker; the next request starts another."""
        for worker in (self._worker, self._coming, self._ahead):
            if worker is not None:
                worker.close()
                if worker.is_stuck:
                    self._stuck = "a worker hangs in the device's driver and can't be killed: the device needs a reset"
        self._worker = self._coming = self._ahead = None

    def _hold_versions(self, digests: dict[str, str], worker: WorkerProcess) -> None:
        """Refuse a worker that imported another version of an implementation than those before. Raises WorkerError."""
        changed = [name for name, digest in digests.items() if self._digests.setdefault(name, digest) != digest]
        if changed:
            worker.close()
            raise WorkerError(f"{changed[0]} changed during the run; --resume measures it anew")

    def _start(self) -> WorkerProcess:
        """Start a worker that skips the sources that killed one on import. Raises WorkerError."""
        if self._stuck:
            raise WorkerError(self._stuck)
        # A context that died a moment ago may hold its memory, or an exclusive device, for some seconds more.
        waits = iter(START_WAITS if self.settings.device.startswith("cuda") else ())
        while len(self._skip) < IMPORT_DEATHS_AT_MOST:
            began = time.monotonic()
            try:
                worker, self._coming = self._coming or self._launch(), None
            except OSError as error:
                # No folder for its output, no process or descriptor left.
                raise WorkerError(f"no worker can be started: {error.strerror or error}") from None
            ready = worker.ready
            self.stages.add({"starting workers": time.monotonic() - began})
            if isinstance(ready, Started):
                self._hold_versions(ready.digests, worker)
                worker.resident_cap = resident_cap(self.settings, free=ready.free)
                self.first_ready = self.first_ready or time.monotonic()
                return worker
            worker.close()
            culprit = worker.step.removeprefix(IMPORTING)
            if worker.step.startswith(IMPORTING) and culprit not in self._skip:
                self._progress.unavailable(culprit, ready.reason)
                self._skip[culprit] = ready.reason
                continue
            wait = next(waits, None)
            if wait is None or ready.status == "timeout":
                raise WorkerError(f"no worker can be started: {ready.reason}")
            self._sleep(wait)
        raise WorkerError(f"{IMPORT_DEATHS_AT_MOST} sources of implementations kill the worker on import")

    def _launch(self) -> WorkerProcess:
        start = Start(
            device=self.settings.device,
            policy=self.settings.policy,
            threads=self.settings.threads,
            impl_files=list(self.settings.impl_files),
            skip=self._skip,
            modelled=self.settings.modelled,
        )
        self.started_workers += 1
        lines = self.settings.policy.run.stderr_lines
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.variables == self._variables and not ahead.has_ended:
            ahead.begin(start, stderr_lines=lines, hear=self.stages.add)
            return ahead
        if ahead is not None:
            ahead.close()
        return WorkerProcess(
            start,
            interpreter=self._interpreter,
            stderr_lines=lines,
            variables=self._variables,
            has_own_packages=self._has_own_packages,
            hear=self.stages.add,
        )


def launch_ahead(device: str) -> WorkerProcess | None:
    """Launch a worker for a device before it is known what it starts with; None if none can be launched."""
    with suppress(OSError):
        return WorkerProcess(None, interpreter=sys.executable, variables=variables_of(device, keep_memory=True))
    return None


def variables_of(device: str, *, keep_memory: bool) -> dict[str, str]:
    """Return what is added to the environment of a device's workers."""
    keeps = keep_memory and not allocator.why_not(device, os.environ)
    found = dict(allocator.KEEPING) if keeps else {}
    if device.startswith("cuda"):
        # More launches fit a stream's queue (CUDA 12), which a block of calls is queued in.
        found[LAUNCH_QUEUES] = os.environ.get(LAUNCH_QUEUES, "4x")
    return found


def resident_cap(settings: WorkerSettings, *, free: int) -> int | None:
    """Return the resident bytes beyond which a CPU worker is killed; a device's allocator has its own cap."""
    if settings.device != "cpu":
        return None
    return int(min(1.0, settings.policy.memory.share + CAP_ABOVE) * free)
