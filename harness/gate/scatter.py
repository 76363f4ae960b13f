"""Whether chance scatters results as much as it must: dropout that is left out, or done twice, has the right mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.records import Check

if TYPE_CHECKING:
    import torch

    from impls.contract import Scatter

# An honest implementation scatters less than the lower, or more than the higher, of two limits once in so many checks.
CHANCES = 1e10


def check(deviations: torch.Tensor, scatter: Scatter) -> Check:
    """Hold sums of squared deviations from the mean, [calls, ...], against those that chance causes in a row, [...].

    Rows and calls are independent, and a sum of squares is not negative: below its expectation by Maurer's inequality
    (J. Inequal. Pure Appl. Math. 4, 2003, theorem 1), above it by Bernstein's.
    """
    calls = len(deviations)
    expected = calls * float(scatter.variance.sum())
    squares = calls * float(scatter.square.sum())
    variance = squares - calls * float(scatter.variance.square().sum())
    log, most = math.log(CHANCES), float(scatter.most.max())
    share = float(deviations.sum()) / expected
    below = math.sqrt(2 * log * squares) / expected
    above = (most * log / 3 + math.sqrt((most * log / 3) ** 2 + 2 * log * variance)) / expected
    error, budget = abs(share - 1), below if share < 1 else above
    said = f"results scatter {share:.3g} times as much, in squares, as dropout makes them"
    return Check(
        name="scatter",
        error=error,
        budget=budget,
        ratio=error / budget,
        passed=error <= budget,
        detail="" if error <= budget else said,
    )
