"""Orders reach workers of dask.distributed and come back once, whatever becomes of workers; nothing is left running."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import psutil
import pytest

from harness.cluster import coordinate, crew, tls
from harness.cluster.crew import Crew, Reach
from harness.cluster.orders import Order
from harness.cluster.places import Place
from harness.cluster.seen import NoDeviceError, Patience
from harness.cluster.store import Store
from harness.results.run import read_run
from harness.runner.plan import code_fingerprint
from tests.support import stand_in_worker
from tests.support.scripted import plan_of
from tests.support.scripted_engine import Told
from tests.support.steps import planned

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]
PATIENCE = Patience(quiet=2.0, lonely=30.0, rest=0.5)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    pytest.importorskip("distributed")
    from harness.cluster.engine import LocalScheduler

    made = LocalScheduler(tmp_path_factory.mktemp("tls"))
    yield made
    made.close()


@pytest.fixture
def fleet(scheduler, monkeypatch):
    """A connection, and two workers whose children measure nothing; at the end no process of theirs is left."""
    from harness.cluster.engine import DaskEngine

    monkeypatch.setattr(crew, "WORKER", stand_in_worker.__name__)
    reach = Reach(scheduler=scheduler.address, host="127.0.0.1", certificates=scheduler.certificates)
    places = [Place("cpu", "cpu", cores=(number,)) for number in range(2)]
    engine = DaskEngine(address=scheduler.address, certificates=scheduler.certificates)
    with Crew(places, reach) as workers:
        yield engine, workers
    engine.close()
    left = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    assert left == []


def store_of(tmp_path, count, *, seconds=0.3, on="cpu"):
    store = Store(tmp_path / "out")
    store.make()
    cases = [planned(n=size) for size in range(1, 2 * count + 1)]
    code = code_fingerprint()
    orders = [
        Order(chunk=str(at), on=on, seconds=seconds, fingerprint=code, plan=plan_of(*cases[2 * at : 2 * at + 2]))
        for at in range(count)
    ]
    store.begin(orders, command=["test"], one_per_host=False)
    return store, sorted(one.case.id for one in cases)


def measure(engine, store, keep, *, patience=PATIENCE, interrupt=None):
    told = Told()
    coordinate.measure(
        engine,
        store,
        one_per_host=False,
        listener=told,
        patience=patience,
        interrupt=interrupt or threading.Event(),
        keep=keep,
    )
    return told


def closed(store):
    return sorted(record.case.id for part in store.parts() for record in read_run(part).records)


def children_of(workers):
    found = []
    for member in workers.members:
        with contextlib.suppress(psutil.Error):
            found += psutil.Process(member.process.pid).children(recursive=True)
    return found


def test_workers_killed_at_their_work_cost_their_chunk_alone(fleet, tmp_path):
    engine, workers = fleet
    store, cases = store_of(tmp_path, 6)
    kills = []

    def keep():
        workers.look()
        busy = [member for member in workers.members if psutil.Process(member.process.pid).children()]
        # One kill for each chunk that began, so that none is lost three times.
        if busy and len(kills) < 4 and len(kills) <= len(store.parts()) * 2:
            kills.append(busy[0].process.pid)
            os.kill(busy[0].process.pid, signal.SIGKILL)

    measure(engine, store, keep)
    assert len(kills) == 4
    assert closed(store) == cases
    assert store.missing() == []


def test_a_frozen_worker_is_replaced_and_its_late_result_unread(fleet, tmp_path):
    engine, workers = fleet
    store, cases = store_of(tmp_path, 3, seconds=0.8)
    frozen = []

    def keep():
        workers.look()
        busy = [member for member in workers.members if psutil.Process(member.process.pid).children()]
        if busy and not frozen:
            frozen.append(busy[0].process.pid)
            os.kill(frozen[0], signal.SIGSTOP)

    told = measure(engine, store, keep)
    os.kill(frozen[0], signal.SIGCONT)
    assert closed(store) == cases
    assert [line[3] for line in told.lines if line[0] == "lost"] == ["its worker is gone or silent"]


def test_an_interrupt_ends_children_and_what_is_missing_is_measured_later(fleet, tmp_path):
    engine, workers = fleet
    store, cases = store_of(tmp_path, 4, seconds=0.6)
    interrupt = threading.Event()

    def keep():
        workers.look()
        if store.parts():
            interrupt.set()

    with pytest.raises(KeyboardInterrupt):
        measure(engine, store, keep, interrupt=interrupt)
    deadline = time.monotonic() + 5.0
    while children_of(workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children_of(workers) == []
    kept = {part.name: part.stat().st_mtime_ns for part in store.parts()}
    assert 0 < len(kept) < 4
    told = measure(engine, store, workers.look)
    assert closed(store) == cases
    assert {line[1] for line in told.lines if line[0] == "begun"}.isdisjoint(kept)


def test_an_unknown_class_is_one_line_with_the_classes_there_are(fleet, tmp_path):
    engine, workers = fleet
    store, _ = store_of(tmp_path, 1, on="h100")
    deadline = time.monotonic() + 30.0
    while coordinate.offered(engine)["cpu"] < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(NoDeviceError, match="no worker offers 'h100'; there is 2 cpu"):
        measure(engine, store, workers.look, patience=Patience(lonely=0.3))


def test_nobody_without_our_certificates_gets_in(scheduler, tmp_path):
    from harness.cluster.engine import DaskEngine

    (tmp_path / "other").mkdir()
    with pytest.raises(ConnectionError, match="no scheduler answers"):
        DaskEngine(address=scheduler.address, certificates=tls.temporary(tmp_path / "other"))
