"""One time per case from all visits of a run: what moved every implementation of a moment alike is taken out.

The logarithm of a sample is the location of its case, plus beta times the canary's slow-down beside it, plus gamma
times what the other implementations of its point met in the same round, plus chance. docs/sampling.md shows how well
each statistic repeats.
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
    """Log seconds per call of one case, one a visit in order of time, less what the controls explain.

    `moved` is the part that the neighbours explain. They tell what a moment cost, not what the whole run did: in the
    error of an absolute time that part counts again, between implementations of a point it does not.
    """

    logs: Array
    moved: Array
    moments: list[tuple[int, int]]


@dataclass(frozen=True)
class Controlled:
    """The visits of a run with its controls taken out, by case, and the slopes on canary and neighbours."""

    beta: float
    gamma: float
    cases: Mapping[str, Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Located:
    """Hold a statistic of a case in seconds per call with its 95 % interval, absent where rounds are too few."""

    value: float
    low: float | None
    high: float | None


def control(visits: Mapping[str, Sequence[Visited]], *, points: Mapping[str, str]) -> Controlled:
    """Take canary and neighbours out of the visits of all cases, by case id; `points` has the point of each case.

    Both slopes are estimated from the run, pooled within cases and robustly; none lies outside 0 to 1. No visit is
    dropped: one without a canary or without neighbours keeps what it has.
    """
    kept = {name: ordered for name, made in visits.items() if (ordered := sorted(made, key=lambda one: one.moment))}
    seconds = {name: np.array([one.seconds for one in made]) for name, made in kept.items()}
    canary = {name: _known(one.canary for one in made) for name, made in kept.items()}
    beta = _slope(seconds, canary)
    calm = {name: logs - beta * np.nan_to_num(canary[name]) for name, logs in seconds.items()}
    beside = _neighbours(kept, calm, points)
    gamma = _slope(calm, beside)
    cases = {}
    for name, logs in calm.items():
        moved = gamma * np.nan_to_num(beside[name])
        cases[name] = Series(logs - moved, moved, [one.moment for one in kept[name]])
    return Controlled(beta, gamma, cases)


def locate(
    logs: Sequence[float] | Array,
    *,
    moved: Sequence[float] | Array | None = None,
    location: Location = LOCATION,
    confidence: float = 0.95,
    between: float = 0.0,
) -> Located:
    """Return a location of log seconds, one a round in order of time, with its interval.

    The standard error is the jackknife's over rounds, widened for their lag-1 correlation, with Student's t. `moved` is
    what neighbours explain, whose own error is added; `between` the standard deviation of what one process can't show,
    in log time. Raises ValueError for no data.
    """
    values = np.asarray(logs, dtype=float)
    if not len(values):
        raise ValueError("no rounds to locate")
    centre = LOCATIONS[location](values)
    if len(values) < ROUNDS_AT_LEAST:
        return Located(math.exp(centre), None, None)
    common = np.zeros_like(values) if moved is None else np.asarray(moved, dtype=float)
    error = _variance(values, location=location) + _variance(common, location=location)
    half = _half_width(error, rounds=len(values), confidence=confidence, between=between)
    if len(values) >= SPANNED_FROM:
        # A machine of two speeds has no third one beyond them.
        half = min(half, float(np.ptp(values + common)) + NORMAL * between)
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


def _neighbours(
    visits: Mapping[str, Sequence[Visited]], logs: Mapping[str, Array], points: Mapping[str, str]
) -> dict[str, Array]:
    """Return what the others of a point met at each visit, above their own locations; NaN where there were none."""
    above = {name: values - LOCATIONS[LOCATION](values) for name, values in logs.items()}
    total: dict[tuple[str, tuple[int, int]], list[float]] = {}
    for name, made in visits.items():
        for one, value in zip(made, above[name], strict=True):
            total.setdefault((points[name], one.moment), []).append(float(value))
    beside: dict[str, Array] = {}
    for name, made in visits.items():
        met = [total[points[name], one.moment] for one in made]
        beside[name] = np.array(
            [
                (sum(all_) - own) / (len(all_) - 1) if len(all_) > 1 else math.nan
                for all_, own in zip(met, above[name], strict=True)
            ]
        )
    return beside
