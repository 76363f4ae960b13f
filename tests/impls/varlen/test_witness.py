"""The oracle of packed sequences is the formula of each alone, and its bounds hold what honest kernels err by."""

from __future__ import annotations

import pytest
import torch

from impls.varlen import problem as varlen
from tests.support.packs import drawn, formula

POINTS = [
    {"lengths": [0, 5, 0, 9, 1, 0], "heads": 4, "kv_heads": 2, "d": 8},
    {"lengths": [4, 7, 1], "heads": 2, "d": 8, "d_v": 4, "causal": True, "scale": 0.7},
]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("some", [False, True])
def test_the_oracle_is_the_formula_of_each_sequence(point, some):
    inputs = drawn(point)
    rows = torch.tensor([0, 3, 7, 11]) if some else torch.arange(len(inputs.q))
    (witness,) = varlen.witness(inputs, rows)
    torch.testing.assert_close(witness.oracle, formula(inputs)[rows], rtol=1e-13, atol=1e-13)
    assert ((witness.reference - witness.oracle).abs() <= witness.bound + witness.flush).all()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("elements", [2**20, 1])
def test_gradients_are_those_that_autograd_finds_of_the_sampled_tokens_alone(monkeypatch, point, elements):
    monkeypatch.setattr("impls.varlen._witness.BLOCK_ELEMENTS", elements)
    inputs = drawn(point)
    rows = torch.tensor([1, 6, 11])
    leaves = [tensor.requires_grad_() for tensor in inputs.differentiable]
    out = formula(inputs)[rows]
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    wanted = torch.autograd.grad(out, leaves, upstream)
    for witness, gradient in zip(varlen.gradient_witness(inputs, rows, upstream), wanted, strict=True):
        torch.testing.assert_close(witness.oracle, gradient, rtol=1e-12, atol=1e-13)
        assert ((witness.reference - witness.oracle).abs() <= witness.bound + witness.flush).all()


def test_a_reference_in_a_small_dtype_errs_and_stays_within_the_bound():
    inputs = drawn({"lengths": [3, 40, 1], "heads": 2, "d": 32, "causal": True}, dtype=torch.bfloat16)
    rows = torch.arange(44)
    (witness,) = varlen.witness(inputs, rows)
    error = (witness.reference - witness.oracle).abs()
    assert error.max() > 1e-4
    assert (error <= witness.bound).all()
