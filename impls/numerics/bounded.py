"""Running error analysis: numbers that carry a bound on the rounding error of whoever computes them in the same steps.

Wilkinson, Rounding Errors in Algebraic Processes (1963); Higham, Accuracy and Stability, section 3.3. Errors inherited
from operands add up by absolute values, whatever their signs; a sum's own roundings are independent, in the
probabilistic form of Higham and Mary (SIAM J. Sci. Comput. 41, 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from impls.numerics.errors import LAMBDA, Units

if TYPE_CHECKING:
    from collections.abc import Callable


UNIT_FLOAT64 = 2.0**-53


@dataclass(frozen=True)
class Bounded:
    """A float64 tensor, and an elementwise bound on the error of the same quantity computed in lower precision."""

    value: torch.Tensor
    error: torch.Tensor
    unit: Units

    @classmethod
    def exact(cls, value: torch.Tensor, unit: Units) -> Bounded:
        """Take a tensor that the computation is given."""
        return cls(value, torch.zeros_like(value), unit)

    @property
    def bound(self) -> torch.Tensor:
        """Bound the distance from an oracle in float64, which errs in its own unit: as much again in float64 itself."""
        return self.error * (1 + UNIT_FLOAT64 / self.unit.store)

    def moved(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Bounded:
        """Change the layout, which rounds nothing."""
        return Bounded(change(self.value), change(self.error), self.unit)

    def rounded(self, times: float = 1.0) -> Bounded:
        """Store the number, several times where it is passed on or scaled in between."""
        return Bounded(
            self.value, self.error + times * (self.unit.store * self.value.abs() + self.unit.flush), self.unit
        )

    def scaled(self, factor: float) -> Bounded:
        """Multiply by a constant; whoever stores the product rounds it."""
        return Bounded(self.value * factor, self.error * abs(factor), self.unit)

    def __add__(self, other: Bounded) -> Bounded:
        return Bounded(self.value + other.value, self.error + other.error, self.unit).rounded()

    def __sub__(self, other: Bounded) -> Bounded:
        return self + other.scaled(-1.0)

    def __mul__(self, other: Bounded) -> Bounded:
        """Multiply element by element."""
        error = self.value.abs() * other.error + self.error * (other.value.abs() + other.error)
        return Bounded(self.value * other.value, error, self.unit).rounded()

    def __matmul__(self, other: Bounded) -> Bounded:
        """Multiply matrices as a matrix unit does: sums in float32 or wider, stored once."""
        return self.product(other, own=self.unit.accumulate)

    def product(self, other: Bounded, *, own: float, terms: int | None = None) -> Bounded:
        """Multiply matrices; `own` is what each of a sum's `terms` roundings costs, one a product where not given."""
        terms = self.value.shape[-1] if terms is None else terms
        magnitude = self.value.abs() @ other.value.abs()
        inherited = self.value.abs() @ other.error + self.error @ (other.value.abs() + other.error)
        summing = LAMBDA * math.sqrt(terms + 2) * own * magnitude + terms * self.unit.flush_terms
        return Bounded(self.value @ other.value, inherited + summing, self.unit).rounded()

    def total(self, axis: int, *, own: float | None = None, terms: int | None = None, keepdim: bool = False) -> Bounded:
        """Add up along an axis; `own` and `terms` as for a product."""
        terms = self.value.shape[axis] if terms is None else terms
        magnitude = self.value.abs().sum(axis, keepdim=keepdim)
        own = self.unit.accumulate if own is None else own
        error = self.error.sum(axis, keepdim=keepdim) + LAMBDA * math.sqrt(terms + 2) * own * magnitude
        return Bounded(self.value.sum(axis, keepdim=keepdim), error, self.unit).rounded()

    def softmax(self, mask: torch.Tensor) -> Bounded:
        """Weigh the scores that the mask allows along the last axis; a row without any gives zeros.

        Weights may come from maximum and total, or from the log-sum-exp, and those below the flush may vanish.
        """
        allowed = self.value.masked_fill(~mask, -math.inf)
        top = allowed.amax(-1, keepdim=True)
        top = top.masked_fill(top == -math.inf, 0.0)
        heights = torch.exp(allowed - top)
        total = heights.sum(-1, keepdim=True)
        weights = heights / total.masked_fill(total == 0.0, 1.0)
        steps = (self.value - top).abs() + top.abs() + math.log(weights.shape[-1]) + 5
        steps = steps + LAMBDA * math.sqrt(weights.shape[-1] + 2)
        relative = self.error + (weights * self.error).sum(-1, keepdim=True)
        relative = relative + self.unit.accumulate * steps + 2 * self.unit.store
        return Bounded(weights, weights * relative + weights.clamp(max=self.unit.flush), self.unit)

    def softmax_gradient(self, upstream: Bounded, mean: Bounded) -> Bounded:
        """Differentiate weights: weights * (upstream - mean), the difference and its factors stored."""
        size = upstream.value.abs() + mean.value.abs()
        difference = upstream.value - mean.value
        error = self.error * (difference.abs() + upstream.error + mean.error)
        error = error + self.value * (upstream.error + mean.error + 4 * self.unit.store * size)
        return Bounded(self.value * difference, error + 2 * self.unit.flush, self.unit)

    def or_else(self, other: Bounded) -> Bounded:
        """Allow for either of two ways to compute the same number."""
        return Bounded(self.value, torch.maximum(self.error, other.error), self.unit)
