"""A plan becomes orders of whole curves for so many devices, within one time budget."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

import pytest

from harness.cluster.coordinate import classes, interrupts, measure, offered, orders
from harness.cluster.orders import Order
from harness.cluster.seen import NoDeviceError, Patience, Seen
from harness.cluster.store import Store
from harness.policy import DEFAULT
from harness.records import PlannedCase
from harness.results.run import read_run
from harness.runner.budget import time_budget
from harness.runner.plan import code_fingerprint
from harness.runner.selection import TimeLimits
from tests.support.scripted import plan_of
from tests.support.scripted_engine import ScriptedEngine, Told, announced
from tests.support.steps import planned


def plan(curves=4, *, points=3, seconds=0.01):
    cases = [planned(f"one-{at}", seconds=seconds, n=n) for at in range(2) for n in range(1, points + 1)]
    moved = []
    for curve in range(curves):
        for one in cases:
            case = one.case.model_copy(update={"id": f"{curve} {one.case.id}{one.case.label}", "scenario": f"s{curve}"})
            moved.append(PlannedCase(case=case, predicted=one.predicted))
    return plan_of(*moved, baseline="none")


def test_every_case_is_in_one_order_and_no_curve_is_cut():
    whole = plan()
    made = orders(whole, on="cpu", workers=2, limits=TimeLimits(), kernels=())
    assert len(made) == 2
    ids = [one.case.id for order in made for one in order.plan.cases]
    assert sorted(ids) == sorted(one.case.id for one in whole.cases)
    scenarios = [{one.case.scenario for one in order.plan.cases} for order in made]
    assert not scenarios[0] & scenarios[1]
    assert [order.name for order in made] == ["cpu-1", "cpu-2"]


@pytest.mark.parametrize("given", [1000.0, None])
def test_a_time_budget_is_that_of_the_whole_sweep_and_a_runs_own_if_none_is_given(given):
    made = orders(plan(points=120), on="cpu", workers=2, limits=TimeLimits(budget=given), kernels=())
    each = given or time_budget("cpu", DEFAULT.run)
    assert len(made) == 4
    assert sum(order.limits.budget for order in made) == pytest.approx(2 * each)
    alone = orders(plan(curves=1), on="cpu", workers=1, limits=TimeLimits(budget=given), kernels=())
    assert [order.limits.budget for order in alone] == [each]


def test_curves_that_no_device_has_time_for_leave_none_idle():
    # A run keeps its cheapest point whatever it costs, which is that of n=1.
    dear = [one for one in plan(curves=1, seconds=100.0).cases if one.case.point["n"] > 1]
    cheap = [one for one in plan(curves=3).cases if one.case.scenario != "s0"]
    made = orders(plan_of(*dear, *cheap), on="cpu", workers=2, limits=TimeLimits(), kernels=())
    assert [order.seconds for order in made] == pytest.approx([made[0].seconds] * 2)
    assert [len(order.plan.cases) for order in made] == [10, 6]
    assert sum(one.case.scenario == "s0" for order in made for one in order.plan.cases) == len(dear)


def test_workers_that_can_not_measure_for_us_are_no_devices():
    ours = code_fingerprint()
    other = announced("b", code={**ours, "code": "other"})
    engine = ScriptedEngine(x=announced("a", on="h100", code=ours), y=other, z=None)
    assert offered(engine) == {"h100": 1}
    engine.there["x"] = replace(engine.there["x"], is_ready=False)
    assert offered(engine) == {}
    with pytest.raises(NoDeviceError, match=f"b cpu cores 0 is refused: its code is other, ours {ours['code']}"):
        classes(engine, patience=Patience(lonely=0.0), interrupt=threading.Event())
    del engine.there["y"]
    with pytest.raises(NoDeviceError, match="no worker of attnbench: start `attnbench worker`"):
        classes(engine, patience=Patience(lonely=0.0), interrupt=threading.Event())


class LosesWorkers(ScriptedEngine):
    """An engine whose workers are gone at the look after they got an order, each followed by another."""

    def submit(self, key, order, *, address):
        super().submit(key, order, address=address)
        del self.there[address]
        at = len(self.there) + len(self.most)
        self.there[f"w{at}"] = Seen(announced(f"host-{at}", code=order.fingerprint), heard=0.0)


def test_a_chunk_that_loses_three_workers_ends_as_records_with_the_hosts_named(tmp_path):
    store, ours = Store(tmp_path / "out"), code_fingerprint()
    store.make()
    whole = plan(curves=1)
    order = Order(chunk="1", on="cpu", fingerprint=ours, plan=whole)
    store.begin([order], command=["test"], one_per_host=False)
    engine, told = LosesWorkers(w0=announced("host-0", code=ours)), Told()
    measure(
        engine,
        store,
        one_per_host=False,
        listener=told,
        patience=Patience(),
        interrupt=threading.Event(),
        keep=lambda: None,
    )
    records = read_run(store.part("cpu-1")).records
    assert {record.case.id for record in records} == {one.case.id for one in whole.cases}
    assert {record.status for record in records} == {"crashed"}
    assert [f"host-{number} cpu" in records[0].reason for number in range(4)] == [True, True, True, False]


def test_an_interrupt_is_a_flag_meanwhile():
    before = signal.getsignal(signal.SIGINT)
    with interrupts() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.wait(5.0)
    assert signal.getsignal(signal.SIGINT) is before
