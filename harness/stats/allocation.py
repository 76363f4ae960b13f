"""Which case is worth the next visit: where an interval is widest for what narrowing it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import TimingPolicy

# Halvings of the search for the exchange rate of visits for seconds: the last step is below any visit's worth.
HALVINGS = 60
# A normal quantile of 95 %: how many standard errors half an interval holds.
SIGMAS = 1.96


@dataclass(frozen=True)
class Demand:
    """What a case asks for: visits that it had, standard deviation of log time between them, seconds of one more."""

    done: int
    scatter: float
    cost: float


def scatters(samples: Sequence[Sequence[Sequence[float]]], *, policy: TimingPolicy) -> list[float]:
    """Return the standard deviation of log time between the rounds of each case, drawn towards that of all cases.

    `samples` has a list of rounds for each case. Few rounds say little of their scatter: `policy.scatter_prior` degrees
    of freedom of the median variance over all cases are added, so that a lucky case is not starved.
    """
    logs = [np.log([float(np.median(visit)) for visit in rounds]) for rounds in samples]
    variances = [float(of_case.var(ddof=1)) if len(of_case) > 1 else None for of_case in logs]
    known = [variance for variance in variances if variance is not None]
    common = float(np.median(known)) if known else 1.0
    found = []
    for of_case, variance in zip(logs, variances, strict=True):
        freedom = max(0, len(of_case) - 1)
        own = freedom * (variance or 0.0)
        found.append(math.sqrt((policy.scatter_prior * common + own) / (policy.scatter_prior + freedom)))
    return found


def visits(demands: Sequence[Demand], *, seconds: float, policy: TimingPolicy) -> list[int]:
    """Return how many visits each case has at the end, those it had included, if `seconds` are spent well.

    Neyman's allocation (1934) minimises the sum of variances: visits in proportion to scatter over the root of the
    cost. No case gets more than the precision asked for needs, or than `rounds_at_most`.
    """
    most = [max(demand.done, min(policy.rounds_at_most, enough(demand, policy=policy))) for demand in demands]

    def total(rate: float) -> list[int]:
        return [
            min(limit, max(demand.done, math.floor(rate * demand.scatter / math.sqrt(demand.cost))))
            for demand, limit in zip(demands, most, strict=True)
        ]

    def spent(rate: float) -> float:
        found = total(rate)
        return sum(demand.cost * (count - demand.done) for demand, count in zip(demands, found, strict=True))

    high = max(
        ((1 + limit) * math.sqrt(one.cost) / one.scatter for one, limit in zip(demands, most, strict=True)), default=0.0
    )
    if spent(high) <= seconds:
        return most
    low = 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if spent(middle) <= seconds else (low, middle)
    return total(low)


def enough(demand: Demand, *, policy: TimingPolicy) -> int:
    """Return the visits after which an interval of this scatter is as narrow as asked, up to the next look."""
    needed = max(demand.done + 1, math.ceil((SIGMAS * demand.scatter / policy.precision) ** 2))
    return next((look for look in policy.looks if look >= needed), policy.rounds_at_most)


def is_due(number: int, *, share: float) -> bool:
    """Tell whether a case that gets this share of the rounds is visited in the one of this number.

    By the van der Corput sequence: visits are spread evenly, and a case with a smaller share is visited in rounds that
    one with a larger share is visited in too, so that ratios find their pairs.
    """
    place, weight = 0.0, 0.5
    while number:
        place += weight * (number & 1)
        number, weight = number >> 1, weight / 2
    return place < share
