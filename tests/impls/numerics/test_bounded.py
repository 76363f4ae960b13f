"""Running error analysis bounds what float32 really commits, and is not so loose that it bounds anything."""

from __future__ import annotations

import pytest
import torch

from impls.numerics.bounded import Bounded
from impls.numerics.errors import units

UNIT = units(torch.float32, torch.device("cpu"))
# Worst-case signs of inherited errors overstate a sum of a hundred terms by ten, four deviations by four.
LOOSE_AT_MOST = 500


def drawn(seed, *shape):
    """Draw numbers that float32 holds exactly."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


MASK = drawn(200, 96, 96) < 1


def weighed(scores):
    """Return the softmax of allowed scores, of plain tensors or bounded ones."""
    if isinstance(scores, Bounded):
        return scores.softmax(MASK)
    return scores.masked_fill(~MASK, float("-inf")).softmax(-1)


def added(terms):
    """Return sums along the last axis, of plain tensors or bounded ones."""
    return terms.total(-1) if isinstance(terms, Bounded) else terms.sum(-1)


STEPS = {
    "product": lambda a, b: a @ b,
    "sum": lambda a, b: added(a * b),
    "softmax": lambda a, b: weighed(a + b),
    "chain": lambda a, b: weighed(a @ b) @ a,
    "difference": lambda a, b: a * b - a,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("seed", range(5))
def test_the_error_of_float32_lies_within_the_bound_and_not_far_below(step, seed):
    a, b = drawn(seed, 96, 96), drawn(seed + 100, 96, 96) / 4
    found = STEPS[step](Bounded.exact(a, UNIT), Bounded.exact(b, UNIT))
    single = STEPS[step](a.float(), b.float()).double()
    error = (single - found.value).abs()
    assert (error <= found.error).all()
    assert found.error.max() < LOOSE_AT_MOST * error.max()


def test_a_row_without_keys_weighs_nothing():
    scores = Bounded.exact(drawn(0, 2, 3), UNIT)
    weights = scores.softmax(torch.tensor([[True] * 3, [False] * 3]))
    assert weights.value[1].tolist() == [0.0] * 3
    assert weights.error[1].max() <= UNIT.flush


def test_the_oracles_own_error_counts_where_it_is_no_more_precise():
    double = units(torch.float64, torch.device("cpu"))
    value = drawn(0, 4)
    for unit, times in ((UNIT, 1.0), (double, 2.0)):
        rounded = Bounded.exact(value, unit).rounded()
        torch.testing.assert_close(rounded.bound, times * rounded.error)
