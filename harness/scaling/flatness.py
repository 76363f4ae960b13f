"""How much of a cost depends on size at all: what to say of costs that do not grow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.policy import ScalingPolicy
from harness.scaling.exponent import f_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.scaling.decision import TimeVerdict

    Array = NDArray[np.float64]

# Ways in which a cost may depend on size: powers, from one that acts at once to one that acts at the end, and a log.
POWERS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
# Intercept and slope of a shape.
PARAMETERS = 2


@dataclass(frozen=True)
class Flatness:
    """Hold the share of the largest cost that depends on size: between `low` and `high` over a range of `span`.

    `is_confirmed` tells that the share is above zero without the largest size too, so that one cost decides nothing.
    """

    span: float
    sizes: int
    low: float
    high: float
    is_confirmed: bool

    def is_flat(self, policy: ScalingPolicy) -> bool:
        """Tell whether costs do not grow: enough sizes over enough range, and next to nothing depends on them."""
        return self._has_room(policy) and self.high <= policy.flat_share_at_most

    def verdict(self, policy: ScalingPolicy) -> TimeVerdict:
        """Judge the claim that the cost does not depend on size."""
        if self.is_flat(policy):
            return "consistent"
        depends = self._has_room(policy) and self.low > policy.flat_share_at_most and self.is_confirmed
        return "contradicted" if depends else "inconclusive"

    def _has_room(self, policy: ScalingPolicy) -> bool:
        return self.sizes >= policy.flat_sizes_at_least and self.span >= policy.range_at_least


def flatness(sizes: Sequence[float], costs: Sequence[float], *, policy: ScalingPolicy | None = None) -> Flatness | None:
    """Bound the share of the cost that depends on size, over all shapes that fit; None for fewer than four sizes."""
    policy = policy or ScalingPolicy()
    order = np.argsort(np.asarray(sizes, dtype=float))
    n, cost = (np.asarray(column, dtype=float)[order] for column in (sizes, costs))
    if len(n) < PARAMETERS + 2:
        return None
    low, high = _share(n, cost, policy)
    confirmed, _ = _share(n[:-1], cost[:-1], policy)
    return Flatness(float(n[-1] / n[0]), len(n), low=low, high=high, is_confirmed=confirmed > 0.0)


def _share(sizes: Array, costs: Array, policy: ScalingPolicy) -> tuple[float, float]:
    """Return the least and the greatest share of the cost that a straight line in one of the shapes leaves possible."""
    x, level = sizes / sizes[0], costs / np.median(costs)
    shapes = np.stack([np.log(x), *(x**power for power in POWERS)])
    shapes = (shapes - shapes[:, :1]) / (shapes[:, -1:] - shapes[:, :1])
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    spread = np.einsum("sm,sm->s", centred, centred)
    slope = centred @ level / spread
    start = level.mean() - slope * shapes.mean(axis=1)
    misfit = ((level - start[:, None] - slope[:, None] * shapes) ** 2).sum(axis=1)
    freedom = len(sizes) - PARAMETERS
    variance = max(float(misfit.min()) / freedom, policy.flat_noise_at_least**2)
    # Student's t squared is F of one degree of freedom.
    quantile = f_quantile(freedom, policy.confidence)
    fits = misfit - misfit.min() <= variance * quantile
    half = np.sqrt(variance * quantile / spread)
    ends = np.maximum(np.abs(start), np.abs(start + slope))
    shares, halves = (np.abs(slope) / ends)[fits], (half / ends)[fits]
    return max(float((shares - halves).min()), 0.0), min(float((shares + halves).max()), 1.0)


def flat_sentence(found: Flatness, *, x: str) -> str:
    """Say that a cost does not grow, and how far that is known."""
    share = _upwards(found.high)
    return f"it does not grow: over a range of {found.span:.3g} at most {share} of the cost depends on {x}"


def growth_sentence(found: Flatness, *, x: str, policy: ScalingPolicy) -> str:
    """Say why the claim that a cost does not depend on size fails or stays open."""
    limit = f"{100 * policy.flat_share_at_most:g} %"
    if found.sizes < policy.flat_sizes_at_least:
        return f"{found.sizes} sizes are too few to call a cost flat (at least {policy.flat_sizes_at_least} are needed)"
    if found.span < policy.range_at_least:
        least = f"at least {policy.range_at_least:g} is needed"
        return f"a range of {found.span:.3g} is too short to call a cost flat ({least})"
    between = f"between {100 * found.low:.0f} and {_upwards(found.high)} of the cost depends on {x}"
    if found.verdict(policy) == "contradicted":
        return f"over a range of {found.span:.3g} {between}, more than the {limit} that a flat cost may have"
    return f"over a range of {found.span:.3g} {between}, and {limit} is the most that a flat cost may have"


def _upwards(share: float) -> str:
    return f"{math.ceil(100 * share - 1e-9):d} %"
