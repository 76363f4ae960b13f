"""What stands in the way of an order becomes its answer."""

from __future__ import annotations

import pytest

from harness.cluster.chunk import child
from harness.cluster.orders import Order
from harness.results.device_lock import DeviceHeldError
from harness.runner.execute import ForeignCodeError
from harness.runner.selection import SelectionError
from harness.runner.supervisor import WorkerError
from tests.support.scripted import plan_of
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
    answer = child.carry_out(Order(chunk="plan", on="cpu", fingerprint={}), tmp_path, device="cpu")
    assert (answer.kind, answer.reason) == (kind, str(error))


def test_a_plan_for_another_device_is_not_measured(tmp_path):
    order = Order(chunk="1", on="cpu", fingerprint={}, plan=plan_of(FIRST))
    answer = child.carry_out(order, tmp_path, device="cuda:0")
    assert (answer.kind, answer.reason) == ("failed", "the plan is for cpu, the device here is cuda:0")
