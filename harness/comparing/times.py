"""Times of two runs that never took turns: how far apart they must lie before the code is the cause.

The error of each side's time is what its interval says, with what differs between processes; to that comes how far the
machine itself moved. It shows in the canary, and in cases whose code is the same on both sides.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.stats.comparison import LEAST_VARIANCE, conclude

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.policy import ComparisonPolicy
    from harness.stats.comparison import Comparison

# With fewer cases or implementations whose code is the same, what moved them may be anything.
CONTROLS_AT_LEAST = 20
IMPLEMENTATIONS_AT_LEAST = 3
# Half of normal deviates are within this.
PROBABLE = 0.6745
# Of a range of about 15 in logarithms: to six digits.
BISECTIONS = 24


@dataclass(frozen=True)
class Side:
    """Times of one side, one a case: seconds, the interval, rounds; `between` is the deviation between processes.

    `is_allowed` tells where the interval holds that deviation already.
    """

    seconds: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rounds: NDArray[np.float64]
    between: NDArray[np.float64]
    is_allowed: NDArray[np.bool_]


@dataclass(frozen=True)
class Moved:
    """How the machine moved between two runs: the canary's log ratio, that of cases of unchanged code, their scatter.

    `scatter` is how many times as far as their errors allow those cases lie from their own implementation's median, at
    least 1. `controls` counts them. None if nothing tells.
    """

    canary: float | None = None
    unchanged: float | None = None
    scatter: float = 1.0
    controls: int = 0

    @property
    def drift(self) -> float:
        """Return the larger movement, which counts as a standard deviation of any ratio."""
        return max(abs(self.canary or 0.0), abs(self.unchanged or 0.0))


def within(side: Side, *, confidence: float) -> NDArray[np.float64]:
    """Return the variance of log time that the rounds of a run show, from its intervals.

    An interval is Student's quantile times the root of that and the variance between processes, with the degrees of
    freedom of Welch and Satterthwaite; the variance is found by bisection. Of a statistic's interval the longer
    side counts: the other may be cut to what was seen.
    """
    up, down = np.log(side.high / side.seconds), np.log(side.seconds / side.low)
    half: NDArray[np.float64] = np.where(side.is_allowed, np.maximum(up, down), 0.5 * (up + down))
    between = np.where(side.is_allowed, side.between, 0.0) ** 2
    low, high = np.full_like(half, math.log(LEAST_VARIANCE)), np.log(np.maximum(half**2, 2 * LEAST_VARIANCE))
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        is_less = _half(np.exp(middle), between, side.rounds, confidence=confidence) < half
        low, high = np.where(is_less, middle, low), np.where(is_less, high, middle)
    return np.exp(0.5 * (low + high))


def _half(
    error: NDArray[np.float64], between: NDArray[np.float64], rounds: NDArray[np.float64], *, confidence: float
) -> NDArray[np.float64]:
    from scipy.special import stdtrit

    total = error + between
    freedom = np.maximum(rounds - 1, 1) * (total / error) ** 2
    return np.asarray(stdtrit(freedom, 0.5 + confidence / 2) * np.sqrt(total))


@dataclass(frozen=True)
class Errors:
    """The variance of each log ratio over rounds with its degrees of freedom, and what many rounds don't reduce."""

    rounds: NDArray[np.float64]
    shared: NDArray[np.float64]
    freedom: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """Return the whole variance."""
        return self.rounds + self.shared


def errors(base: Side, new: Side, *, confidence: float) -> Errors:
    """Return the errors of the log ratios of two sides."""
    first, second = within(base, confidence=confidence), within(new, confidence=confidence)
    shared = base.between**2 + new.between**2
    spent = first**2 / np.maximum(base.rounds - 1, 1) + second**2 / np.maximum(new.rounds - 1, 1)
    return Errors(first + second, shared, (first + second + shared) ** 2 / spent)


def moved(
    effects: NDArray[np.float64],
    found: Errors,
    *,
    unchanged: Mapping[str, Sequence[int]],
    canary: float | None,
) -> Moved:
    """Return how the machine moved; `unchanged` has places of the cases of unchanged code, by implementation."""
    places = {name: list(of) for name, of in unchanged.items() if of}
    count = sum(map(len, places.values()))
    if count < CONTROLS_AT_LEAST or len(places) < IMPLEMENTATIONS_AT_LEAST:
        return Moved(canary=canary, controls=count)
    medians = {name: float(np.median(effects[of])) for name, of in places.items()}
    apart = np.concatenate([(effects[of] - medians[name]) / np.sqrt(found.total[of]) for name, of in places.items()])
    scatter = float(np.median(np.abs(apart))) / PROBABLE
    return Moved(
        canary=canary, unchanged=statistics.median(medians.values()), scatter=max(1.0, scatter), controls=count
    )


def decide(effects: NDArray[np.float64], found: Errors, *, shift: Moved, policy: ComparisonPolicy) -> list[Comparison]:
    """Decide all cases of two runs together, from log ratios and their errors."""
    total = found.total * shift.scatter**2 + shift.drift**2
    # What drift adds is known no better than what the rounds tell.
    return conclude(effects, np.sqrt(total), found.freedom, policy=policy)


def mean(effects: NDArray[np.float64], found: Errors, *, shift: Moved, confidence: float) -> tuple[float, float, float]:
    """Return the geometric mean of ratios with its interval; only what rounds show is less for many cases.

    What a process, or the machine's day, adds may be the same for all of them.
    """
    from scipy.special import ndtri

    centre = float(effects.mean())
    error = float(found.rounds.sum()) / len(effects) ** 2 + float(found.shared.mean())
    half = float(ndtri(0.5 + confidence / 2)) * math.sqrt(error * shift.scatter**2 + shift.drift**2)
    return math.exp(centre), math.exp(centre - half), math.exp(centre + half)
