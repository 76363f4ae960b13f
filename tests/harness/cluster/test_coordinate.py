"""A plan becomes orders of whole curves for so many devices, within one time budget."""

from __future__ import annotations

import os
import signal

import pytest

from harness.cluster.coordinate import interrupts, orders
from harness.policy import DEFAULT
from harness.records import PlannedCase
from harness.runner.budget import time_budget
from harness.runner.selection import TimeLimits
from tests.support.scripted import plan_of
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


def test_a_time_budget_is_that_of_all_devices_together():
    made = orders(plan(), on="cpu", workers=2, limits=TimeLimits(budget=100.0), kernels=())
    assert sum(order.limits.budget for order in made) == pytest.approx(200.0)


def test_a_chunk_that_takes_longer_than_a_run_may_gets_its_time():
    made = orders(plan(curves=1, seconds=30.0), on="cpu", workers=1, limits=TimeLimits(), kernels=())
    assert made[0].limits.budget > time_budget("cpu", DEFAULT.run)
    quick = orders(plan(curves=1), on="cpu", workers=1, limits=TimeLimits(), kernels=())
    assert quick[0].limits.budget is None


def test_an_interrupt_is_a_flag_meanwhile():
    before = signal.getsignal(signal.SIGINT)
    with interrupts() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.wait(5.0)
    assert signal.getsignal(signal.SIGINT) is before
