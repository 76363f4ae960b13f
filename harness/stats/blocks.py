"""When to stop: pure decisions over numbers and a clock that tests can replace."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.policy import TimingPolicy


# A long call that takes less than this share of the quickest before it is still getting faster.
FALLING = 0.9
# Keeps a block that is exactly long enough from gaining a call by rounding.
ROUNDING = 1e-9
# Windows of ten calls: warm-up is over when the first isn't slower than the next beyond what its scatter explains.
WINDOW = 10
WINDOW_TOLERANCE = 1.01
# A normal sample's median absolute deviation times this estimates its standard deviation.
MAD_TO_SIGMA = 1.4826
# The difference of two window medians has about this many standard errors of slack at 5 %.
WINDOW_SIGMAS = 1.6


def warm_up(
    time_call: Callable[[], float], *, policy: TimingPolicy, before: int = 0, clock: Callable[[], float] | None = None
) -> list[float]:
    """Call until the data says that start-up cost is over; return the seconds of each call, in order.

    Ends after at least `warm_up_calls` calls and `warm_up_seconds`, when two windows agree, or at
    `warm_up_seconds_at_most`. A slow call shows its steady state within `warm_up_calls_slow`, a long one within
    `warm_up_calls_long` once calls get no faster; there the `before` calls made already count. Seconds pass by the
    clock, by default as calls take them: on a GPU what a call takes is device time, and what surrounds it takes far
    longer.
    """
    seconds = [time_call()]
    least = spent = seconds[0]
    begun = clock() if clock else 0.0
    while spent < policy.warm_up_seconds_at_most:
        made = before + len(seconds)
        if least >= policy.slow_call_seconds and len(seconds) >= policy.warm_up_calls_slow:
            break
        is_long = least >= policy.long_call_seconds and made >= policy.warm_up_calls_long
        if is_long and len(seconds) > 1 and seconds[-1] >= FALLING * min(seconds[:-1]):
            break
        enough = len(seconds) >= policy.warm_up_calls and spent >= policy.warm_up_seconds
        if enough and steady(seconds):
            break
        seconds.append(time_call())
        least = min(least, seconds[-1])
        spent = clock() - begun if clock else spent + seconds[-1]
    return seconds


def steady(seconds: list[float]) -> bool:
    """Say whether the last window of calls is no faster than the one before it, beyond scatter."""
    if len(seconds) < 2 * WINDOW:
        return len(seconds) >= WINDOW and min(seconds[:-1]) <= WINDOW_TOLERANCE * seconds[-1]
    before, after = seconds[-2 * WINDOW : -WINDOW], seconds[-WINDOW:]
    middle = statistics.median(after)
    scatter = MAD_TO_SIGMA * statistics.median(abs(value - middle) for value in after)
    limit = WINDOW_TOLERANCE * middle + WINDOW_SIGMAS * scatter / WINDOW**0.5
    return bool(statistics.median(before) <= limit)


def calls_per_block(call_seconds: float, *, target: float, at_most: int) -> int:
    """Return how many calls make a block of at least `target` seconds; one slow call is a block of its own."""
    if call_seconds <= 0.0:
        return at_most
    return max(1, min(at_most, math.ceil(target / call_seconds * (1.0 - ROUNDING))))


def blocks_for(call_seconds: float, *, policy: TimingPolicy) -> int:
    """Return how many blocks a visit takes: one for calls so slow that three would starve the other cases."""
    return 1 if call_seconds >= policy.slow_call_seconds else policy.blocks_per_round
