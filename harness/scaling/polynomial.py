"""Costs that are counts or bytes: a polynomial that goes through every size to the last digit, from five sizes on."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES_AT_LEAST = 5
DEGREE_AT_MOST = 3
# Sizes that a polynomial must predict beyond those that determine it.
PREDICTED = 2
# Data are taken for exact unasked only where the last digit is this small a share. Of 6,000 simulated squares of five
# sizes and five digits none with noise of 0.3 % lies on a polynomial by chance, and ten with 0.1 %.
LAST_DIGIT_AT_MOST = 1e-4
# Last digits beyond this are rounding of floating point itself.
FLOATING_POINT = 1e-12


@dataclass(frozen=True)
class Polynomial:
    """Hold the polynomial of least degree through all costs; `coefficients` begin with the constant.

    `share` is what the term of highest degree is of the cost at the largest size.
    """

    coefficients: tuple[float, ...]
    sizes: int
    share: float

    @property
    def degree(self) -> int:
        """Return the highest power with a coefficient."""
        return len(self.coefficients) - 1

    def formula(self, x: str) -> str:
        """Write the polynomial out, highest power first."""
        terms: list[str] = []
        for power, coefficient in reversed(list(enumerate(self.coefficients))):
            if coefficient == 0.0 and self.degree > 0:
                continue
            sign = ("- " if coefficient < 0 else "+ ") if terms else ("-" if coefficient < 0 else "")
            letter = ("", f" {x}")[power] if power < 2 else f" {x}^{power}"  # noqa: PLR2004
            terms.append(f"{sign}{abs(coefficient):.6g}{letter}")
        return " ".join(terms)


def polynomial(
    sizes: Sequence[Fraction], costs: Sequence[Fraction], steps: Sequence[Fraction], *, is_asked: bool = False
) -> Polynomial | None:
    """Return the polynomial that all costs lie on, exactly or within half of the last digit written; None if none is.

    `steps` are ones in the last place written. Unless asked, costs that are rounded so coarsely that chance would
    do are not taken for exact. Sizes are distinct.
    """
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    x, y, step = ([column[index] for index in order] for column in (sizes, costs, steps))
    if len(x) < SIZES_AT_LEAST or any(value.denominator != 1 for value in x) or any(value == 0 for value in y):
        return None
    digits = [float(s / abs(value)) for s, value in zip(step, y, strict=True)]
    fine = sum(digit <= LAST_DIGIT_AT_MOST for digit in digits)
    if not is_asked and fine < PREDICTED:
        return None
    highest = min(DEGREE_AT_MOST, len(x) - 1 - PREDICTED)
    exact = _exact(x, y, highest)
    if exact is not None:
        return _made(exact, x, y)
    # Whole numbers are not rounded.
    if all(s == 1 for s in step):
        return None
    if is_asked or (fine == len(x) and max(digits) > FLOATING_POINT):
        return _rounded(x, y, step, highest)
    return None


def _exact(x: Sequence[Fraction], y: Sequence[Fraction], highest: int) -> list[Fraction] | None:
    """Return coefficients by divided differences, which vanish beyond the degree of a polynomial."""
    column, newton = list(y), [y[0]]
    for order in range(1, highest + 2):
        column = [(b - a) / (x[i + order] - x[i]) for i, (a, b) in enumerate(itertools.pairwise(column))]
        if not any(column):
            return _expanded(x, newton)
        newton.append(column[0])
    return None


def _expanded(x: Sequence[Fraction], newton: Sequence[Fraction]) -> list[Fraction]:
    """Return the coefficients of powers from those of Newton's form."""
    found = [Fraction(0)]
    for place, coefficient in reversed(list(zip(x, newton, strict=False))):
        raised = [Fraction(0), *found]
        lowered = [*(place * value for value in found), Fraction(0)]
        found = [high - low for high, low in zip(raised, lowered, strict=True)]
        found[0] += coefficient
    while len(found) > 1 and found[-1] == 0:
        found.pop()
    return found


def _rounded(x: Sequence[Fraction], y: Sequence[Fraction], step: Sequence[Fraction], highest: int) -> Polynomial | None:
    """Fit within rounding: where one polynomial is within half a step of all costs, the best fit in steps is too.

    Terms that rounding alone may have made are left out.
    """
    size, cost = (np.array([float(value) for value in column]) for column in (x, y))
    half = np.maximum([float(value) / 2.0 for value in step], FLOATING_POINT * np.abs(cost))
    design = (size / size[-1])[:, None] ** np.arange(highest + 1) / half[:, None]
    target = cost / half
    for degree in range(highest + 1):
        if _solution(design, target, range(degree + 1)) is None:
            continue
        lower = (part for count in range(degree + 1) for part in itertools.combinations(range(degree), count))
        found = next(filter(None, (_solution(design, target, (*part, degree)) for part in lower)), None)
        if found is not None:
            terms = [Fraction(found.get(power, 0.0)) / x[-1] ** power for power in range(degree + 1)]
            return _made(terms, x, y)
    return None


def _solution(design: Array, target: Array, powers: Sequence[int]) -> dict[int, float] | None:
    """Return the coefficients of some powers; None if they leave more than rounding does."""
    columns = design[:, list(powers)]
    found = np.linalg.lstsq(columns, target, rcond=None)[0]
    misfit = columns @ found - target
    return dict(zip(powers, map(float, found), strict=True)) if float(misfit @ misfit) <= len(target) else None


def _made(coefficients: Sequence[Fraction], x: Sequence[Fraction], y: Sequence[Fraction]) -> Polynomial | None:
    degree = len(coefficients) - 1
    try:
        share = float(coefficients[-1] * x[-1] ** degree / y[-1])
        values = tuple(float(value) for value in coefficients)
    except OverflowError:
        return None
    return Polynomial(values, len(x), share) if math.isfinite(share) else None
