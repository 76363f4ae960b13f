"""Orders travel by dask.distributed: each pinned to one worker's address, so that the engine moves and repeats nothing.

Every call is bounded in time, whatever is frozen.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from harness.cluster import quiet, tls
from harness.cluster.attempts import order_text
from harness.cluster.orders import Announcement, Answer, Stage
from harness.cluster.seen import Landed, Seen
from harness.cluster.serving import NAME, perform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.cluster.orders import Order

# Seconds that the scheduler may take to answer, and after which it counts as gone.
ANSWER_SECONDS, GONE_SECONDS = 3.0, 30.0
# What the scheduler knows of workers changes with their heartbeats, each half second: asking oftener takes time from a
# core that measures.
ASK_SECONDS = 0.5
# Seconds to find a scheduler in, and to close a connection in.
CONNECT_SECONDS, CLOSE_SECONDS = 10.0, 2.0
# Seconds after which ended attempts are no longer waited for.
END_SECONDS, END_TICK = 3.0, 0.1


class LocalScheduler:
    """A scheduler in this process, on loopback alone, that nobody without our certificates can talk to."""

    def __init__(self, folder: Path) -> None:
        quiet.settle()
        from distributed import LocalCluster

        self.certificates = tls.temporary(folder)
        cluster: Any = LocalCluster
        self._cluster = cluster(
            n_workers=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=tls.security(self.certificates),
            silence_logs=50,
        )
        self.address = str(self._cluster.scheduler_address)

    def close(self) -> None:
        """End the scheduler; its workers end with it."""
        self._cluster.close(timeout=CLOSE_SECONDS)


class DaskEngine:
    """An engine on a scheduler, by its address or the file that it wrote. Raises ConnectionError without one."""

    def __init__(
        self, *, address: str = "", scheduler_file: str = "", certificates: tls.Certificates | None = None
    ) -> None:
        quiet.settle()
        from distributed import Client, as_completed

        client: Any = Client
        try:
            self._client = client(
                address or tls.address_in(scheduler_file),
                timeout=CONNECT_SECONDS,
                set_as_default=False,
                security=tls.security(certificates),
                name=NAME,
            )
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            where = scheduler_file or address
            raise ConnectionError(f"no scheduler answers at {where}: {error or type(error).__name__}") from None
        completed: Any = as_completed
        self._done = completed(loop=self._client.loop, with_results=True, raise_errors=False)
        # Another coordinator on the same scheduler, or one that goes on, must have other keys.
        self._prefix = f"{NAME}-{uuid.uuid4().hex[:12]}-"
        self._flight: dict[str, Any] = {}
        self._answered = time.monotonic()
        self._asked = float("-inf")
        # Keys of what came back: a worker that still names one has not told yet that it is free.
        self._back: set[str] = set()
        self._workers: dict[str, Seen] = {}

    def workers(self) -> Mapping[str, Seen]:
        """Return the workers there are, as known half a second ago. Raises ConnectionError once the scheduler is gone.

        What came back since keeps none of them busy.
        """
        if time.monotonic() - self._asked >= ASK_SECONDS or self._client.status != "running":
            self._ask()
        return {
            address: replace(seen, busy=tuple(key for key in seen.busy if key not in self._back))
            for address, seen in self._workers.items()
        }

    def _ask(self) -> None:
        """Ask the scheduler for its workers. Raises ConnectionError once it is gone."""
        try:
            identity = self._client.sync(self._client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)
        except (OSError, TimeoutError, RuntimeError):
            identity = None
        if self._client.status != "running":
            raise ConnectionError("the scheduler is gone; what was measured is kept")
        self._asked = now = time.monotonic()
        if identity is not None and "workers" in identity:
            self._answered = now
            self._workers = {address: self._seen(worker) for address, worker in identity["workers"].items()}
        elif now - self._answered > GONE_SECONDS:
            raise ConnectionError(f"the scheduler has not answered for {GONE_SECONDS:.0f} s; what was measured is kept")

    def _seen(self, worker: Mapping[str, Any]) -> Seen:
        announced = None
        with contextlib.suppress(ValidationError):
            announced = Announcement.model_validate(worker.get(NAME))
        told = (worker.get("metrics") or {}).get(NAME) or {}
        stages = told.get("stages") or {}
        return Seen(
            announced=announced,
            heard=float(worker["last_seen"]),
            busy=tuple(stages),
            stages={key.removeprefix(self._prefix): Stage.model_validate(stage) for key, stage in stages.items()},
            is_ready=worker["status"] == "running",
        )

    def submit(self, key: str, order: Order, *, address: str) -> None:
        """Send an order to one worker."""
        name = self._prefix + key
        future = self._client.submit(
            perform,
            name,
            order_text(order),
            key=name,
            pure=False,
            workers=[address],
            allow_other_workers=False,
            retries=0,
        )
        self._flight[key] = future
        self._done.add(future)

    def landed(self) -> Iterable[tuple[str, Landed]]:
        """Return what came back since the last call."""
        found = []
        for future, result in self._done.next_batch(block=False) if self._flight else ():
            key = future.key.removeprefix(self._prefix)
            if self._flight.pop(key, None) is not None:
                landed = _landed(future.status, result)
                if landed.answer is not None:
                    self._back.add(future.key)
                found.append((key, landed))
        return found

    def finished(self) -> set[str]:
        """Return the keys of attempts that the scheduler says are finished."""
        return {key for key, future in self._flight.items() if future.status == "finished"}

    def give_up(self, keys: Iterable[str]) -> None:
        """Cancel attempts, which ends their children."""
        futures = [future for key in keys if (future := self._flight.pop(key, None)) is not None]
        if futures:
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                self._client.cancel(futures)

    def wait_for_end(self) -> list[str]:
        """Wait until no worker is at an attempt of ours, for a few seconds; return the places of those still at one."""
        began = time.monotonic()
        before = {address: seen.heard for address, seen in self._workers.items()}
        while True:
            with contextlib.suppress(ConnectionError):
                self._ask()
            # What a worker said before the attempts were given up counts for nothing.
            at_work = [
                seen.announced.place if seen.announced else address
                for address, seen in self._workers.items()
                if any(key.startswith(self._prefix) for key in seen.busy)
                or (seen.busy and seen.heard == before.get(address))
            ]
            if not at_work or time.monotonic() - began > END_SECONDS or self._client.status != "running":
                return at_work
            time.sleep(END_TICK)

    def close(self) -> None:
        """Leave the scheduler; attempts of ours that are left are ended by it."""
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):
            self._client.close(timeout=CLOSE_SECONDS)


def _landed(status: str, result: Any) -> Landed:
    if status == "finished":
        answer, content = result
        return Landed(Answer.model_validate_json(answer), content)
    if status == "error":
        error = result[1] if isinstance(result, tuple) else result
        return Landed(Answer(kind="failed", reason=f"{type(error).__name__}: {error}"[:300]))
    return Landed(None)
