"""A worker of the engine for one device: it takes orders one at a time, and ends their children when they are given up.

The engine's own helper process, its profiler and its monitors are off: they would load what is measured, and the helper
sets variables that change it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from harness.cluster import quiet, tls
from harness.cluster.attempts import Attempts, Slot
from harness.cluster.chunk import guard
from harness.cluster.orders import Announcement
from harness.records import DataModel

if TYPE_CHECKING:
    from distributed import Worker

# Under this name a worker announces itself, and tells what it is at.
NAME = "attnbench"
# Seconds that a worker looks for its scheduler, and that it may take to close.
LOOK_SECONDS, CLOSE_SECONDS = 60.0, 5.0


class Served(DataModel):
    """What a worker is started with: its scheduler, its device and class, the address that it listens on.

    It works in a folder of its own below `folder`.
    """

    scheduler: str = ""
    scheduler_file: str = ""
    on: str
    device: str
    uuid: str = ""
    model: str = ""
    cores: list[int] = Field(default_factory=list)
    variables: dict[str, str] = Field(default_factory=dict)
    folder: str
    host: str | None = None
    tls: tuple[str, str, str] | None = None
    look_seconds: float = LOOK_SECONDS


class Post:
    """Where the orders of this process go; there is one worker in it."""

    attempts: Attempts | None = None


def perform(key: str, order: str) -> tuple[str, bytes]:
    """Carry an order out on this worker: the function that coordinators name, so its place must stay."""
    if Post.attempts is None:
        raise RuntimeError("this is no worker of attnbench")
    return Post.attempts.perform(key, order)


def announce(served: Served) -> Announcement:
    """Return what a worker says of itself."""
    from harness.runner.plan import code_fingerprint

    return Announcement(
        on=served.on,
        device=served.device,
        uuid=served.uuid,
        model=served.model,
        host=platform.node(),
        cores=served.cores,
        process=os.getpid(),
        fingerprint=code_fingerprint(),
    )


async def serve(served: Served, *, scratch: Path) -> None:
    """Work for a scheduler until it goes away or this process is told to end."""
    from distributed import Worker

    attempts = Attempts(
        Slot(served.device, cores=tuple(served.cores), variables=served.variables, uuid=served.uuid),
        scratch=scratch,
    )
    Post.attempts = attempts
    attempts.make_ready()
    announced = announce(served).model_dump(mode="json")
    worker: Any = Worker
    made = worker(
        served.scheduler or None,
        scheduler_file=served.scheduler_file or None,
        nthreads=1,
        memory_limit=0,
        host=served.host,
        name=f"{announced['host']}-{announced['process']}",
        security=tls.security(tls.Certificates(*served.tls) if served.tls else None),
        death_timeout=served.look_seconds,
        local_directory=str(scratch),
        plugins=(_keeper(attempts),),
        startup_information={NAME: lambda _worker: announced},
        metrics={NAME: lambda _worker: _metrics(attempts)},
        dashboard_address="127.0.0.1:0",
    )
    async with made:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _close, made)
        await made.finished()


def _metrics(attempts: Attempts) -> dict[str, object]:
    return {"stages": {key: stage.model_dump() for key, stage in list(attempts.stages.items())}}


def _close(worker: Worker) -> None:
    closing: Any = worker
    Post.closing = asyncio.ensure_future(closing.close(timeout=CLOSE_SECONDS))  # type: ignore[attr-defined]


def _keeper(attempts: Attempts) -> Any:
    """Return the engine's plugin that ends children: of orders that are given up, and all of them at the end."""
    from distributed.diagnostics.plugin import WorkerPlugin

    base: Any = WorkerPlugin

    class Keeper(base):  # type: ignore[misc]  # the engine's classes have no types
        """Ends the children of attempts whose client or scheduler is gone, or gave them up."""

        def transition(self, key: str, start: str, finish: str, **_: object) -> None:
            if start in {"executing", "long-running"} and finish == "released":
                attempts.stop(key)

        def teardown(self, worker: object) -> None:  # noqa: ARG002  # the engine's signature
            attempts.stop_all()

    return Keeper()


def main() -> None:
    """Serve what the first argument says, as JSON, until the parent ends; exit with 1 if no scheduler is found."""
    guard.end_with_parent(guard.kill_all)
    served = Served.model_validate_json(sys.argv[1])
    quiet.settle()
    with tempfile.TemporaryDirectory(prefix="worker-", dir=served.folder, ignore_cleanup_errors=True) as scratch:
        try:
            asyncio.run(serve(served, scratch=Path(scratch)))
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            print(f"no scheduler: {error}", file=sys.stderr)  # noqa: T201  # for who started this process
            sys.exit(1)
