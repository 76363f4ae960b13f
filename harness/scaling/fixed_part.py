"""A law with the claimed power taken as given: what of a cost does not depend on size, and what each unit adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.policy import ScalingPolicy
from harness.scaling.exponent import f_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

# Fixed part and slope.
PARAMETERS = 2
# A step of the cost or another power misses the sizes by more than this.
MISFIT_AT_MOST = 0.10


@dataclass(frozen=True)
class FixedPart:
    """Hold cost = fixed + slope * size ** exponent with 95 % intervals; `share` is fixed over the cost at size `at`."""

    at: float
    share: float
    share_low: float
    share_high: float
    slope: float
    slope_low: float
    slope_high: float
    misfit: float

    @property
    def fits(self) -> bool:
        """Tell whether the law describes the costs."""
        return self.misfit <= MISFIT_AT_MOST


def fixed_part(
    sizes: Sequence[float], costs: Sequence[float], *, exponent: float, policy: ScalingPolicy | None = None
) -> FixedPart | None:
    """Fit fixed part and slope to relative misfits, the share taken at the middle size; None for under four sizes.

    Intervals are Student's t, no narrower than costs repeat; a share stays between none and all.
    """
    policy = policy or ScalingPolicy()
    order = np.argsort(np.asarray(sizes, dtype=float))
    n, cost = (np.asarray(column, dtype=float)[order] for column in (sizes, costs))
    if len(n) < PARAMETERS + 2:
        return None
    middle = len(n) // 2
    # In units of the middle size both coefficients are shares of about one cost.
    power = (n / n[middle]) ** exponent
    design = np.stack([np.ones_like(power), power], axis=1) / cost[:, None]
    coefficients, *_ = np.linalg.lstsq(design, np.ones_like(cost), rcond=None)
    freedom = len(n) - PARAMETERS
    variance = float(((design @ coefficients - 1.0) ** 2).sum()) / freedom
    covariance = max(variance, policy.noise_at_least**2) * np.linalg.inv(design.T @ design)
    quantile = f_quantile(freedom, policy.confidence) ** 0.5
    fixed, slope = (float(one) for one in coefficients)
    total = fixed + slope
    if slope <= 0.0 or total <= 0.0:
        return None
    # The share's gradient by fixed part and slope.
    gradient = np.array([slope, -fixed]) / total**2
    half = quantile * float(gradient @ covariance @ gradient) ** 0.5
    unit = float(n[middle]) ** exponent
    half_slope = quantile * float(covariance[1, 1]) ** 0.5
    share = fixed / total
    return FixedPart(
        at=float(n[middle]),
        share=min(max(share, 0.0), 1.0),
        share_low=min(max(share - half, 0.0), 1.0),
        share_high=min(max(share + half, 0.0), 1.0),
        slope=slope / unit,
        slope_low=(slope - half_slope) / unit,
        slope_high=(slope + half_slope) / unit,
        misfit=variance**0.5,
    )
