"""A machine whose cores are taken is waited for, for a while, and by name."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import CanaryRead, ReadCanary
from harness.runner import busy
from harness.runner.busy import BusyWatch
from tests.support.scripted import Listener, ScriptedSupervisor

RUN = DEFAULT.run


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return BusyWatch(clock=clock, sleep=clock.sleep, who=lambda: ["cc1plus 77 (190% of a core)"])


def test_only_a_canary_that_stays_far_beyond_its_best_for_seconds_is_waited_for(watch, clock):
    assert not watch.hear([1e-3], policy=RUN)
    assert not watch.hear([2.9e-3], policy=RUN)
    assert not watch.hear([0.1], policy=RUN)
    clock.now = 2.9
    assert not watch.hear([0.1], policy=RUN)
    clock.now = 3.0
    assert watch.hear([0.1], policy=RUN)
    assert not watch.hear([1e-3], policy=RUN)
    assert not watch.hear([0.1], policy=RUN)
    assert not watch.hear([], policy=RUN)


def wait(watch, answer, *, budget=300.0):
    listener = Listener()
    watch.wait(ScriptedSupervisor({ReadCanary: answer}), policy=RUN, budget=budget, progress=listener)
    return listener


def test_waiting_ends_when_the_machine_is_free_and_is_said_with_who_took_it(watch, clock):
    watch.hear([1e-3], policy=RUN)
    listener = wait(watch, lambda _: CanaryRead(seconds=[0.1 if clock.now < 7 else 1e-3]))
    assert clock.now == 7.0
    assert listener.events == [("waiting", (["cc1plus 77 (190% of a core)"],), {"seconds": 60.0})]
    (warning,) = watch.warning()
    assert "waited 7 s" in warning
    assert "cc1plus 77" in warning


def test_no_more_than_a_minute_is_waited_in_all_and_no_more_than_a_fifth_of_the_budget(watch, clock):
    watch.hear([1e-3], policy=RUN)
    wait(watch, CanaryRead(seconds=[0.1]))
    assert clock.now == 60.0
    assert wait(watch, CanaryRead(seconds=[0.1])).events == []
    assert clock.now == 60.0
    other = BusyWatch(best=1e-3, clock=clock, sleep=clock.sleep, who=list)
    wait(other, CanaryRead(seconds=[0.1]), budget=50.0)
    assert clock.now == 70.0


def test_a_quiet_run_has_no_warning():
    assert BusyWatch().warning() == []


def test_a_process_that_takes_a_core_is_named_and_our_own_children_are_not(monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert not any(f" {child.pid} " in taker for taker in busy.core_takers())
        # As a process would be that is none of ours.
        monkeypatch.setattr(psutil.Process, "children", lambda _, recursive: [])  # noqa: ARG005
        monkeypatch.setattr(busy, "SHARE_NAMED", 0.0)
        monkeypatch.setattr(busy, "NAMED_AT_MOST", 10_000)
        takers = busy.core_takers()
        assert any(f" {child.pid} (" in taker for taker in takers)
        assert not any(f" {os.getpid()} (" in taker for taker in takers)
    finally:
        child.kill()
        child.wait()
