"""The flash algorithm made readable: block by block over the keys, in O(n) memory, whatever the scores."""

from __future__ import annotations

import math

import pytest
import torch

from impls import registry
from impls.attention import online as module
from impls.attention.batched import batched
from impls.attention.online import BLOCK, key_limits, online
from tests.support.attending import RARE, SIZES, by_formula, called, drawn, watched


def test_it_gives_what_the_formula_gives():
    inputs = drawn()
    torch.testing.assert_close(called(online, inputs), by_formula(inputs))


@pytest.mark.parametrize("n_k", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_and_their_tails_join_to_one_softmax(n_k, causal):
    inputs = drawn({"n_q": 3, "n_k": n_k, "d": 3, "causal": causal})
    torch.testing.assert_close(called(online, inputs), called(batched, inputs))


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_the_size_of_a_block_changes_nothing_nor_where_the_maximum_lies(monkeypatch, block):
    inputs = drawn({**SIZES, "causal": True, "valid_lens": "rows_empty"}, kind="huge logits")
    monkeypatch.setattr(module, "BLOCK", block)
    torch.testing.assert_close(called(online, inputs), called(batched, inputs))


def test_no_result_has_a_score_for_each_pair():
    n = 4 * BLOCK
    noted = watched(online, drawn({"n": n, "d": 2}))
    assert noted.largest == n * BLOCK
    assert registry.get("attention", "online").buffers("float32") == 0.0


def test_sums_are_float32_whatever_the_inputs_are():
    inputs = drawn({"n_q": 1, "n_k": 4096, "d": 2}, dtype=torch.bfloat16, kind="equal scores")
    out = called(online, inputs)
    assert out.dtype == torch.bfloat16
    # A sum of 4096 in bfloat16 would stop at 256.
    torch.testing.assert_close(out, inputs.v.float().mean(2, keepdim=True).to(torch.bfloat16))


def test_gradients_are_those_of_the_formula():
    inputs = drawn()
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    upstream = torch.randn(2, 6, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = (
        torch.autograd.grad(called(function, inputs), inputs.differentiable, upstream) for function in (online, batched)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_nan_beyond_the_lengths_stays_there():
    point = {**SIZES, "valid_lens": "batch"}
    assert torch.equal(called(online, drawn(point, kind="NaN padding")), called(online, drawn(point)))
    assert "dirty_padding" in registry.get("attention", "online").limits_on("cpu").supports


def test_limits_of_a_row_are_the_smaller_of_causal_and_lengths_or_none():
    q, lens = torch.zeros(1, 1, 3, 2), torch.tensor([[5, 1, 4]])
    assert key_limits(q, 5, causal=False, valid_lens=None) is None
    assert key_limits(q, 5, causal=True, valid_lens=None).flatten().tolist() == [3, 4, 5]
    assert key_limits(q, 5, causal=True, valid_lens=lens).flatten().tolist() == [3, 1, 4]
    assert key_limits(q, 2, causal=True, valid_lens=None).flatten().tolist() == [0, 1, 2]


def test_a_row_without_keys_gives_zeros():
    out = called(online, drawn({"n_q": 4, "n_k": 2, "d": 2, "causal": True}))
    assert out[:, :, :2].eq(0).all()
    assert not math.isnan(out.sum())


@pytest.mark.parametrize("asked", RARE, ids=str)
def test_a_window_a_cap_and_a_bias_are_what_the_formula_says(asked):
    inputs = drawn({**SIZES, **asked})
    torch.testing.assert_close(called(online, inputs), by_formula(inputs))
