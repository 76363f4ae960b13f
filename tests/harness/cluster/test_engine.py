"""Orders reach workers of dask.distributed and come back once, whatever becomes of workers; nothing is left running."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest

from harness.cluster import coordinate, crew, tls
from harness.cluster.crew import Crew, Reach
from harness.cluster.orders import Answer, Order
from harness.cluster.places import Place
from harness.cluster.seen import NoDeviceError, Patience
from harness.cluster.serving import NAME
from harness.cluster.store import Store
from harness.results.run import read_run
from harness.runner.plan import code_fingerprint
from tests.evidence.cluster_kills import MEASURING, WORKER, Killer, left_of, mistakes_of, sweep
from tests.support import stand_in_worker
from tests.support.places import ROOT
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


@pytest.fixture(scope="module")
def workers(scheduler):
    """Two workers whose children measure nothing; at the end no process of theirs is left."""
    before = psutil.Process().children(recursive=True)
    reach = Reach(scheduler=scheduler.address, host="127.0.0.1", certificates=scheduler.certificates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crew, "WORKER", stand_in_worker.__name__)
        with Crew([Place("cpu", "cpu", cores=(number,)) for number in range(2)], reach) as made:
            yield made
    left = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    assert [child for child in left if child not in before] == []


@pytest.fixture
def fleet(scheduler, workers):
    """A connection, and the workers; no attempt is left on them."""
    from harness.cluster.engine import DaskEngine

    engine = DaskEngine(address=scheduler.address, certificates=scheduler.certificates)
    yield engine, workers
    wait_for_children(workers)
    assert children_of(workers) == []
    engine.close()


def orders_of(count, *, seconds=0.3, on="cpu"):
    cases = [planned(n=size) for size in range(1, 2 * count + 1)]
    code = code_fingerprint()
    orders = [
        Order(chunk=str(at), on=on, seconds=seconds, fingerprint=code, plan=plan_of(*cases[2 * at : 2 * at + 2]))
        for at in range(count)
    ]
    return orders, sorted(one.case.id for one in cases)


def store_of(tmp_path, count, **options):
    store = Store(tmp_path / "out")
    store.make()
    orders, cases = orders_of(count, **options)
    store.begin(orders, command=["test"], one_per_host=False)
    return store, cases


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


def wait_for_children(workers):
    deadline = time.monotonic() + 5.0
    while children_of(workers) and time.monotonic() < deadline:
        time.sleep(0.1)


def test_a_worker_and_a_child_that_are_killed_at_a_write_cost_their_attempt_alone(fleet, tmp_path):
    engine, workers = fleet
    orders, cases = orders_of(3, seconds=0.6)
    store = Store(tmp_path / "out")
    killer = Killer(workers.folder, times=2, chance=random.Random(0), lines_at_most=1)
    told = sweep(store, orders, workers, engine, killer, interrupt=threading.Event())
    assert [kill.victim for kill in killer.kills] == [WORKER, MEASURING]
    assert mistakes_of(store, orders, left=left_of(killer, known=[])) == []
    assert closed(store) == cases
    assert len([line for line in told.lines if line[0] == "lost"]) == 2


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
    wait_for_children(workers)
    assert children_of(workers) == []
    kept = {part.name: part.stat().st_mtime_ns for part in store.parts()}
    assert 0 < len(kept) < 4
    told = measure(engine, store, workers.look)
    assert closed(store) == cases
    assert {line[1] for line in told.lines if line[0] == "begun"}.isdisjoint(kept)


# What a coordinator does that stands apart: it goes on with a sweep.
COORDINATOR = """
import sys, threading
from pathlib import Path
from harness.cluster import coordinate
from harness.cluster.engine import DaskEngine
from harness.cluster.seen import Patience
from harness.cluster.store import Store
from harness.cluster.tls import Certificates
from tests.support.scripted_engine import Told

engine = DaskEngine(address=sys.argv[2], certificates=Certificates(*sys.argv[3:]))
coordinate.measure(
    engine, Store(Path(sys.argv[1])), one_per_host=False, listener=Told(), patience=Patience(),
    interrupt=threading.Event(), keep=lambda: None,
)
"""


def test_a_coordinator_that_is_killed_elsewhere_leaves_no_child(scheduler, fleet, tmp_path):
    _, workers = fleet
    store, _ = store_of(tmp_path, 2, seconds=60.0)
    keys = scheduler.certificates
    words = [sys.executable, "-c", COORDINATOR, str(store.directory), scheduler.address, keys.ca, keys.cert, keys.key]
    coordinator = subprocess.Popen(words, cwd=ROOT)
    deadline = time.monotonic() + 30.0
    while not (begun := children_of(workers)) and time.monotonic() < deadline:
        workers.look()
        time.sleep(0.1)
    coordinator.kill()
    coordinator.wait()
    assert begun
    wait_for_children(workers)
    assert children_of(workers) == []


def test_an_unknown_class_is_one_line_with_the_classes_there_are(fleet, tmp_path):
    engine, workers = fleet
    store, _ = store_of(tmp_path, 1, on="h100")
    deadline = time.monotonic() + 30.0
    while coordinate.offered(engine)["cpu"] < 2 and time.monotonic() < deadline:
        workers.look()
        time.sleep(0.1)
    with pytest.raises(NoDeviceError, match="no worker offers 'h100'; there is 2 cpu"):
        measure(engine, store, workers.look, patience=Patience(lonely=0.3))


def test_nobody_without_our_certificates_gets_in(scheduler, tmp_path):
    from harness.cluster.engine import DaskEngine

    (tmp_path / "other").mkdir()
    with pytest.raises(ConnectionError, match="no scheduler answers"):
        DaskEngine(address=scheduler.address, certificates=tls.temporary(tmp_path / "other"))


class Client:
    """A client of the engine whose scheduler knows one worker, at an order for as long as a test says."""

    status = "running"
    scheduler = SimpleNamespace(identity=None)

    def __init__(self):
        self.asked, self.at = 0, {}

    def sync(self, *_, **__):
        self.asked += 1
        worker = {"last_seen": 1.0, "status": "running", "metrics": {NAME: {"stages": self.at}}}
        return {"workers": {"tcp://a:1": worker}}


def test_the_scheduler_is_asked_no_oftener_than_it_can_know_and_what_came_back_keeps_no_worker_busy(monkeypatch):
    pytest.importorskip("distributed")
    from harness.cluster import engine as module

    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    engine = module.DaskEngine.__new__(module.DaskEngine)
    vars(engine).update(
        _client=Client(), _prefix="p-", _flight={"cpu-1-1": object(), "cpu-2-1": object()}, _back=set(), _workers={}
    )
    vars(engine).update(_answered=now[0], _asked=float("-inf"))
    keys = ("p-cpu-1-1", "p-cpu-2-1")
    engine._client.at = {key: {"phase": "round 1"} for key in keys}
    for _ in range(3):
        assert engine.workers()["tcp://a:1"].busy == keys
    assert engine._client.asked == 1
    answer = Answer(kind="part").model_dump_json()
    ended = SimpleNamespace(key=keys[0], status="finished"), (answer, b"packed")
    # Of one that is lost to the scheduler nobody knows whether its worker is still at it.
    lost = SimpleNamespace(key=keys[1], status="lost"), None
    engine._done = SimpleNamespace(next_batch=lambda **_: [ended, lost])
    assert [key for key, _ in engine.landed()] == ["cpu-1-1", "cpu-2-1"]
    assert engine.workers()["tcp://a:1"].busy == (keys[1],)
    now[0] += module.ASK_SECONDS
    engine.workers()
    assert engine._client.asked == 2
