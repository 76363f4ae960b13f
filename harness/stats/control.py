"""One time per case from all visits of a run: what the canary saw beside each of them is taken out.

The logarithm of a sample is the location of its case, plus beta times the canary's slow-down beside it, plus chance.
docs/sampling.md shows how well each statistic repeats, and why the other implementations of a point are no control.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Location = Literal["median", "lower quartile", "lower half"]
# Interference only ever adds, so that the lower side of the samples repeats best; their quartile is less at the mercy
# of a lucky sample than the smallest is. Two runs of 126 cases over 20 rounds of one block (two-core machine): 2.7 %
# apart and no shift with the canary out, where the medians are 4.4 % apart and the second smallest 2.8 %, shifted 1.5.
LOCATION: Location = "lower quartile"
QUARTILE = 0.25
# Slopes from fewer visits are chance: nothing is taken out.
VISITS_AT_LEAST = 30
# Huber's limit in standard deviations: 95 % as efficient as least squares where scatter is normal.
HUBER = 1.345
MAD_TO_SIGMA = 1.4826
REWEIGHTINGS = 20
# The jackknife of a quartile needs this many rounds to say anything; with three its t quantile is 4.3.
ROUNDS_AT_LEAST = 3
# The lag-1 estimate from fewer rounds is noise; lags above the limit would widen without end.
LAG_FROM = 8
LAG_AT_MOST = 0.9
# From so many rounds on a quartile is no further from its estimate than samples are from each other.
SPANNED_FROM = 12
# The 97.5 % point of a normal distribution.
NORMAL = 1.96


@dataclass(frozen=True)
class Visited:
    """One visit to a case: when it was, log seconds per call (the mean over its blocks), log slow-down of its canary.

    `moment` is the process and the index of the round; visits of the same moment met the same disturbance.
    """

    moment: tuple[int, int]
    seconds: float
    canary: float | None = None


@dataclass(frozen=True)
class Series:
    """Log seconds per call of one case, one per visit in order of time, less what the canary explains."""

    logs: Array
    moments: list[tuple[int, int]]


@dataclass(frozen=True)
class Controlled:
    """The visits of a run with the canary taken out, by case, and the slope on it."""

    beta: float
    cases: Mapping[str, Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Located:
    """Hold a statistic of a case in seconds per call with its 95 % interval, absent where rounds are too few."""

    value: float
    low: float | None
    high: float | None


def control(visits: Mapping[str, Sequence[Visited]]) -> Controlled:
    """Take the canary out of the visits of all cases, by case id.

    Its slope is estimated from the run, pooled within cases and robustly, and lies between 0 and 1. No visit is
    dropped: one without a canary keeps what it has.
    """
    kept = {name: ordered for name, made in visits.items() if (ordered := sorted(made, key=lambda one: one.moment))}
    seconds = {name: np.array([one.seconds for one in made]) for name, made in kept.items()}
    canary = {name: _known(one.canary for one in made) for name, made in kept.items()}
    beta = _slope(seconds, canary)
    cases = {
        name: Series(logs - beta * np.nan_to_num(canary[name]), [one.moment for one in kept[name]])
        for name, logs in seconds.items()
    }
    return Controlled(beta, cases)


def locate(
    logs: Sequence[float] | Array,
    *,
    location: Location = LOCATION,
    confidence: float = 0.95,
    between: float = 0.0,
) -> Located:
    """Return a location of log seconds, one a round in order of time, with its interval.

    The standard error is the jackknife's over rounds, widened for their lag-1 correlation, with Student's t.
    `between` is the standard deviation of what one process can't show, in log time. Raises ValueError for no data.
    """
    values = np.asarray(logs, dtype=float)
    if not len(values):
        raise ValueError("no rounds to locate")
    centre = LOCATIONS[location](values)
    if len(values) < ROUNDS_AT_LEAST:
        return Located(math.exp(centre), None, None)
    half = _half_width(_variance(values, location=location), rounds=len(values), confidence=confidence, between=between)
    if len(values) >= SPANNED_FROM:
        # A machine of two speeds has no third one beyond them.
        half = min(half, float(np.ptp(values)) + NORMAL * between)
    return Located(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def replicates(logs: Sequence[float] | Array, *, location: Location = LOCATION) -> Array:
    """Return one figure a round whose mean is the location and whose standard error is the location's.

    The jackknife's pseudo-values, moved so that their mean is the location itself (Tukey 1958).
    """
    values = np.asarray(logs, dtype=float)
    if len(values) < 2:  # noqa: PLR2004
        return values.copy()
    of = LOCATIONS[location]
    centre, count = of(values), len(values)
    without = np.array([of(np.delete(values, index)) for index in range(count)])
    pseudo = count * centre - (count - 1) * without
    return np.asarray(pseudo + (centre - pseudo.mean()))


def _variance(logs: Array, *, location: Location) -> float:
    """Return the variance of a location over rounds, with what their correlation in time adds."""
    pseudo = replicates(logs, location=location)
    return float(pseudo.var(ddof=1)) / len(pseudo) * max(_widening(logs), _widening(pseudo))


def _half_width(error: float, *, rounds: int, confidence: float, between: float) -> float:
    from scipy.special import stdtrit

    if error == 0.0:
        return NORMAL * between
    total = error + between**2
    # What is given as known adds no freedom of its own (Welch and Satterthwaite).
    freedom = (rounds - 1) * (total / error) ** 2
    return float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(total)


def _widening(values: Array) -> float:
    """Return by what factor the lag-1 correlation of values in time raises the variance of their mean, at least 1.

    The estimate's bias of about -(1 + 4 rho) / count (Kendall, Biometrika 41, 1954) is corrected.
    """
    count = len(values)
    centred = values - values.mean()
    square = float(centred @ centred)
    if count < LAG_FROM or square == 0.0:
        return 1.0
    lag = (float(centred[1:] @ centred[:-1]) / square + 1.0 / count) / (1.0 - 4.0 / count)
    lag = min(max(lag, 0.0), LAG_AT_MOST)
    return (1.0 + lag) / (1.0 - lag)


@functools.cache
def _weights(count: int, share: float) -> Array:
    from scipy.special import betainc

    edges = betainc((count + 1) * share, (count + 1) * (1 - share), np.linspace(0.0, 1.0, count + 1))
    return np.asarray(np.diff(edges))


def _quantile(values: Array, share: float) -> float:
    """Return a quantile by Harrell and Davis (Biometrika 69, 1982): all order statistics weighted, none jumps."""
    return float(_weights(len(values), share) @ np.sort(values))


def _lower_half(values: Array) -> float:
    return float(np.sort(values)[: -(-len(values) // 2)].mean())


LOCATIONS: dict[Location, Callable[[Array], float]] = {
    "median": lambda values: _quantile(values, 0.5),
    "lower quartile": lambda values: _quantile(values, QUARTILE),
    "lower half": _lower_half,
}


def _known(values: Iterable[float | None]) -> Array:
    return np.array([math.nan if value is None else value for value in values])


def _slope(costs: Mapping[str, Array], causes: Mapping[str, Array]) -> float:
    """Return the slope of costs on causes within cases by Huber's reweighting, between 0 and 1; NaN causes are out."""
    rise, run = [], []
    for name, cause in causes.items():
        known = np.isfinite(cause)
        if known.sum() < ROUNDS_AT_LEAST:
            continue
        run.append(cause[known] - np.median(cause[known]))
        rise.append(costs[name][known] - np.median(costs[name][known]))
    if not run:
        return 0.0
    x, y = np.concatenate(run), np.concatenate(rise)
    if len(x) < VISITS_AT_LEAST or not float(x @ x):
        return 0.0
    slope, weights = 0.0, np.ones_like(x)
    for _ in range(REWEIGHTINGS):
        moment = float((weights * x) @ x)
        slope = float((weights * x) @ y) / moment
        misfit = np.abs(y - slope * x)
        scale = MAD_TO_SIGMA * float(np.median(misfit))
        if scale == 0.0:
            return min(max(slope, 0.0), 1.0)
        weights = np.minimum(1.0, HUBER * scale / np.maximum(misfit, scale / 1e6))
    # What chance alone would give is taken off (James and Stein), so that controls that explain nothing do nothing.
    by_chance = float(((weights * misfit) ** 2).mean()) / moment
    return min(max(slope - by_chance / slope, 0.0), 1.0) if slope > 0.0 else 0.0
