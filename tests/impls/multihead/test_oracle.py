"""What defines right for a module rejects what is wrong, with dropout and without."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.multihead import _oracle
from impls.multihead import problem as multihead
from impls.multihead.d2l import d2l
from tests.support.modules import CPU, PROBES, gate


def without_scale(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    stretched = weights._replace(w_q=weights.w_q * (weights.w_q.shape[0] / heads) ** 0.5)
    return d2l(x_q, x_k, x_v, stretched, heads=heads, valid_lens=valid_lens, dropout=dropout)


def without_mask(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    return d2l(x_q, x_k, x_v, weights, heads=heads, dropout=dropout)


def with_heads_mixed_up(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    turned = weights._replace(w_o=weights.w_o.roll(weights.w_o.shape[0] // heads, dims=1))
    return d2l(x_q, x_k, x_v, turned, heads=heads, valid_lens=valid_lens, dropout=dropout)


def with_keys_for_values(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    return d2l(x_q, x_k, x_k, weights._replace(w_v=weights.w_k), heads=heads, valid_lens=valid_lens, dropout=dropout)


def a_hundredth_too_large(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    return 1.01 * d2l(x_q, x_k, x_v, weights, heads=heads, valid_lens=valid_lens, dropout=dropout)


@pytest.mark.parametrize(
    "broken", [without_scale, without_mask, with_heads_mixed_up, with_keys_for_values, a_hundredth_too_large]
)
def test_a_broken_module_is_rejected(broken):
    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=broken)
    point = registry.parse(entry, PROBES["lengths per batch element"].point)
    assert not gate(entry, point).passed


@pytest.mark.parametrize("wrong", ["zeros", "not rescaled"])
def test_a_wrong_dropout_is_rejected(wrong):
    def broken(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
        out = d2l(x_q, x_k, x_v, weights, heads=heads, valid_lens=valid_lens, dropout=dropout)
        return torch.zeros_like(out) if wrong == "zeros" else out * (1 - dropout)

    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=broken)
    point = registry.parse(entry, {"n": 128, "width": 64, "heads": 4, "dropout": 0.5})
    assert gate(registry.get("multihead", "d2l"), point).passed
    assert not gate(entry, point).passed


def drawn(point, *, dtype=torch.float32, kind="normal"):
    parsed = multihead.parse({"width": 12, "heads": 3, "batch": 2, **point})
    return multihead.inputs(parsed, dtype=dtype, device=CPU, seed=0, kind=kind)


@pytest.mark.parametrize("kind", ["normal", "large logits"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_references_stay_within_the_bound(dtype, kind):
    inputs = drawn({"n": 9, "bias": True, "valid_lens": "rows"}, dtype=dtype, kind=kind)
    found = _oracle.witness(inputs, torch.tensor([0, 3, 8]))
    assert ((found.reference - found.oracle).abs() <= found.bound).all()
    assert found.oracle.shape == (2, 3, 12)
    assert not found.is_random


@pytest.mark.parametrize("elements", [1, 30, 10**6])
def test_the_blocks_that_rows_are_taken_in_change_nothing(monkeypatch, elements):
    inputs = drawn({"n": 7, "valid_lens": "batch"}, dtype=torch.float64)
    rows, upstream = torch.tensor([0, 2, 3, 6]), torch.ones(2, 4, 12)
    whole, gradients = _oracle.witness(inputs, rows), _oracle.gradient_witness(inputs, rows, upstream)
    monkeypatch.setattr(_oracle, "BLOCK_ELEMENTS", elements)
    torch.testing.assert_close(_oracle.witness(inputs, rows).oracle, whole.oracle)
    for again, before in zip(_oracle.gradient_witness(inputs, rows, upstream), gradients, strict=True):
        torch.testing.assert_close(again.oracle, before.oracle)


@pytest.mark.parametrize("point", [{"n": 6, "bias": True}, {"n_q": 4, "n_k": 6}, {"n": 6, "value_size": 5}], ids=str)
def test_gradients_of_sampled_rows_are_float64_autograds_of_the_tutorials_module(point):
    inputs = drawn({**point, "valid_lens": "batch"}, dtype=torch.float64)
    rows = torch.tensor([0, 3])
    upstream = torch.randn(2, 2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = _oracle.gradient_witness(inputs, rows, upstream)
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    out = d2l(inputs.x_q, inputs.x_k, inputs.x_v, inputs.weights, **inputs.options)
    expected = torch.autograd.grad(out[:, rows], inputs.differentiable, upstream)
    for witness, gradient in zip(found, expected, strict=True):
        torch.testing.assert_close(witness.oracle, gradient)


def test_under_dropout_the_oracle_is_the_value_without_and_what_is_random_is_said():
    inputs = drawn({"n": 6, "dropout": 0.5}, dtype=torch.float64)
    rows = torch.arange(6)
    found = _oracle.witness(inputs, rows)
    without = _oracle.witness(dataclasses.replace(inputs, dropout=0.0), rows)
    assert torch.equal(found.oracle, without.oracle)
    assert found.is_random
    assert (found.bound > 1e6 * without.bound).all()
    assert not torch.allclose(found.reference, found.oracle)
    assert all(one.bound.isinf().all() for one in _oracle.gradient_witness(inputs, rows, torch.ones(2, 6, 12)))


def test_a_module_of_other_heads_is_another_module():
    inputs = drawn({"n": 6}, dtype=torch.float64)
    rows = torch.arange(6)
    other = _oracle.witness(dataclasses.replace(inputs, heads=2), rows)
    assert not torch.allclose(other.oracle, _oracle.witness(inputs, rows).oracle)
