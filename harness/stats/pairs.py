"""Errors of ratios whose two sides took turns: what rounds scatter by, and what processes differ by.

A ratio is taken within a round, so that drift cancels. Rounds of one pair of processes share what those two were given
(memory, mostly), which no number of rounds averages out: so rounds are spread over a few pairs of processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.stats.comparison import LEAST_VARIANCE, NORMAL_FROM, moderate
from harness.stats.samples import MAD_TO_SIGMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.policy import ComparisonPolicy

# What the policy allows for between processes counts as so many pairs of processes that were seen (degrees of freedom).
PRIOR_FREEDOM = 8
# Rounds count as no further from their median than so many standard deviations, by the median absolute deviation.
FAR = 2.5
# With fewer processes a case's own scatter between them says nothing.
OWN_FROM = 3


@dataclass(frozen=True)
class PairErrors:
    """Log ratios of all cases; their variance over rounds, that between processes, and the degrees of freedom."""

    effects: NDArray[np.float64]
    rounds: NDArray[np.float64]
    between: NDArray[np.float64]
    freedom: NDArray[np.float64]

    @property
    def standard(self) -> NDArray[np.float64]:
        """Return the standard errors."""
        return np.sqrt(self.rounds + self.between)


def pair_errors(cases: Sequence[Sequence[Sequence[float]]], *, policy: ComparisonPolicy) -> PairErrors:
    """Return ratios with their errors from the log ratios of rounds, for each case a list for each pair of processes.

    Rounds far out are drawn in. Variances over rounds are those within processes, shrunk towards their common value
    (Smyth 2004). What processes differ by is one variance for all cases: what is seen of it, pooled with what the
    policy allows for. A case whose own processes lie further apart has that instead. Raises ValueError where a case
    has fewer than two rounds.
    """
    processes = [drawn_in([np.asarray(one, dtype=float) for one in case if len(one)]) for case in cases]
    counts = np.array([sum(len(one) for one in case) for case in processes], dtype=float)
    if (counts < 2).any():  # noqa: PLR2004
        raise ValueError("a ratio has no error without two rounds")
    effects = np.array([np.concatenate(case).mean() for case in processes])
    spread, freedom = _within(processes)
    variances, freedom = moderate(spread, freedom, at_least=policy.moderate_from)
    between = _between(processes, variances, allowed=2 * policy.process_deviation**2)
    # Of a mean over rounds each process has a share of the weight.
    shares = np.array(
        [sum((len(one) / count) ** 2 for one in case) for case, count in zip(processes, counts, strict=True)]
    )
    seen = sum(len(case) - 1 for case in processes)
    rounds, shared = variances / counts, np.full_like(counts, between) * shares
    own = np.array([_own(case) for case in processes])
    shared = np.maximum(shared, own - rounds)
    of_shared = float(PRIOR_FREEDOM + seen) if seen else NORMAL_FROM
    total = rounds + shared
    return PairErrors(effects, rounds, shared, total**2 / (rounds**2 / freedom + shared**2 / of_shared))


def drawn_in(case: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return a case's log ratios with those far from their process's median at the limit (Huber's proposal).

    A visit that met another process of the machine says little of the code; at the limit it counts, but for no more.
    """
    centred = [one - np.median(one) for one in case]
    limit = FAR * MAD_TO_SIGMA * float(np.median(np.abs(np.concatenate(centred))))
    if limit == 0.0:
        return list(case)
    return [one - rest + np.clip(rest, -limit, limit) for one, rest in zip(case, centred, strict=True)]


def _within(processes: Sequence[Sequence[NDArray[np.float64]]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variance of each case's log ratios within its processes, and its degrees of freedom.

    Where each process has one round, that of all rounds.
    """
    found = []
    for case in processes:
        several = [one for one in case if len(one) > 1]
        freedom = sum(len(one) - 1 for one in several)
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in several)
        if not freedom:
            whole = np.concatenate(case)
            freedom, squares = len(whole) - 1, float(((whole - whole.mean()) ** 2).sum())
        found.append((squares / freedom, freedom))
    variances, freedoms = np.array(found, dtype=float).T
    return np.maximum(variances, LEAST_VARIANCE), freedoms


def _between(
    processes: Sequence[Sequence[NDArray[np.float64]]], variances: NDArray[np.float64], *, allowed: float
) -> float:
    """Return the variance of log ratios between pairs of processes: what is seen over all cases, and what is allowed.

    Of the scatter of processes' means the part that rounds explain is taken out.
    """
    squares, seen = 0.0, 0
    for case, variance in zip(processes, variances, strict=True):
        if len(case) > 1:
            means = np.array([one.mean() for one in case])
            explained = float(variance) * float(np.mean([1 / len(one) for one in case]))
            freedom = len(case) - 1
            squares += freedom * (float(means.var(ddof=1)) - explained)
            seen += freedom
    return (PRIOR_FREEDOM * allowed + max(0.0, squares)) / (PRIOR_FREEDOM + seen)


def _own(case: Sequence[NDArray[np.float64]]) -> float:
    """Return the variance of a case's mean as its own processes show it, 0 if these are too few."""
    if len(case) < OWN_FROM:
        return 0.0
    return float(np.var([one.mean() for one in case], ddof=1)) / len(case)
