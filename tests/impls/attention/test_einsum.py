"""The textbook's formula in einsum: scores of every head at once, queries scaled and not scores."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.attention.batched import batched
from impls.attention.einsum import einsum
from tests.support.attending import RARE, SIZES, by_formula, called, drawn, watched


def test_it_gives_what_the_formula_gives():
    inputs = drawn()
    torch.testing.assert_close(called(einsum, inputs), by_formula(inputs))


def test_it_agrees_with_batched_to_the_last_bits_in_float32():
    inputs = drawn({"n_q": 9, "n_k": 31, "d": 5, "heads": 2, "causal": True}, dtype=torch.float32)
    torch.testing.assert_close(called(einsum, inputs), called(batched, inputs), rtol=1e-6, atol=1e-6)


def test_a_call_runs_the_batched_products_that_it_declares_and_holds_all_scores():
    noted = watched(einsum, drawn({"n_q": 9, "n_k": 31, "d": 2, "heads": 3, "batch": 2}))
    assert noted.operators.count("bmm") == 2
    assert registry.get("attention", "einsum").limits_on("cpu").expects.names == ("bmm",)
    assert noted.largest == 2 * 3 * 9 * 31


def test_products_past_float16_survive_as_the_queries_are_scaled():
    inputs = drawn({"n": 5, "d": 8}, dtype=torch.float16, kind="large products")
    assert (inputs.q.double() @ inputs.k.double().mT).max() > torch.finfo(torch.float16).max
    assert called(einsum, inputs).isfinite().all()


def test_a_row_without_keys_gives_zeros_and_passes_no_gradient():
    inputs = drawn({"n_q": 5, "n_k": 3, "d": 2, "causal": True})
    inputs.q.requires_grad_(True)
    out = called(einsum, inputs)
    assert out[:, :, :2].eq(0).all()
    (gradient,) = torch.autograd.grad(out.sum(), inputs.q)
    assert gradient[:, :, :2].eq(0).all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("asked", RARE, ids=str)
def test_a_window_a_cap_and_a_bias_are_what_the_formula_says(asked):
    inputs = drawn({**SIZES, **asked})
    torch.testing.assert_close(called(einsum, inputs), by_formula(inputs))
