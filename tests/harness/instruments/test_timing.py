"""The clocks count every call, end a block that became slow, and can't be replaced."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import timing


def test_the_clock_counts_every_call_of_a_block():
    calls = []
    block = timing.HostClock().block(lambda: calls.append(1), 37)
    assert len(calls) == 37
    assert block.seconds > 0.0


@pytest.mark.parametrize(("seconds", "made"), [(1e-5, 1000), (0.05, 16), (2.0, 1)])
def test_a_block_of_calls_that_became_slow_ends_and_counts_those_it_made(monkeypatch, seconds, made):
    now = 0
    monkeypatch.setattr(timing, "_perf_counter_ns", lambda: now)

    def call():
        nonlocal now
        now += round(seconds * 1e9)

    block = timing.HostClock().block(call, 1000)
    assert block.calls == made
    assert block.seconds == pytest.approx(seconds)
    assert now <= max(3 * timing.PATIENCE, seconds) * 1e9


def test_timers_replaced_by_an_implementation_do_not_reach_the_clock(monkeypatch):
    import time

    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    assert timing.HostClock().block(lambda: sum(range(1000)), 5).seconds > 0.0


@pytest.mark.gpu
def test_the_event_clock_times_a_copy_at_a_plausible_rate():
    device = torch.device("cuda")
    source = torch.zeros(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    for cold in (False, True):
        clock = timing.clock_for(device, cold=cold)
        clock.block(lambda: target.copy_(source), 3)
        seconds = clock.block(lambda: target.copy_(source), 10).seconds
        assert 1e10 < 2 * source.nbytes / seconds < 1e13


def test_replaced_clocks_are_put_back_and_named(monkeypatch):
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 0.0)
    assert timing.mend_clocks() == ["perf_counter"]
    assert timing.time.perf_counter is timing.CLOCKS["perf_counter"]
    assert timing.mend_clocks() == []
