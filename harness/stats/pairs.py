"""Errors of ratios whose two sides took turns: what rounds scatter by, and what processes differ by.

A ratio is taken within a round, so that drift cancels. Rounds of one pair of processes share what those two were given
(memory, mostly), which no number of rounds averages out: so rounds are spread over a few pairs of processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.stats.comparison import LEAST_VARIANCE, moderate
from harness.stats.samples import MAD_TO_SIGMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.policy import ComparisonPolicy

# What the policy allows for between processes counts as so many pairs of processes that were seen (degrees of freedom).
PRIOR_FREEDOM = 8
# Rounds count as no further from their median than so many standard deviations, by the median absolute deviation.
FAR = 2.5


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

    Rounds far out are drawn in. The scatter over rounds is shrunk towards its common value (Smyth 2004), and what the
    policy allows for between processes is added. The means of the pairs of processes are replicates as well, and where
    they lie further apart than that, they count: what two processes differ by is common to all of their cases, so that
    no case tells another how much it is. Raises ValueError where a case has fewer than two rounds.
    """
    processes = [drawn_in([np.asarray(one, dtype=float) for one in case if len(one)]) for case in cases]
    counts = np.array([sum(len(one) for one in case) for case in processes], dtype=float)
    if (counts < 2).any():  # noqa: PLR2004
        raise ValueError("a ratio has no error without two rounds")
    effects = np.array([np.concatenate(case).mean() for case in processes])
    spread, freedom = _within(processes)
    variances, freedom = moderate(spread, freedom, at_least=policy.moderate_from)
    # Of a mean over rounds each process has a share of the weight.
    shares = np.array(
        [sum((len(one) / count) ** 2 for one in case) for case, count in zip(processes, counts, strict=True)]
    )
    rounds, allowed = variances / counts, 2 * policy.process_deviation_in_turn**2 * shares
    seen = np.array([len(case) - 1.0 for case in processes])
    own = np.array([_own(case) for case in processes])
    expected = (PRIOR_FREEDOM * (rounds + allowed) + seen * own) / (PRIOR_FREEDOM + seen)
    total = np.maximum(expected, own)
    between = np.maximum(total - rounds, 0.0)
    of_total = PRIOR_FREEDOM + seen
    total = rounds + between
    return PairErrors(effects, rounds, between, total**2 / (rounds**2 / freedom + between**2 / of_total))


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


def _own(case: Sequence[NDArray[np.float64]]) -> float:
    """Return the variance of a case's ratio as the means of its pairs of processes show it, 0 if there is one."""
    return float(np.var([one.mean() for one in case], ddof=1)) / len(case) if len(case) > 1 else 0.0
