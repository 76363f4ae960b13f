"""The attempts of one worker: each order becomes a guarded child process, and what it leaves becomes the answer."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cluster.chunk import child
from harness.cluster.chunk.packing import pack
from harness.cluster.orders import Answer, Order, Stage
from harness.machine import processor
from harness.results import device_lock
from harness.results.device_lock import DeviceHeldError, DeviceLock
from harness.runner.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Of what a child printed that left no answer, the last lines are kept, and no more than this of them.
LAST_LINES, LAST_LENGTH = 3, 300
# The module that is a child.
CHILD = child.__name__
# A child that tells nothing in so many waits of so many seconds, one after the other, is frozen. One wait would not do:
# where the whole host was stopped, it is over before the child can tell.
SILENCES, LISTEN_SECONDS = 4, 15.0
# How the folders of attempts are named, and the file in one that has what its child printed.
PREFIX, PRINTED = "attnbench-attempt-", "printed"


@dataclass(frozen=True)
class Slot:
    """A device that a worker measures on, as torch names it; the cores that children are kept on, all if none.

    `uuid` tells a GPU from every other, "" if it is not known.
    `variables` are added to the environment of children: which GPU they see.
    """

    device: str
    cores: tuple[int, ...] = ()
    uuid: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Child:
    """The process of an attempt, and the folder of the two. It `waits` for another order once it has planned."""

    folder: Path
    process: subprocess.Popen[bytes]
    waits: bool = False

    def tell(self) -> None:
        """Tell that the order is there."""
        if self.process.stdin is not None:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def forget(self) -> None:
        """Remove an order and what came of it."""
        for name in (child.ORDER, child.PLAN):
            (self.folder / name).unlink(missing_ok=True)

    def last_lines(self) -> list[str]:
        """Return the last lines that it printed."""
        text = (self.folder / PRINTED).read_text(encoding="utf-8", errors="replace")
        return text.splitlines()[-LAST_LINES:]

    def close(self) -> None:
        """End it, and remove its folder."""
        end(self.process)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Attempts:
    """Carry out orders on a slot, each in a child with a folder below `scratch`; keys tell attempts apart.

    `stop` may come from any thread, before the child is there too. `stages` tells where each attempt is. A child that
    was made ready takes the next order, since it has imported torch by then, and so does one that has planned.
    """

    def __init__(self, slot: Slot, *, scratch: Path) -> None:
        self._slot, self._scratch = slot, scratch
        self._guard = threading.Lock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped: set[str] = set()
        self._spare: _Child | None = None
        self._is_over = False
        self.stages: dict[str, Stage] = {}

    def perform(self, key: str, order: str) -> tuple[str, bytes]:
        """Carry out an order, both as JSON; return the answer, and the plan or the packed run directory."""
        if reason := held(self._slot):
            # The device is another's: nothing of ours waits on it.
            self._end_spare()
            return Answer(kind="held", reason=reason).model_dump_json(), b""
        try:
            with self._ready() as ready:
                (ready.folder / child.ORDER).write_text(order, encoding="utf-8")
                answer = self._run(key, ready)
                return answer.model_dump_json(), _result(ready.folder, answer)
        except OSError as error:
            where = error.filename or self._scratch
            return Answer(kind="failed", reason=f"{where}: {error.strerror}").model_dump_json(), b""
        finally:
            self.stages.pop(key, None)

    def make_ready(self) -> None:
        """Start the child of the next order before that is known, unless another run holds the device."""
        if held(self._slot):
            return
        with contextlib.suppress(OSError), self._guard:
            if self._spare is None:
                self._spare = self._start()

    def stop(self, key: str) -> None:
        """End an attempt and whatever it started."""
        with self._guard:
            self._stopped.add(key)
            process = self._children.get(key)
        if process is not None:
            # Whoever stops an attempt may be an event loop, which must not wait.
            threading.Thread(target=end, args=(process,), daemon=True).start()

    def stop_all(self) -> None:
        """End every attempt, and the child that waits for one."""
        for key in list(self.stages):
            self.stop(key)
        self._is_over = True
        self._end_spare()

    def _end_spare(self) -> None:
        """End the child that waits, without waiting for that."""
        with self._guard:
            spare, self._spare = self._spare, None
        if spare is not None:
            threading.Thread(target=spare.close, daemon=True).start()

    @contextlib.contextmanager
    def _ready(self) -> Iterator[_Child]:
        """Give the child that waits, or another where there is none that lives. Raises OSError."""
        with self._guard:
            ready, self._spare = self._spare, None
        if ready is not None and ready.process.poll() is not None:
            ready.close()
            ready = None
        ready = ready or self._start()
        # Not before it has planned anew: an order may come to nothing here.
        ready.waits = False
        try:
            yield ready
        finally:
            self._put_back(ready)

    def _put_back(self, ready: _Child) -> None:
        """Keep a child that has planned, with its worker, for what is measured next; end any other."""
        with self._guard:
            keeps = ready.waits and not self._is_over and self._spare is None
            if keeps:
                ready.forget()
                self._spare = ready
        if not keeps:
            ready.close()

    def _run(self, key: str, ready: _Child) -> Answer:
        process = ready.process
        with self._guard:
            if key in self._stopped:
                return Answer(kind="failed", reason="it was given up")
            self._children[key], self.stages[key] = process, Stage()
        answer = None
        try:
            # One that ended already is told by its code.
            with contextlib.suppress(OSError):
                ready.tell()
            answer = self._listen(key, process)
        finally:
            with self._guard:
                del self._children[key]
                has_planned = answer is not None and answer.kind == "part" and (ready.folder / child.PLAN).exists()
                # One that was stopped meanwhile is being ended.
                ready.waits = has_planned and key not in self._stopped
            if not ready.waits:
                end(process)
        if answer is not None:
            return answer
        code = process.wait()
        words = " | ".join(line.strip()[:LAST_LENGTH] for line in ready.last_lines())
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        return Answer(kind="failed", reason=f"the run {how}{': ' * bool(words)}{words}")

    def _start(self) -> _Child:
        """Start a child that waits for its order, in a folder of its own. Raises OSError."""
        # Whatever tidies the folder of temporary files may have taken it.
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._scratch))
        try:
            (folder / child.DEVICE).write_text(self._slot.device, encoding="utf-8")
            with (folder / PRINTED).open("w", encoding="utf-8") as printed:
                return _Child(folder, self._process(folder, printed.fileno()))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _process(self, folder: Path, printed: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self._slot.variables}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        cores = ",".join(str(core) for core in self._slot.cores)
        return subprocess.Popen(
            # -P: a folder named as one of our packages, where the worker happens to be, is not theirs to load.
            [sys.executable, "-P", "-m", CHILD, str(folder), cores],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            env=environment,
            # A process group of its own, so that all of it can be ended.
            start_new_session=True,
        )

    def _listen(self, key: str, process: subprocess.Popen[bytes]) -> Answer | None:
        """Keep the last stage that a child told, until it answers, closes its output (None) or is silent for long."""
        silences = 0
        for line in _lines(process):
            silences = 0 if line else silences + 1
            if silences == SILENCES:
                return Answer(
                    kind="failed", reason=f"the run gave no sign of life for {SILENCES * LISTEN_SECONDS:.0f} s"
                )
            if line.startswith(child.ANSWERED):
                return Answer.model_validate_json(line.removeprefix(child.ANSWERED))
            with contextlib.suppress(ValueError):
                self.stages[key] = Stage.model_validate_json(line)
        return None


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield the lines that a child prints with their ends until it closes its output; nothing after a silent while."""
    if process.stdout is None:
        return
    rest = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not waiting.select(LISTEN_SECONDS):
                yield b""
                continue
            if not (read := os.read(process.stdout.fileno(), 2**16)):
                return
            *lines, rest = (rest + read).split(b"\n")
            yield from (line + b"\n" for line in lines)


def held(slot: Slot) -> str:
    """Return who holds a slot's device, empty if nobody does: a child that found out would load what is measured."""
    shared, own = device_lock.folders()
    if slot.device == "cpu":
        parts = [f"core-{number}" for number in slot.cores or processor.allowed_core_numbers()]
        name = f"cpu (cores {processor.core_ranges(slot.cores)})" if slot.cores else "cpu"
        lock = DeviceLock(parts, folder=own, name=name)
    elif slot.uuid:
        lock = DeviceLock([slot.uuid], folder=shared, name=slot.device)
    else:
        return ""
    try:
        with lock:
            return ""
    except DeviceHeldError as error:
        return str(error)


def end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe that a child lives by, and kill its process group."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    if process.poll() is None:
        # The child kills what it started in sessions of their own, which its group lacks; this is for a frozen one.
        try:
            process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)


def _result(folder: Path, answer: Answer) -> bytes:
    if answer.kind != "part":
        return b""
    plan = folder / child.PLAN
    return plan.read_bytes() if plan.exists() else pack(folder / child.RUN)


def order_text(order: Order) -> str:
    """Return an order as it travels."""
    return order.model_dump_json(by_alias=True)
