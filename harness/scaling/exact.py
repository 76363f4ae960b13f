"""Laws of exact numbers: the degree of counted operations and the law of allocated bytes, without statistics."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from harness.policy import ScalingPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

# A law of degree g is shown by g + 2 sizes; a third line of agreement guards against a coincidence.
SIZES_BEYOND_DEGREE = 3
# Sizes that the line and the parabola of the memory law need: three for a parabola, one more that they predict.
MEMORY_SIZES = 4
# The line of O(n) memory is drawn through sizes of an eighth to a quarter of the largest.
LINE_FROM, LINE_TO = 8.0, 4.0
LINEAR, QUADRATIC = 1, 2
# The last local exponent of what is n^2 but for steps in what is not: n^1.8 and n^2.2 are outside.
STEPPED_SLOPE = 0.1


def degree(values: Sequence[int]) -> int | None:
    """Return the degree of the polynomial through equispaced values, exactly; -1 for zero everywhere.

    Differences are taken until they vanish. None if they don't within what the number of values can show, which
    takes at least three vanishing orders or values.
    """
    differences, order = [int(value) for value in values], -1
    while any(differences):
        if len(differences) <= SIZES_BEYOND_DEGREE - 1:
            return None
        differences = [after - before for before, after in itertools.pairwise(differences)]
        order += 1
    return order


@dataclass(frozen=True)
class MemoryLaw:
    """Hold the law of extra bytes along one axis.

    `degree` is 0, 1 or 2, None if no such law shows. `coefficient` is bytes per size ** degree; `spread` its
    relative disagreement between sizes; `over_line` the bytes at the largest size over the linear prediction.
    `exponent` is the local exponent between the two largest sizes, `low` and `high` those of the upper half.
    """

    degree: int | None
    coefficient: float
    spread: float
    over_line: float
    exponent: float
    low: float
    high: float


def memory_law(sizes: Sequence[int], extra: Sequence[int], *, policy: ScalingPolicy | None = None) -> MemoryLaw | None:
    """Tell linear from quadratic extra memory by second differences and the linear prediction; None for few sizes.

    Sizes may be spaced in any way: divided differences of second order are the coefficient of n^2 wherever the law
    is quadratic, and vanish where it is linear. Block workspaces make steps in linear memory, which the prediction
    allows for and the differences need not. Beside an n^2 that steps blur, even the least difference makes half of the
    bytes, and they grow as n^2 at the end.
    """
    policy = policy or ScalingPolicy()
    pairs = sorted(dict(zip(sizes, extra, strict=True)).items())
    if len(pairs) < MEMORY_SIZES or any(value < 0 for _, value in pairs):
        return None
    upper = pairs[-max(MEMORY_SIZES, (len(pairs) + 1) // 2) :]
    slopes = [_local_exponent(a, b) for a, b in itertools.pairwise(upper)]
    seconds = [float(value) for value in _second_differences(upper)]
    over_line = _over_line(pairs)
    spread = _spread(seconds)
    exponents = {"exponent": slopes[-1], "low": min(slopes), "high": max(slopes)}
    if pairs[-1][1] == 0 or len({value for _, value in upper}) == 1:
        return MemoryLaw(0, float(pairs[-1][1]), 0.0, 1.0, **exponents)
    if seconds[-1] > 0.0 and spread <= policy.quadratic_memory_spread and _dominates(pairs[-1], seconds[-1]):
        return MemoryLaw(QUADRATIC, seconds[-1], spread, over_line, **exponents)
    if _dominates(pairs[-1], min(seconds)) and abs(slopes[-1] - QUADRATIC) <= STEPPED_SLOPE:
        return MemoryLaw(QUADRATIC, seconds[-1], spread, over_line, **exponents)
    if over_line <= policy.linear_memory_at_most:
        return MemoryLaw(LINEAR, pairs[-1][1] / pairs[-1][0], spread, over_line, **exponents)
    return MemoryLaw(None, seconds[-1], spread, over_line, **exponents)


def score_buffers(law: MemoryLaw, *, score_elements_per_square: float, itemsize: int) -> float:
    """Return how many n x n buffers of the item size the quadratic coefficient amounts to; need not be whole.

    `score_elements_per_square` is score elements over n^2: batch * heads.
    """
    return law.coefficient / (score_elements_per_square * itemsize)


def _second_differences(pairs: Sequence[tuple[int, int]]) -> list[Fraction]:
    """Return the divided differences of second order of consecutive triples, exactly."""
    found = []
    for (x0, y0), (x1, y1), (x2, y2) in zip(pairs, pairs[1:], pairs[2:], strict=False):
        found.append((Fraction(y2 - y1, x2 - x1) - Fraction(y1 - y0, x1 - x0)) / (x2 - x0))
    return found


def _spread(values: Sequence[float]) -> float:
    largest = max(abs(value) for value in values)
    return 0.0 if largest == 0.0 else (max(values) - min(values)) / largest


def _dominates(last: tuple[int, int], coefficient: float) -> bool:
    """Tell whether the quadratic term is at least half of the bytes at the largest size."""
    return coefficient * last[0] ** 2 >= 0.5 * last[1]


def _over_line(pairs: Sequence[tuple[int, int]]) -> float:
    """Return the bytes at the largest size over a line through sizes of an eighth to a quarter of it."""
    size, value = pairs[-1]
    near = [pair for pair in pairs if size / LINE_FROM <= pair[0] <= size / LINE_TO]
    if len(near) < 2:  # noqa: PLR2004
        near = list(pairs[:-1])
    (x0, y0), (x1, y1) = near[0], near[-1]
    predicted = y1 + (y1 - y0) / (x1 - x0) * (size - x1)
    return value / predicted if predicted > 0 else math.inf


def _local_exponent(first: tuple[int, int], second: tuple[int, int]) -> float:
    if first[1] <= 0 or second[1] <= 0:
        return 0.0
    return math.log(second[1] / first[1]) / math.log(second[0] / first[0])
