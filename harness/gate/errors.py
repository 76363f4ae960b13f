"""Errors of an answer against their budgets: elementwise, largest, root mean square."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.records import Check
from impls.numerics.forms import has_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.policy import GatePolicy
    from impls.contract import Witness


@dataclass(frozen=True)
class Comparison:
    """A tensor with what it should be; `factor` is how often the reference's error it may commit."""

    name: str
    value: torch.Tensor
    witness: Witness
    factor: float


def is_held_by_bound_alone(value: torch.Tensor, witness: Witness) -> bool:
    """Tell whether a tensor has no reference to be measured by: where the oracle is no more precise than the kernel."""
    return not has_reference(value.dtype) and not witness.is_random


def effective_rows(witness: Witness) -> float:
    """Return how many rows carry the error: all where it is even, one where one row has all of it.

    By the reference's error or by the bound, whichever is fewer: where a sum of many terms stands among small ones, as
    in the gradient of the only value that a sequence may look at, the reference may have been lucky. Where answers are
    random the reference tells more than a bound. Rows of the same answer err alike, and count once.
    """
    features = witness.oracle.shape[-1] if witness.oracle.ndim > 1 else 1
    _, group = torch.unique(_marks(witness.oracle.float().reshape(-1, features)), return_inverse=True)
    error = witness.reference - witness.oracle
    parts = (error,) if witness.is_random else (error, witness.bound)
    return min(_carrying(part.square().reshape(-1, features).sum(-1), group) for part in parts)


def _carrying(squares: torch.Tensor, group: torch.Tensor) -> float:
    """Return how many groups of rows carry the sum of their squares; one where there is none."""
    of_rows = torch.zeros(int(group.max()) + 1, dtype=squares.dtype)
    of_rows.index_add_(0, group, squares)
    total = float(of_rows.square().sum())
    return float(of_rows.sum()) ** 2 / total if 0.0 < total < math.inf else 1.0


def _marks(rows: torch.Tensor) -> torch.Tensor:
    """Give rows of float32 numbers, all finite, a number each: equal for equal rows, else once in 2^63.

    Sorting numbers takes a tenth of the time that sorting rows does.
    """
    # Zeros of both signs are the same.
    return ((rows + 0.0).view(torch.int32).long() * _factors(rows.shape[-1])).sum(-1)


@functools.cache
def _factors(count: int) -> torch.Tensor:
    """Draw so many odd numbers, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-(2**62), 2**62, (count,), generator=generator) * 2 + 1


def chance(rows: float, policy: GatePolicy) -> float:
    """Return the factor by which two honest root mean square errors over so many rows may differ by chance."""
    return math.exp(policy.deviations / math.sqrt(rows))


@dataclass(frozen=True)
class Element:
    """Where a tensor errs most against its bound, and by what."""

    name: str
    index: tuple[int, ...]
    got: float
    wanted: float

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.index))}] is {self.got:.6g}, not {self.wanted:.6g}"


def compare(given: Comparison, policy: GatePolicy) -> tuple[list[Check], Callable[[], Element]]:
    """Check largest error, root mean square error and elementwise bound; return what finds the worst element too.

    Largest and root mean square error may be `factor` times what a plain implementation of the same dtype commits,
    plus what rounding the exact answer costs. Where the oracle itself is no more precise than the kernel (float64),
    that reference says nothing, unless both answer at random: the bound alone is asked.
    """
    name, oracle = given.name, given.witness.oracle
    got = given.value.cpu().double()
    error = (got - oracle).abs()
    ratio = torch.where(error == 0.0, 0.0, error / given.witness.bound)
    worst, loudest = (functools.partial(_element, name, got, oracle, by) for by in (ratio, error))
    checks = [_check(f"{name} bound", error=_largest_of(ratio), budget=1.0, where=worst)]
    if is_held_by_bound_alone(given.value, given.witness):
        return checks, worst
    unit, flush = torch.finfo(given.value.dtype).eps / 2, given.witness.flush
    plain = (given.witness.reference - oracle).abs()
    for norm, size, units in (("max", _largest_of, policy.units_max), ("rms", _rms, policy.units_rms)):
        budget = given.factor * size(plain) + units * unit * size(oracle.abs()) + flush
        checks.append(_check(f"{name} {norm}", error=size(error), budget=budget, where=loudest))
    return checks, worst if largest_ratio(checks[:1]) >= largest_ratio(checks[1:]) else loudest


def _check(name: str, *, error: float, budget: float, where: Callable[[], Element]) -> Check:
    finite = math.isfinite(error)
    ratio = error / budget if finite and budget > 0.0 else (0.0 if error == 0.0 else None)
    passed = finite and error <= budget
    return Check(
        name=name,
        error=error if finite else None,
        budget=budget,
        ratio=ratio,
        passed=passed,
        detail="" if passed else str(where()),
    )


def _element(name: str, got: torch.Tensor, wanted: torch.Tensor, ratio: torch.Tensor) -> Element:
    flat = int(ratio.nan_to_num(nan=math.inf).argmax())
    index = tuple(int(i) for i in np.unravel_index(flat, ratio.shape))
    return Element(name, index, got.flatten()[flat].item(), wanted.flatten()[flat].item())


def first_index(flags: torch.Tensor) -> tuple[int, ...]:
    """Return where the first true flag is."""
    return tuple(int(i) for i in flags.nonzero()[0])


def largest_ratio(checks: Sequence[Check]) -> float:
    """Return the largest ratio of error to budget; infinite if an error is not finite."""
    return max(math.inf if check.ratio is None else check.ratio for check in checks)


def _largest_of(values: torch.Tensor) -> float:
    return float(values.max())


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())
