"""Summaries of timed samples: intervals of the median that hold under drift, flags of doubt, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.policy import TimingPolicy
    from harness.records import Flag


# Fewer indicators than this say nothing of their autocorrelation.
CORRELATION_FROM = 16
# The binomial is summed exactly up to here; beyond, its normal approximation is within a rank.
EXACT_RANKS_UP_TO = 200
# The lag-1 estimate from fewer rounds is noise; it is not used to widen (simulated: no gain in coverage).
LAG_FROM = 5
# Lag-1 correlations above this would widen without limit.
LAG_AT_MOST = 0.9
# Two modes: the smaller holds at least this share, and their medians lie at least this far apart in log time.
MINORITY_AT_LEAST = 0.1
GAP_AT_LEAST = 0.04
# Ashman's D above which two modes are called: (samples at least, D). Simulated false alarms: 0 of 400 at 60 samples
# (lognormal 2 % and 5 %, outliers, ramp); fewer samples need the larger D against outliers.
SEPARATION = ((60, 5.0), (30, 6.0))
# Scales a median absolute deviation to the standard deviation of a normal distribution.
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class MedianInterval:
    """Hold a median, its interval where the samples allow one, and their integrated autocorrelation time."""

    median: float
    low: float | None
    high: float | None
    correlation_time: float


@dataclass(frozen=True)
class TimeSummary:
    """Hold what is concluded from the samples of a case; seconds, except for `effective_samples`."""

    median: float
    low: float | None
    high: float | None
    best: float
    effective_samples: float
    flags: list[Flag] = field(default_factory=list)

    @property
    def half_width(self) -> float | None:
        """Return half the interval's width in log time, about the relative half-width; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return 0.5 * math.log(self.high / self.low)


def median_interval(samples: Sequence[float], *, confidence: float = 0.95) -> MedianInterval:
    """Return the median with its rank interval, widened for autocorrelation.

    Order statistics around the middle, exact binomial for up to 200 samples that are uncorrelated, else normal ranks
    over n / tau effective samples. Five samples or fewer have no 95 % interval (1 - 2 / 2^5 = 93.75 %).
    """
    ordered = np.sort(np.asarray(samples, dtype=float))
    count = len(ordered)
    if not count:
        raise ValueError("no samples to take a median of")
    median = float(np.median(ordered))
    correlation_time = autocorrelation_time(samples, threshold=median)
    low, high = _ranks(count, correlation_time=correlation_time, confidence=confidence)
    if low < 0 or high >= count:
        return MedianInterval(median, None, None, correlation_time)
    return MedianInterval(median, float(ordered[low]), float(ordered[high]), correlation_time)


def autocorrelation_time(samples: Sequence[float], *, threshold: float) -> float:
    """Return the integrated autocorrelation time of the indicator `sample <= threshold`, in samples, at least 1.

    Pairs of autocorrelations are added while positive (Geyer, Statistical Science 7, 1992, section 3.3), at most
    a quarter of the samples.
    """
    count = len(samples)
    if count < CORRELATION_FROM:
        return 1.0
    indicator = (np.asarray(samples, dtype=float) <= threshold).astype(float)
    indicator -= indicator.mean()
    variance = float(indicator @ indicator) / count
    if variance == 0.0:
        return 1.0
    spectrum = np.fft.rfft(indicator, 2 * count)
    correlation = np.fft.irfft(spectrum * spectrum.conj())[: count // 2] / (count * variance)
    total = 1.0
    for lag in range(1, len(correlation) - 1, 2):
        pair = float(correlation[lag] + correlation[lag + 1])
        if pair <= 0.0:
            break
        total += 2.0 * pair
    return min(max(total, 1.0), count / 4)


def round_interval(rounds: Sequence[Sequence[float]], *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return (centre, half-width) in log time from the medians of rounds; None for fewer than two rounds.

    A t interval over rounds, which sees the drift between them; from five rounds on widened by
    sqrt((1 + rho) / (1 - rho)) with the lag-1 correlation rho, whose bias of -1 / rounds is corrected.
    """
    from scipy.special import stdtrit

    logs = np.log([float(np.median(samples)) for samples in rounds if len(samples)])
    count = len(logs)
    if count < 2:  # noqa: PLR2004
        return None
    centre, deviation = float(logs.mean()), float(logs.std(ddof=1))
    half = float(stdtrit(count - 1, 0.5 + confidence / 2)) * deviation / math.sqrt(count)
    if count >= LAG_FROM and deviation > 0.0:
        centred = logs - centre
        lag = float(centred[1:] @ centred[:-1]) / float(centred @ centred) + 1.0 / count
        lag = min(max(lag, 0.0), LAG_AT_MOST)
        half *= math.sqrt((1.0 + lag) / (1.0 - lag))
    return centre, half


def summarise(
    rounds: Sequence[Sequence[float]], canary: Sequence[Sequence[float]] | None = None, *, policy: TimingPolicy
) -> TimeSummary:
    """Summarise the samples of a case, seconds per call, one list for each round in order of time.

    The interval is wide enough for both the rank interval over all samples and the t interval over rounds. `canary`
    has, for each sample, the slow-down of the reference kernel beside it (1 = undisturbed); it chooses the half of
    the samples that `best` is taken from and never drops one from the median. Raises ValueError where there is no
    sample, or where canary and samples differ in shape.
    """
    samples = [sample for visit in rounds for sample in visit]
    slow_downs = _flat_canary(rounds, canary)
    ranks = median_interval(samples, confidence=policy.confidence)
    low, high = _widest(ranks, round_interval(rounds, confidence=policy.confidence))
    summary = TimeSummary(
        median=ranks.median,
        low=low,
        high=high,
        best=best_of(samples, slow_downs),
        effective_samples=len(samples) / ranks.correlation_time,
    )
    return replace(summary, flags=_flags(summary, rounds, slow_downs, policy=policy))


def best_of(samples: Sequence[float], canary: Sequence[float] | None = None) -> float:
    """Return the second smallest sample, of the half with the calmer canary where there is one.

    The smallest may be a fluke of the clock; a lone sample is its own best.
    """
    if not samples:
        raise ValueError("no samples to take the best of")
    pool = list(samples)
    if canary:
        calm = float(np.median(canary))
        pool = [sample for sample, slow_down in zip(samples, canary, strict=True) if slow_down <= calm]
    return sorted(pool)[1] if len(pool) > 1 else pool[0]


def is_bimodal(samples: Sequence[float]) -> bool:
    """Tell whether samples fall into two modes, so that their median is no location."""
    threshold = next((least for count, least in SEPARATION if len(samples) >= count), None)
    if threshold is None:
        return False
    logs = np.sort(np.log(np.asarray(samples, dtype=float)))
    lower, upper = _split(logs)
    gap = float(np.median(upper) - np.median(lower))
    spread = math.sqrt((_deviation(lower) ** 2 + _deviation(upper) ** 2) / 2.0)
    return gap >= GAP_AT_LEAST and gap >= threshold * spread


def has_drift(rounds: Sequence[Sequence[float]], *, half_width: float, at_least: float) -> bool:
    """Tell whether the last third of the samples differs from the first by more than noise allows."""
    samples = [sample for visit in rounds for sample in visit]
    third = len(samples) // 3
    if third == 0 or len(rounds) < 3:  # noqa: PLR2004
        return False
    change = float(np.median(samples[-third:])) / float(np.median(samples[:third])) - 1.0
    return abs(change) > max(at_least, 2.0 * half_width)


def _ranks(count: int, *, correlation_time: float, confidence: float) -> tuple[int, int]:
    """Return the 0-based ranks of the interval's ends; the lower is negative where no interval exists."""
    from scipy.special import bdtr, ndtri

    tail = (1.0 - confidence) / 2.0
    if correlation_time <= 1.0 and count <= EXACT_RANKS_UP_TO:
        below = [k for k in range(1, count // 2 + 1) if float(bdtr(k - 1, count, 0.5)) <= tail]
        rank = max(below, default=0)
        return rank - 1, count - rank
    half = float(ndtri(1.0 - tail)) * 0.5 * math.sqrt(count * correlation_time)
    return math.floor(count / 2 - half) - 1, math.ceil(count / 2 + half)


def _widest(ranks: MedianInterval, rounds: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """Combine the intervals around the median; rounds alone give one where samples are too few for ranks."""
    if rounds is None:
        return ranks.low, ranks.high
    low, high = ranks.median * math.exp(-rounds[1]), ranks.median * math.exp(rounds[1])
    if ranks.low is None or ranks.high is None:
        return low, high
    return min(low, ranks.low), max(high, ranks.high)


def _flags(
    summary: TimeSummary, rounds: Sequence[Sequence[float]], canary: list[float] | None, *, policy: TimingPolicy
) -> list[Flag]:
    samples = [sample for visit in rounds for sample in visit]
    half_width = summary.half_width
    flags: list[Flag] = []
    if half_width is None or half_width > policy.precision:
        flags.append("wide")
    if has_drift(rounds, half_width=half_width or 0.0, at_least=policy.drift_at_least):
        flags.append("drift")
    if is_bimodal(samples):
        flags.append("bimodal")
    if canary and np.mean(np.asarray(canary) > policy.canary_tolerance) > policy.contaminated_share:
        flags.append("contaminated")
    return flags


def _flat_canary(rounds: Sequence[Sequence[float]], canary: Sequence[Sequence[float]] | None) -> list[float] | None:
    if canary is None or not any(len(visit) for visit in canary):
        return None
    if [len(visit) for visit in canary] != [len(visit) for visit in rounds]:
        raise ValueError("canary and samples differ in shape")
    return [slow_down for visit in canary for slow_down in visit]


def _split(logs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split sorted values in two by least squares, neither part smaller than the least minority."""
    count = len(logs)
    sums, squares = np.cumsum(logs), np.cumsum(logs * logs)
    first = max(1, int(MINORITY_AT_LEAST * count))
    sizes = np.arange(first, count - first + 1)
    lower, upper = sums[sizes - 1], sums[-1] - sums[sizes - 1]
    within = squares[-1] - lower**2 / sizes - upper**2 / (count - sizes)
    at = int(sizes[int(within.argmin())])
    return logs[:at], logs[at:]


def _deviation(values: NDArray[np.float64]) -> float:
    return MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values))))
