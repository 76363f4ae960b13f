"""Axes that ride on another: batch = 16384 / n makes a sweep of n one of both, and a quadratic cost a straight line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Two sizes make any column ride.
SIZES_AT_LEAST = 3
# Over a wider range a budget over a size is no whole number that a float holds.
RANGE_AT_MOST, WHOLE_AT_MOST = 1e12, 2.0**53


@dataclass(frozen=True)
class Ride:
    """Hold a column that follows from the sizes: `law` says how, as "batch = 16384 / n"."""

    column: str
    law: str
    falls: bool


def find_ride(column: str, values: Iterable[float | None], sizes: Sequence[float], *, x: str) -> Ride | None:
    """Return how a column rides on the sizes beside it; None for one that doesn't, or that isn't whole numbers.

    A column that falls as c / x, in whole numbers and at least 1, holds a budget: tokens per batch, most often. One
    that is c * x is another axis. One that equals x is the same length under another name, and no ride.
    """
    by_size: dict[float, float] = {}
    for size, value in zip(sizes, values, strict=True):
        if (
            value is None
            or not 1.0 <= value <= WHOLE_AT_MOST
            or value != math.floor(value)
            or by_size.setdefault(size, value) != value
        ):
            return None
    pairs = sorted(by_size.items())
    if len(pairs) < SIZES_AT_LEAST or len(set(by_size.values())) < SIZES_AT_LEAST:
        return None
    if pairs[-1][0] / pairs[0][0] > RANGE_AT_MOST:
        return None
    budget = max((size * value for size, value in pairs if value > 1.0), default=0.0)
    if all(value == max(1.0, math.floor(budget / size * (1.0 + 1e-12))) for size, value in pairs):
        return Ride(column, f"{column} = {budget:g} / {x}", falls=True)
    ratios = [value / size for size, value in pairs]
    if max(ratios) <= min(ratios) * (1.0 + 1e-12) and ratios[0] != 1.0:
        times, over = f"{ratios[0]:g} {x}", f"{x} / {1.0 / ratios[0]:g}"
        return Ride(column, f"{column} = {times if ratios[0] > 1.0 else over}", falls=False)
    return None
