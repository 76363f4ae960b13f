"""What stands in the way of an order becomes its answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cluster.chunk import child
from harness.cluster.orders import Kernel, Order
from harness.results.device_lock import DeviceHeldError
from harness.runner.execute import ForeignCodeError
from harness.runner.selection import SelectionError
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings
from tests.support.scripted import Listener, plan_of
from tests.support.steps import FIRST


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeviceHeldError("held"), "held"),
        (ForeignCodeError("code differs"), "refused"),
        (SelectionError("nothing left"), "mistake"),
        (WorkerError("no worker"), "failed"),
        (OSError("no space"), "failed"),
    ],
)
def test_each_error_is_an_answer(monkeypatch, tmp_path, error, kind):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(child, "_plan", fail)
    answer = child.carry_out(Order(chunk="plan", on="cpu", fingerprint={}), child.Hands(tmp_path, "cpu"))
    assert (answer.kind, answer.reason) == (kind, str(error))


def test_a_plan_for_another_device_is_not_measured(tmp_path):
    order = Order(chunk="1", on="cpu", fingerprint={}, plan=plan_of(FIRST))
    answer = child.carry_out(order, child.Hands(tmp_path, "cuda:0"))
    assert (answer.kind, answer.reason) == ("failed", "the plan is for cpu, the device here is cuda:0")


def test_a_worker_that_planned_measures_what_has_its_settings_and_kernels_and_nothing_else(monkeypatch, tmp_path):
    dropped = []
    monkeypatch.setattr(Supervisor, "drop", lambda self: dropped.extend([self]))
    asked = Order(chunk="plan", on="cpu", fingerprint={})
    measured = Order(chunk="1", on="cpu", fingerprint={}, plan=plan_of(FIRST))
    settings = WorkerSettings.of(measured.plan)
    kernel = Kernel(path="mine.py", files={"mine.py": "1"})
    for order, wanted, keeps in (
        (measured, settings, True),
        (measured, replace(settings, threads=3), False),
        (measured.model_copy(update={"kernels": [kernel]}), settings, False),
        (asked, settings, False),
    ):
        hands = child.Hands(tmp_path, "cpu")
        planning = hands.supervisor(asked, settings, progress=Listener())
        planning.stages.add({"starting workers": 1.0})
        hands.keep(asked, planning, settings=settings)
        later = hands.supervisor(order, wanted, progress=Listener())
        assert (later is planning, dropped == [planning]) == (keeps, not keeps)
        assert not later.stages.seconds
        # What was measured with has ended.
        assert hands.supervisor(measured, settings, progress=Listener()) is not later
        dropped.clear()
