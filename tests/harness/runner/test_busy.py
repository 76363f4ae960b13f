"""A machine whose cores are taken is waited for, for a while, and by name."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import CanaryRead, ReadCanary
from harness.runner import busy
from harness.runner.busy import BusyWatch, Taker, look_around
from tests.support.scripted import Listener, ScriptedSupervisor, state_of
from tests.support.steps import FIRST

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
    return BusyWatch(clock=clock, sleep=clock.sleep, who=lambda: [Taker("cc1plus 77", 1.9)])


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


@pytest.mark.parametrize(
    ("device", "threads", "shares", "told"),
    [
        ("cpu", 2, (1.0, 1.0), True),
        ("cpu", 2, (0.6, 0.3, 0.2, 0.2), True),
        ("cpu", 2, (0.4,), False),
        ("cpu", 1, (1.0,), False),
        ("cpu", None, (1.0, 1.0), False),
        ("cuda:0", 2, (1.0, 1.0), False),
    ],
)
def test_who_takes_the_cores_as_a_run_begins_is_told_at_once(monkeypatch, device, threads, shares, told):
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    state = state_of(FIRST, device=device)
    state.plan = state.plan.model_copy(update={"threads": threads, "device": device})
    state.watch.who = lambda: [Taker(f"cc1plus {number}", share) for number, share in enumerate(shares)]
    look_around(state)
    assert state.progress.names() == (["crowded"] if told else [])
    assert len(state.warnings) == told
    if told:
        said = [f"cc1plus {number} ({share:.0%} of a core)" for number, share in enumerate(shares)][:3]
        assert state.progress.events == [("crowded", (said,), {})]
        assert f"Others took {sum(shares):.1f} of the 2 cores" in state.warnings[0]
        assert said[0] in state.warnings[0]


def test_a_quiet_run_has_no_warning():
    assert BusyWatch().warning() == []


def test_a_process_that_takes_a_core_is_named_and_our_own_children_are_not(monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert not any(taker.name.endswith(f" {child.pid}") for taker in busy.core_takers())
        # As a process would be that is none of ours.
        monkeypatch.setattr(psutil.Process, "children", lambda _, recursive: [])  # noqa: ARG005
        monkeypatch.setattr(busy, "SHARE_NAMED", 0.0)
        noted = busy.note_processes()
        time.sleep(busy.LOOK_SECONDS)
        slept = []
        monkeypatch.setattr(busy.time, "sleep", slept.append)
        names = [taker.name for taker in busy.core_takers(noted)]
        # Who was noted long enough ago is known at once.
        assert slept == [0.0]
        assert any(name.endswith(f" {child.pid}") for name in names)
        assert not any(name.endswith(f" {os.getpid()}") for name in names)
    finally:
        child.kill()
        child.wait()
