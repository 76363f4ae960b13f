"""The worker processes of one host: one for each place, started again where one is lost, ended with who keeps them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.cluster.serving import LOOK_SECONDS, Served
from harness.runner.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.cluster.places import Place
    from harness.cluster.tls import Certificates

# The module that is a worker's process.
WORKER = "harness.cluster"
# A worker that was lost so often is not started again: something kills it.
RESTARTS = 20
# What a worker exits with that found no scheduler.
NO_SCHEDULER = 1
# Seconds that workers get to end in order.
END_SECONDS = 3.0
# How a crew's folder is named, and the file in a folder that its process holds locked for as long as it lives.
PREFIX, OWNER = "attnbench-workers-", "owner"


@contextlib.contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """Make a folder for this process alone, and remove those of the same prefix whose process was killed."""
    remove_orphans(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with (folder / f"{OWNER}.part").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Under its name it is locked from the first moment.
            (folder / f"{OWNER}.part").rename(folder / OWNER)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_orphans(prefix: str) -> None:
    """Remove the folders of a prefix whose process is gone; those of other users and of older versions stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError), (folder / OWNER).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Reach:
    """Where workers find their scheduler, and the address they listen on: that of the way to it if None."""

    scheduler: str = ""
    scheduler_file: str = ""
    host: str | None = None
    certificates: Certificates | None = None
    look_seconds: float = LOOK_SECONDS


@dataclass
class Member:
    """A place, its process, and how often that was started again."""

    place: Place
    process: subprocess.Popen[bytes]
    restarts: int = 0


@dataclass
class Crew:
    """Keep a worker process at each place. As a context it ends them all.

    What they write lies below `folder`, since one that is killed leaves it there.
    """

    places: Sequence[Place]
    reach: Reach
    members: list[Member] = field(default_factory=list)
    folder: Path = field(default_factory=Path)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        self.folder = self._stack.enter_context(own_folder(PREFIX))
        self.members = [Member(place, self._start(place)) for place in self.places]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self) -> bool:
        """Start again what was lost; return False once no worker is left, nor any that could be started."""
        left = []
        for member in self.members:
            code = member.process.poll()
            if code is None:
                left.append(member)
                continue
            _end_group(member.process)
            if code != NO_SCHEDULER and member.restarts < RESTARTS:
                member.process = self._start(member.place)
                member.restarts += 1
                left.append(member)
        self.members = left
        return bool(left)

    def close(self) -> None:
        """End every worker in order, or at once where one does not."""
        for member in self.members:
            with contextlib.suppress(OSError):
                member.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        for member in self.members:
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.process.wait(timeout=max(0.0, deadline - time.monotonic()))
            _end_group(member.process)
        self.members = []
        self._stack.close()

    def _start(self, place: Place) -> subprocess.Popen[bytes]:
        reach = self.reach
        certificates = reach.certificates
        served = Served(
            scheduler=reach.scheduler,
            scheduler_file=reach.scheduler_file,
            on=place.on,
            device=place.device,
            uuid=place.uuid,
            model=place.model,
            cores=[*place.cores],
            variables=dict(place.variables),
            folder=str(self.folder),
            host=reach.host,
            tls=(certificates.ca, certificates.cert, certificates.key) if certificates else None,
            look_seconds=reach.look_seconds,
        )
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER, served.model_dump_json()],
            # Its closing ends the worker, whatever ended this process.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C reaches this process alone, which then ends its workers in order.
            start_new_session=True,
        )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a worker's process group, and release its pipe."""
    with contextlib.suppress(OSError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
