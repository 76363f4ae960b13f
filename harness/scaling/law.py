"""A fitted law as data: what was judged, and what a figure draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.records import DataModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Step(DataModel):
    """A smooth rise of the cost to `height` times, half of it reached at the size `at`, within so many `octaves`."""

    at: float
    height: float
    octaves: float


class Law(DataModel):
    """The best curve floor + slope * (size / first) ** exponent * K(size), fitted to so many `sizes` in first..last.

    `floor` and `slope` are in the unit of the costs: seconds in a run's verdicts. `residual` is the standard deviation
    of log costs around the curve.
    """

    first: float
    last: float
    sizes: int
    exponent: float
    floor: float
    slope: float
    residual: float
    step: Step | None = None

    @property
    def floor_share(self) -> float:
        """Return the fixed cost's share of the cost at the smallest size."""
        return self.floor / float(costs(self, [self.first])[0])


def costs(law: Law, sizes: Sequence[float] | Array) -> Array:
    """Return the costs that a law has at sizes."""
    n = np.asarray(sizes, dtype=np.float64)
    work = law.slope * (n / law.first) ** law.exponent
    if law.step is not None:
        work = work * rise(np.log2(n), place=np.log2(law.step.at), height=law.step.height, octaves=law.step.octaves)
    return np.asarray(law.floor + work, dtype=np.float64)


def rise(log_sizes: Array, *, place: Array | float, height: Array | float, octaves: float) -> Array:
    """Return K, the factor by which a unit of work is dearer at sizes given as log2 n: from 1 up to `height`."""
    return np.asarray(1.0 + (height - 1.0) / (1.0 + np.exp(-(log_sizes - place) / (octaves / 2.0))), dtype=np.float64)
