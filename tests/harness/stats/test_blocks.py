"""Warm-up ends when the data says so; block lengths follow the call."""

from __future__ import annotations

import itertools

from harness.policy import TimingPolicy
from harness.stats import blocks

POLICY = TimingPolicy()


class FakeCall:
    """A call whose duration follows a script, then stays."""

    def __init__(self, *script: float, then: float) -> None:
        self.durations = itertools.chain(script, itertools.repeat(then))

    def __call__(self) -> float:
        return next(self.durations)


def test_a_start_up_cost_is_left_behind():
    seconds = blocks.warm_up(FakeCall(0.02, 0.01, 0.005, 0.003, 0.002, then=0.001), policy=POLICY)
    assert seconds[-1] == 0.001
    assert len(seconds) >= POLICY.warm_up_calls


def test_a_plateau_that_ends_late_is_waited_for():
    script = [0.001 * 0.97**i for i in range(60)]
    seconds = blocks.warm_up(FakeCall(*script, then=script[-1]), policy=POLICY)
    assert len(seconds) > 40


def test_a_quick_steady_call_is_warmed_for_its_least_time():
    seconds = blocks.warm_up(FakeCall(then=1e-3), policy=POLICY)
    assert len(seconds) >= POLICY.warm_up_calls
    assert sum(seconds) >= POLICY.warm_up_seconds


def test_a_slow_call_is_warmed_twice():
    assert len(blocks.warm_up(FakeCall(then=1.0), policy=POLICY)) == POLICY.warm_up_calls_slow


def test_calls_made_before_count_where_a_call_is_long():
    long, short = POLICY.long_call_seconds, 0.99 * POLICY.long_call_seconds
    assert len(blocks.warm_up(FakeCall(then=long), policy=POLICY)) == POLICY.warm_up_calls_long
    assert len(blocks.warm_up(FakeCall(then=long), policy=POLICY, before=2)) == POLICY.warm_up_calls_long - 2
    assert len(blocks.warm_up(FakeCall(then=long), policy=POLICY, before=100)) == 2
    assert len(blocks.warm_up(FakeCall(then=short), policy=POLICY, before=100)) >= POLICY.warm_up_calls


def test_warm_up_ends_where_the_data_never_settles():
    falling = (0.04 * 0.99**i for i in itertools.count())
    seconds = blocks.warm_up(lambda: next(falling), policy=POLICY)
    assert sum(seconds) <= POLICY.warm_up_seconds_at_most + 0.04


def test_blocks_are_at_least_as_long_as_asked():
    for call in (1e-6, 3e-4, 4.9e-3, 5e-3, 1.0):
        calls = blocks.calls_per_block(call, target=5e-3, at_most=2**16)
        assert calls * call >= 4.999e-3 or calls == 2**16
        assert calls == 1 or (calls - 1) * call < 5e-3
    assert blocks.calls_per_block(0.0, target=5e-3, at_most=64) == 64


def test_a_slow_call_is_sampled_once_a_visit():
    assert blocks.blocks_for(POLICY.slow_call_seconds, policy=POLICY) == 1
    assert blocks.blocks_for(1e-3, policy=POLICY) == POLICY.blocks_per_round
