"""What stands in the way of an order becomes its answer."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from harness.cluster.chunk import child
from harness.cluster.orders import Answer, Kernel, Order
from harness.results.device_lock import DeviceHeldError
from harness.runner.execute import ForeignCodeError
from harness.runner.selection import SelectionError
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings
from tests.support.places import ROOT
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


def test_what_is_refused_before_its_device_is_held_leaves_no_worker(monkeypatch, tmp_path):
    dropped = []
    monkeypatch.setattr(Supervisor, "drop", lambda self: dropped.append(self.settings.device))
    order = Order(chunk="1", on="cpu", fingerprint={}, plan=plan_of(FIRST))
    assert child.carry_out(order, child.Hands(tmp_path, "cpu")).kind == "refused"
    assert dropped == ["cpu"]


def test_an_answer_is_one_line_that_needs_no_disk(monkeypatch, tmp_path, capfdbinary):
    full = Answer(kind="failed", reason="No space left on device:\n\u00d7 " + "x" * 9000)
    monkeypatch.setattr(child, "carry_out", lambda *_: full)
    (tmp_path / child.ORDER).write_text(Order(chunk="plan", on="cpu", fingerprint={}).model_dump_json(by_alias=True))
    assert not child._answer(child.Hands(tmp_path, "cpu"))
    (line,) = capfdbinary.readouterr().out.splitlines()
    assert Answer.model_validate_json(line.removeprefix(child.ANSWERED)) == full
    assert [file.name for file in tmp_path.iterdir()] == [child.ORDER]


def test_a_process_gives_signs_of_life_until_nobody_reads_them():
    code = "from harness.cluster.chunk import child; child.BEAT_SECONDS = 0.02; child._beat(); print('gone')"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert [process.stdout.readline() for _ in range(3)] == [b"\n"] * 3
    process.stdout.close()
    process.wait(timeout=20.0)


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
