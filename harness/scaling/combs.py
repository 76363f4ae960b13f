"""Sizes that cost more since they are no multiples of something: two combs where a law has one curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.records import DataModel
from harness.scaling.exponent import PARAMETERS, exponent_profile, f_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.policy import ScalingPolicy

    Array = NDArray[np.float64]

# Blocks of kernels, and vectors of processors.
MULTIPLES = (2, 4, 8, 16, 32, 64, 128)
# How many times as much other sizes may cost: a quarter to four times, in steps of 2 %. Every so many of them are
# tried first, with exponents as far apart, then all around the best: the scatter left is one valley in the logarithm
# of the ratio.
RATIOS = 2.0 ** np.arange(-2.0, 2.0 + 1e-9, 0.03)
STRIDE = 6
COARSER = 2.0
# So many sizes on either side tell a comb from two sizes that a neighbour disturbed.
SIDE_AT_LEAST = 3
# A comb is named where it explains this share of the scatter around the best curve.
EXPLAINED_AT_LEAST = 0.75
# Sizes are few and the multiples looked at are seven: each is held against this.
CONFIDENCE = 0.999
# Of multiples that leave about as little the smallest is named: with some ten sizes, variances differ that much by
# chance (F at 5 %).
AS_WELL = 3.0


class Comb(DataModel):
    """Sizes that are no multiple of `multiple` cost `ratio` times what those that are do."""

    multiple: int
    ratio: float


def comb(sizes: Array, costs: Array, *, policy: ScalingPolicy) -> Comb | None:
    """Return the comb that explains the scatter of costs [m] around the best curve, None if none does.

    The curve is fitted anew, once each size has been divided by what its comb costs more.
    """
    freedom = len(sizes) - PARAMETERS - 1
    if freedom < 1 or not np.array_equal(sizes, np.round(sizes)):
        return None
    scatter = (freedom + 1) * _variances(sizes, costs[None], policy=policy)[0]
    # Of multiples that part the sizes alike the smallest is named.
    parted = {(sizes % multiple != 0).tobytes(): multiple for multiple in reversed(MULTIPLES)}
    found: list[tuple[float, Comb]] = []
    for multiple in sorted(parted.values()):
        is_other = sizes % multiple != 0
        if not SIDE_AT_LEAST <= is_other.sum() <= len(sizes) - SIDE_AT_LEAST:
            continue
        ratio, variance = _best_ratio(sizes, costs, is_other, policy=policy)
        # The curve's own freedom is one more than that of curve and comb.
        left = (freedom + 1) * variance
        explained = scatter - left
        if explained >= EXPLAINED_AT_LEAST * scatter and explained * freedom > f_quantile(freedom, CONFIDENCE) * left:
            found.append((left, Comb(multiple=multiple, ratio=round(ratio, 3))))
    least = min((left for left, _ in found), default=0.0)
    return next((one for left, one in found if left <= AS_WELL * least), None)


def _best_ratio(
    sizes: Array, costs: Array, is_other: NDArray[np.bool_], *, policy: ScalingPolicy
) -> tuple[float, float]:
    """Return how many times as much the other sizes cost, and the variance of log costs that this leaves."""

    def left(ratios: Array, policy: ScalingPolicy) -> Array:
        return _variances(sizes, costs / np.where(is_other, ratios[:, None], 1.0), policy=policy)

    coarse = policy.model_copy(update={"exponent_step": COARSER * policy.exponent_step})
    near = STRIDE * int(left(RATIOS[::STRIDE], coarse).argmin())
    ratios = RATIOS[max(0, near - STRIDE + 1) : near + STRIDE]
    variances = left(ratios, policy)
    best = int(variances.argmin())
    return float(ratios[best]), float(variances[best])


def _variances(sizes: Array, costs: Array, *, policy: ScalingPolicy) -> Array:
    """Return the variance of log costs [sets, m] around the best curve of each set."""
    return np.asarray(exponent_profile(sizes, costs, policy=policy).residual ** 2, dtype=float)
