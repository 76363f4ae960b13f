"""What defines right for a module rejects what is wrong, with dropout and without."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.multihead.d2l import d2l
from tests.support.modules import PROBES, gate


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
