"""When a case has been timed enough, and when its warm-up is over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.stats.samples import summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import TimingPolicy
    from harness.records import StopReason


def stop(
    rounds: Sequence[Sequence[float]], *, policy: TimingPolicy, seconds_left: float = math.inf
) -> StopReason | None:
    """Decide after a round whether a case is done, and why; None to go on.

    Precision is looked at only at `policy.looks`, so that stopping on a lucky round can't narrow the interval. Without
    time left it ends after `rounds_at_least`; a case that misses the precision keeps its interval.
    """
    count = len(rounds)
    if count < policy.rounds_at_least:
        return None
    if count in policy.looks and is_precise(rounds, policy=policy):
        return "precision"
    if count >= policy.rounds_at_most:
        return "rounds"
    return "time budget" if seconds_left <= 0.0 else None


def is_precise(rounds: Sequence[Sequence[float]], *, policy: TimingPolicy) -> bool:
    """Tell whether the interval of the median is as narrow as asked."""
    half_width = summarise(rounds, policy=policy).half_width
    return half_width is not None and half_width <= policy.precision
