"""How a sweep survives `kill -9`: workers and the processes that measure are killed at writes of a chunk's journal.

`python -m tests.evidence.cluster_kills --times 10` sweeps a small plan on two workers of a core each until so many were
killed, and prints each kill and what came of it; it ends with 1 where a case is lost, doubled or left to a process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from attnbench.options import Cases, Effort, Place
from attnbench.reading import make_run_request
from harness.cluster import coordinate
from harness.cluster.attempts import PREFIX
from harness.cluster.chunk import child
from harness.cluster.coordinate import interrupts
from harness.cluster.crew import Crew, Reach
from harness.cluster.engine import DaskEngine, LocalScheduler
from harness.cluster.orders import Order
from harness.cluster.places import places
from harness.cluster.seen import Patience
from harness.cluster.store import Store
from harness.results import journal
from harness.results.run import read_run
from harness.runner.selection import TimeLimits
from tests.support.scripted_engine import Told

if TYPE_CHECKING:
    from collections.abc import Sequence


# A chunk that lost three attempts is given up.
KILLS_A_CHUNK = 2
# How often journals are looked at: a line is a write and a flush, of some milliseconds.
POLL_SECONDS = 0.001
# A kill falls on one of the first lines: cases are prepared, then visited round by round, then closed.
LINES_AT_MOST = 40
# Seconds that processes get to be gone, and that workers may take to be there.
GONE_SECONDS, START_SECONDS = 10.0, 90.0
WORKER, MEASURING = "worker", "child"
DTYPES = ("float32", "float64", "bfloat16", "float16")
ASKED = Cases(scenarios=["smoke"], impl=["batched", "sdpa-math"], axis=["n=16,32"], dtype=[*DTYPES])


@dataclass(frozen=True)
class Kill:
    """One kill: in which attempt at which order, at which line of its journal, and of which process."""

    order: str
    attempt: int
    line: int
    victim: str
    process: int


@dataclass
class Killer:
    """Kill in turn a worker and the process that measures for one, once an attempt's journal has so many lines.

    As a context it watches the folder that the crew's workers have theirs in, in a thread of its own.
    """

    folder: Path
    times: int
    chance: random.Random
    lines_at_most: int = LINES_AT_MOST
    kills: list[Kill] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    _aims: dict[Path, tuple[Order, int]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS) and len(self.kills) < self.times:
            for path in self.folder.glob(f"*/{PREFIX}*/{child.RUN}/{journal.JOURNAL}"):
                with contextlib.suppress(OSError, ValueError, psutil.Error):
                    self._aim(path)

    def _aim(self, path: Path) -> None:
        """Kill at this journal if it has come to the line that was drawn for it."""
        attempt = path.parent.parent
        if attempt not in self._aims:
            order = Order.model_validate_json((attempt / child.ORDER).read_bytes())
            self._aims[attempt] = order, self.chance.randint(1, self.lines_at_most)
        order, line = self._aims[attempt]
        if order.attempt > KILLS_A_CHUNK or path.read_bytes().count(b"\n") < line:
            return
        running = psutil.Process().children(recursive=True)
        measuring = next((one for one in running if str(attempt) in one.cmdline()), None)
        if measuring is None:
            return
        victim = (WORKER, MEASURING)[len(self.kills) % 2]
        killed = measuring.parent() if victim == WORKER else measuring
        if killed is None or (victim == WORKER and killed.ppid() != os.getpid()):
            # Its worker is gone already.
            return
        self.seen |= {measuring.pid, killed.pid, *(one.pid for one in measuring.children(recursive=True))}
        os.kill(killed.pid, signal.SIGKILL)
        self._aims[attempt] = order, sys.maxsize
        self.kills.append(Kill(order.name, order.attempt, line, victim, killed.pid))


def mistakes_of(store: Store, orders: Sequence[Order], *, left: Sequence[int]) -> list[str]:
    """Say what was lost, doubled or left over: every case of the orders must have one closed record."""
    said = [f"{order.name} has no part" for order in store.missing()]
    wanted = Counter(one.case.id for order in orders if order.plan for one in order.plan.cases)
    found = Counter(case for part in store.parts() for case in journal.read(part).records)
    said += [
        f"case {case} has {found[case]} records, {wanted[case]} were ordered"
        for case in {**wanted, **found}
        if found[case] != wanted[case]
    ]
    lost = [record for part in store.parts() for record in read_run(part).records if record.status == "crashed"]
    said += [f"{record.case.label} crashed: {record.reason}" for record in lost]
    return said + [f"process {number} is left" for number in left]


def sweep(
    store: Store, orders: Sequence[Order], crew: Crew, engine: DaskEngine, killer: Killer, *, interrupt: threading.Event
) -> Told:
    """Have orders measured while processes are killed."""
    store.make()
    store.begin(list(orders), command=["cluster_kills"], one_per_host=False)
    told = Told()
    with killer:
        coordinate.measure(
            engine, store, one_per_host=False, listener=told, patience=Patience(lonely=START_SECONDS),
            interrupt=interrupt, keep=crew.look,
        )  # fmt: skip
    return told


def left_of(killer: Killer, *, known: Sequence[psutil.Process]) -> list[int]:
    """Return which of these processes are there, and of those that were killed or measured for one that was."""
    hit = []
    for number in killer.seen:
        with contextlib.suppress(psutil.Error):
            hit.append(psutil.Process(number))
    left = psutil.wait_procs([*known, *hit], timeout=GONE_SECONDS)[1]
    # A container may have nobody to reap what lost its parent.
    return [one.pid for one in left if one.status() != psutil.STATUS_ZOMBIE]


def main() -> None:
    """Kill so many processes, sweep after sweep, and tell what came of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=10)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    chance, kills, said = random.Random(asked.seed), 0, []
    with tempfile.TemporaryDirectory(prefix="attnbench-kills-") as name, interrupts() as interrupt:
        number = 0
        while kills < asked.times and not said:
            number += 1
            killer, mistakes, count = one_sweep(Path(name) / str(number), asked.times - kills, chance, interrupt)
            kills += len(killer.kills)
            said = mistakes
            for kill in killer.kills:
                where = f"line {kill.line} of {kill.order}, attempt {kill.attempt}"
                tell(f"sweep {number}: {kill.victim} {kill.process} at {where}")
            if not killer.kills:
                said.append("nothing was killed")
            came = "; ".join(said) or "each case once, no process left"
            tell(f"sweep {number}: {count} cases, {len(killer.kills)} kills: {came}")
    tell(f"{kills} kills, {len(said)} mistakes")
    sys.exit(1 if said else 0)


def one_sweep(
    folder: Path, times: int, chance: random.Random, interrupt: threading.Event
) -> tuple[Killer, list[str], int]:
    """Plan and sweep on two workers of this host; return the kills, the mistakes and how many cases there were."""
    (folder / "tls").mkdir(parents=True)
    request = make_run_request(ASKED, Place(device="cpu"), Effort(fast=True))
    patience, told = Patience(lonely=START_SECONDS), Told()
    with contextlib.ExitStack() as stack:
        scheduler = LocalScheduler(folder / "tls")
        stack.callback(scheduler.close)
        reach = Reach(scheduler=scheduler.address, host="127.0.0.1", certificates=scheduler.certificates)
        crew = stack.enter_context(Crew(places(count=2, cores_each=1, device="cpu"), reach))
        engine = DaskEngine(address=scheduler.address, certificates=scheduler.certificates)
        stack.callback(engine.close)
        limits = TimeLimits()
        plan = coordinate.plans(
            engine,
            request,
            limits=limits,
            classes=["cpu"],
            listener=told,
            patience=patience,
            interrupt=interrupt,
            keep=crew.look,
        )["cpu"]
        orders = coordinate.orders(plan, on="cpu", workers=len(DTYPES), limits=limits, kernels=())
        killer = Killer(crew.folder, times=times, chance=chance)
        store = Store(folder / "out")
        sweep(store, orders, crew, engine, killer, interrupt=interrupt)
    store.merge()
    left = left_of(killer, known=psutil.Process().children(recursive=True))
    return killer, mistakes_of(store, orders, left=left), len(plan.cases)


def tell(line: str) -> None:
    """Print a line."""
    print(line, flush=True)  # noqa: T201  # a program's page


if __name__ == "__main__":
    main()
