"""Comparing calls that were timed in turn: ratios with intervals, and which differences are real, over a whole grid."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.policy import ComparisonPolicy


Outcome = Literal["faster", "slower", "same", "undecided"]
# Variances are estimated from logarithms; a clock that shows no variance at all is no evidence of none.
LEAST_VARIANCE = 1e-10
# Degrees of freedom beyond which a t distribution is normal to four digits.
NORMAL_FROM = 1e6


@dataclass(frozen=True)
class Comparison:
    """What is concluded of one case: second over first, its 95 % interval, and the outcome for the second.

    `adjusted_p` is of the hypothesis that there is no difference, adjusted for the number of cases.
    """

    ratio: float
    low: float
    high: float
    adjusted_p: float
    outcome: Outcome


def round_ratios(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> list[float]:
    """Return log(second / first) of the smallest samples of each round; the two share their rounds.

    Two samples of one round met the same moment, so drift cancels. Minima of interleaved copies scatter by 1 to 2 %
    where medians scatter by 2 to 4 % (measured on a shared machine).
    """
    return [math.log(min(b) / min(a)) for a, b in zip(first, second, strict=True) if a and b]


def compare(cases: Mapping[str, Sequence[Sequence[float]]], *, policy: ComparisonPolicy) -> dict[str, Comparison]:
    """Compare the two calls of every case from their round ratios, a list for each worker process.

    With several processes their means are the replicates, for what differs between processes (placement of memory,
    mostly) no number of rounds in one of them averages out. With a single one the rounds are, and the policy's
    deviation between processes is added. Variances are shrunk towards their common value over the grid (Smyth,
    Statistical Applications in Genetics and Molecular Biology 3, 2004). A difference counts where it stays
    significant after Benjamini and Hochberg's adjustment and is as large as the policy asks.
    """
    if not cases:
        return {}
    effects = np.array([statistics.fmean(statistics.fmean(one) for one in processes) for processes in cases.values()])
    errors, freedom = _standard_errors(list(cases.values()), policy=policy)
    return dict(zip(cases, conclude(effects, errors, freedom, policy=policy), strict=True))


def conclude(
    effects: NDArray[np.float64],
    errors: NDArray[np.float64],
    freedom: NDArray[np.float64],
    *,
    policy: ComparisonPolicy,
) -> list[Comparison]:
    """Decide each case of a set from its log ratio, that one's standard error and its degrees of freedom.

    Both questions, whether a case differs and whether it is within the equivalence band, are adjusted over the set.
    """
    different = adjusted(2 * _tail(np.abs(effects) / errors, freedom))
    margin = math.log1p(policy.same_within)
    same = adjusted(_tail((margin - np.abs(effects)) / errors, freedom))
    half = _quantile(0.5 + policy.confidence / 2, freedom) * errors
    return [
        Comparison(
            ratio=math.exp(effects[i]),
            low=math.exp(effects[i] - half[i]),
            high=math.exp(effects[i] + half[i]),
            adjusted_p=float(different[i]),
            outcome=_outcome(effects[i], different[i], same[i], policy=policy),
        )
        for i in range(len(effects))
    ]


def _outcome(effect: float, different: float, same: float, *, policy: ComparisonPolicy) -> Outcome:
    if different <= policy.false_discoveries and abs(effect) >= math.log1p(policy.effect_at_least):
        return "slower" if effect > 0 else "faster"
    return "same" if same <= policy.false_discoveries else "undecided"


def _standard_errors(
    cases: Sequence[Sequence[Sequence[float]]], *, policy: ComparisonPolicy
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the standard error of each case's mean log ratio, and its degrees of freedom."""
    single = any(len(processes) == 1 for processes in cases)
    replicates = [list(processes[0]) if single else [statistics.fmean(one) for one in processes] for processes in cases]
    counts = np.array([len(values) for values in replicates], dtype=float)
    if (counts < 2).any():  # noqa: PLR2004
        raise ValueError("a comparison needs two rounds or two processes of every case")
    variances = np.array([np.var(values, ddof=1) for values in replicates])
    shrunk, freedom = moderate(variances, counts - 1, at_least=policy.moderate_from)
    between = 2 * policy.process_deviation**2 if single else 0.0
    return np.sqrt(shrunk / counts + between), freedom


def moderate(
    variances: NDArray[np.float64], freedom: NDArray[np.float64], *, at_least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shrink variances towards their common value; return them and their degrees of freedom.

    Smyth 2004, section 6.2: the prior's degrees of freedom and variance by the method of moments on log variances.
    Fewer than `at_least` cases say nothing of a prior, and keep their own.
    """
    from scipy.special import digamma, polygamma

    known = np.maximum(variances, LEAST_VARIANCE)
    if len(known) < at_least:
        return known, freedom
    logs = np.log(known) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    if excess <= 0:
        # The variances differ by no more than chance: they are one.
        return np.full_like(known, math.exp(logs.mean())), np.full_like(known, NORMAL_FROM)
    prior = 2 * inverse_trigamma(excess)
    variance = math.exp(logs.mean() + digamma(prior / 2) - math.log(prior / 2))
    return (prior * variance + freedom * known) / (prior + freedom), freedom + prior


def inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value for x > 0 by Newton's method on 1 / trigamma, which converges from below.

    Smyth 2004, appendix.
    """
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-9 * x:
            break
    return x


def adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values for their number so that a limit on them limits false discoveries (Benjamini, Hochberg 1995)."""
    count = len(p_values)
    order = np.argsort(p_values)[::-1]
    scaled = np.clip(p_values, 0.0, 1.0)[order] * count / np.arange(count, 0, -1)
    found = np.empty(count)
    found[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return found


def _tail(statistic: NDArray[np.float64], freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(T > statistic)."""
    from scipy.special import stdtr

    return np.asarray(stdtr(freedom, -statistic))


def _quantile(share: float, freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, share))
