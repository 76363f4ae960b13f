"""The lock on a device: one run at a time on a GPU or a core of this machine, and how many others hold theirs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from harness.results.documents import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Who counts the neighbours holds a free lock for some microseconds: a taken one is tried again before it counts so.
TRIES, TRY_SECONDS = 5, 0.02


def folders() -> tuple[Path, Path]:
    """Return where locks of devices lie: those that every user sees, and this user's."""
    shared = Path("/tmp")  # noqa: S108
    return shared, Path(os.environ.get("XDG_RUNTIME_DIR") or shared)


class DeviceHeldError(JournalError):
    """Another run holds the device."""


class DeviceLock:
    """Hold a device for one run at a time on this machine, by advisory file locks that die with the process.

    `parts` are what it consists of and others may hold, each told from others of the machine: a GPU's UUID, or each of
    the cores that this process may use. `name` is what messages call it. If a file can't be opened, `problem` says so,
    and that part is not held.
    """

    def __init__(self, parts: Sequence[str], *, folder: Path, name: str) -> None:
        self._name = name
        self._files: list[TextIO] = []
        self._stack = ExitStack()
        self.problem = ""
        for part in parts:
            path = folder / f"attnbench-{part.replace(':', '-')}.lock"
            try:
                file = os.fdopen(_shared_file(path), "r+", encoding="utf-8")
            except OSError as error:
                self.problem = f"Other runs on {name} go unnoticed: {path} can't be opened ({error.strerror})."
            else:
                self._files.append(self._stack.enter_context(file))

    def __enter__(self) -> Self:
        for file in self._files:
            if not _taken(file):
                file.seek(0)
                holder = (file.read().split() or ["unknown"])[0]
                self._stack.close()
                raise DeviceHeldError(f"device {self._name} is held by another run (process {holder}); wait for it")
        for file in self._files:
            file.truncate(0)
            file.write(_signature())
            file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def neighbours(places: Iterable[Path]) -> int:
    """Count the other processes of this machine that hold a device, by the lock files of these folders.

    Those that can't be read are not counted.
    """
    holders: set[str] = set()
    for folder in {*places}:
        for path in folder.glob("attnbench-*.lock"):
            with contextlib.suppress(OSError), path.open(encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    holders.add(file.read())
    return len(holders - {_signature()})


def _signature() -> str:
    # Containers that share the folder have process numbers of their own.
    return f"{os.getpid()} {platform.node()}"


def _taken(file: TextIO) -> bool:
    for attempt in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt < TRIES - 1:
                time.sleep(TRY_SECONDS)
        else:
            return True
    return False


def _shared_file(path: Path) -> int:
    """Open a file for reading and writing, made for everybody if there is none.

    In a folder like /tmp the kernel refuses to open another user's file with O_CREAT (fs.protected_regular).
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o666)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o666)
        return descriptor
