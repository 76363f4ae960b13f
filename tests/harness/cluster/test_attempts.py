"""An attempt is a guarded child: its answer comes back, and nothing of it outlives who started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from harness.cluster import attempts as module
from harness.cluster.attempts import Attempts, Slot, held, order_text
from harness.cluster.chunk.packing import unpack
from harness.cluster.orders import Answer, Order
from harness.results import device_lock
from harness.results.device_lock import DeviceLock
from harness.results.run import read_run
from harness.runner.execute import lock_of
from harness.runner.plan import code_fingerprint
from tests.support import stand_in_child
from tests.support.places import ROOT
from tests.support.scripted import plan_of
from tests.support.steps import FIRST


def order(*, seconds=0.1, **changes):
    code = code_fingerprint()
    plan = plan_of(FIRST, fingerprint=code, **changes)
    return order_text(Order(chunk="1", on="cpu", seconds=seconds, fingerprint=code, plan=plan))


def test_a_run_comes_back_packed_and_its_folder_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    answer, content = Attempts(Slot("cpu"), scratch=tmp_path).perform("a", order())
    assert Answer.model_validate_json(answer).kind == "part"
    assert list(tmp_path.iterdir()) == []
    unpack(content, tmp_path / "run")
    assert [record.case.id for record in read_run(tmp_path / "run").records] == [FIRST.case.id]


def test_an_attempt_that_is_stopped_ends_at_once_before_it_began_too(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    made = Attempts(Slot("cpu"), scratch=tmp_path)
    made.stop("early")
    assert Answer.model_validate_json(made.perform("early", order(seconds=60.0))[0]).reason == "it was given up"
    answers = []
    thread = threading.Thread(target=lambda: answers.append(made.perform("late", order(seconds=60.0))))
    thread.start()
    while "late" not in made.stages:
        time.sleep(0.05)
    made.stop("late")
    thread.join(timeout=20.0)
    assert Answer.model_validate_json(answers[0][0]).kind == "failed"
    assert made.stages == {}


def test_a_held_core_and_foreign_code_are_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = Attempts(Slot("cpu"), scratch=tmp_path)
    with lock_of("cpu"):
        held = Answer.model_validate_json(made.perform("a", order())[0])
    assert (held.kind, f"process {os.getpid()}" in held.reason) == ("held", True)
    code = {**code_fingerprint(), "code": "other"}
    foreign = order_text(Order(chunk="1", on="cpu", fingerprint=code, plan=plan_of(FIRST, fingerprint=code)))
    refused = Answer.model_validate_json(made.perform("b", foreign)[0])
    assert (refused.kind, refused.reason) == ("refused", "code differs")


@pytest.mark.parametrize(
    ("slot", "part"),
    [(Slot("cpu", cores=(7, 8)), "core-8"), (Slot("cuda:0", uuid="aa-bb"), "aa-bb")],
)
def test_a_held_device_is_told_without_a_child(tmp_path, monkeypatch, slot, part):
    monkeypatch.setattr(device_lock, "folders", lambda: (tmp_path, tmp_path))
    monkeypatch.setattr(Attempts, "_start", None)
    made = Attempts(slot, scratch=tmp_path)
    with DeviceLock([part], folder=tmp_path, name="other"):
        answer = Answer.model_validate_json(made.perform("a", order())[0])
    assert answer.kind == "held"
    assert f"is held by another run (process {os.getpid()})" in answer.reason
    assert held(slot) == ""
    assert held(Slot("cuda:0")) == ""


def test_a_child_that_was_made_ready_takes_the_next_order_and_one_that_was_killed_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    made = Attempts(Slot("cpu"), scratch=tmp_path)
    for is_killed in (False, True):
        made.make_ready()
        made.make_ready()
        (folder,) = tmp_path.iterdir()
        if is_killed:
            made._spare.process.kill()
            made._spare.process.wait()
        answer, content = made.perform("a", order())
        assert Answer.model_validate_json(answer).kind == "part"
        assert content
        assert not folder.exists()
        assert list(tmp_path.iterdir()) == []


def test_what_planned_takes_the_next_order_and_ends_with_all_others(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    made = Attempts(Slot("cpu"), scratch=tmp_path)
    code = code_fingerprint()
    planning = order_text(Order(chunk="plan", on="cpu", fingerprint=code))
    assert made.perform("a", planning)[1] == stand_in_child.PLANNED.encode()
    waiting = made._spare.process
    assert made.perform("b", planning)[1] == stand_in_child.PLANNED.encode()
    assert made._spare.process is waiting
    made.stop_all()
    waiting.wait(timeout=20.0)
    while list(tmp_path.iterdir()):
        time.sleep(0.05)
    assert made._spare is None


def planned(made):
    """Have a plan made, and return the child that waits then."""
    assert made.perform("plan", order_text(Order(chunk="plan", on="cpu", fingerprint=code_fingerprint())))[1]
    return made._spare


@pytest.mark.parametrize("is_all", [False, True])
def test_whose_folder_is_gone_takes_no_further_order(tmp_path, monkeypatch, is_all):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    scratch = tmp_path / "crew" / "worker"
    made = Attempts(Slot("cpu"), scratch=scratch)
    waiting = planned(made)
    shutil.rmtree(tmp_path / "crew" if is_all else waiting.folder)
    lost = Answer.model_validate_json(made.perform("a", order())[0])
    assert (lost.kind, f"{waiting.folder}/order.json: No such file" in lost.reason) == ("failed", True)
    assert waiting.process.poll() is not None
    assert Answer.model_validate_json(made.perform("b", order())[0]).kind == "part"
    assert list(scratch.iterdir()) == []


def test_what_is_stopped_as_it_answers_takes_no_further_order(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    made = Attempts(Slot("cpu"), scratch=tmp_path)
    listen = Attempts._listen

    def stopped(self, key, process):
        answer = listen(self, key, process)
        self.stop(key)
        return answer

    with monkeypatch.context() as late:
        late.setattr(Attempts, "_listen", stopped)
        made.perform("a", order_text(Order(chunk="plan", on="cpu", fingerprint=code_fingerprint())))
    assert made._spare is None
    assert Answer.model_validate_json(made.perform("b", order())[0]).kind == "part"


def test_a_frozen_child_is_ended_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    monkeypatch.setattr(module, "LISTEN_SECONDS", 0.25)
    made = Attempts(Slot("cpu"), scratch=tmp_path)
    made.make_ready()
    frozen = made._spare.process
    frozen.send_signal(signal.SIGSTOP)
    answer = Answer.model_validate_json(made.perform("a", order())[0])
    assert (answer.kind, answer.reason) == ("failed", "the run gave no sign of life for 1 s")
    assert frozen.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_what_waits_on_a_device_goes_where_another_run_takes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHILD", stand_in_child.__name__)
    monkeypatch.setattr(device_lock, "folders", lambda: (tmp_path, tmp_path))
    made = Attempts(Slot("cpu", cores=(0,)), scratch=tmp_path / "scratch")
    waiting = planned(made)
    with DeviceLock(["core-0"], folder=tmp_path, name="other"):
        assert Answer.model_validate_json(made.perform("a", order())[0]).kind == "held"
    waiting.process.wait(timeout=20.0)
    assert made._spare is None


def test_no_child_is_made_ready_on_a_device_that_another_run_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(device_lock, "folders", lambda: (tmp_path, tmp_path))
    with DeviceLock(["core-7"], folder=tmp_path, name="other"):
        made = Attempts(Slot("cpu", cores=(7,)), scratch=tmp_path)
        made.make_ready()
    assert made._spare is None


def test_a_child_dies_with_who_waits_for_it(tmp_path):
    """Held against SIGKILL: no handler of the parent can run."""
    code = (
        "import sys; from pathlib import Path; from harness.cluster import attempts\n"
        "from tests.support import stand_in_child\n"
        "attempts.CHILD = stand_in_child.__name__\n"
        "attempts.Attempts(attempts.Slot('cpu'), scratch=Path(sys.argv[1])).perform('a', sys.argv[2])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), order(seconds=60.0)], cwd=ROOT)
    deadline = time.monotonic() + 30.0
    while not list(tmp_path.glob("*/run/journal.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs([child], timeout=5.0)
    assert [process.pid for process in gone] == [child.pid]
    assert alive == []
