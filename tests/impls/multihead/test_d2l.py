"""The tutorial's module: equal rows where it has them, and the numbers that others' modules give."""

from __future__ import annotations

import pytest
import torch

from impls.multihead import problem as multihead
from impls.multihead.d2l import d2l
from tests.support.modules import CPU


def test_equal_lengths_give_equal_rows_to_the_last_bit():
    point = multihead.parse({"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2})
    weights = multihead.inputs(point, dtype=torch.float32, device=CPU, seed=5).weights
    ones_q, ones_k = torch.ones(2, 4, 100), torch.ones(2, 6, 100)
    out = d2l(ones_q, ones_k, ones_k, weights, heads=5, valid_lens=torch.tensor([3, 2]))
    assert torch.equal(out, out[:, :1].expand_as(out))


def test_the_d2l_package_gives_the_same():
    package = pytest.importorskip("d2l.torch", reason="the package d2l is not installed")
    point = multihead.parse({"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2})
    inputs = multihead.inputs(point, dtype=torch.float32, device=CPU, seed=0)
    module = package.MultiHeadAttention(100, 5, 0.5).eval()
    module(inputs.x_q, inputs.x_k, inputs.x_v, None)
    with torch.no_grad():
        for layer, weight in zip((module.W_q, module.W_k, module.W_v, module.W_o), inputs.weights[:4], strict=True):
            layer.weight.copy_(weight)
    for lens in (None, torch.tensor([3, 2]), torch.tensor([[1, 2, 3, 4], [6, 5, 4, 3]])):
        expected = module(inputs.x_q, inputs.x_k, inputs.x_v, lens)
        ours = d2l(inputs.x_q, inputs.x_k, inputs.x_v, inputs.weights, heads=5, valid_lens=lens)
        torch.testing.assert_close(ours, expected)


def test_hugging_faces_attention_interface_gives_the_same():
    transformers = pytest.importorskip("transformers", reason="the package transformers is not installed")
    functions = transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS
    inputs = multihead.inputs(
        multihead.parse({"n": 12, "width": 32, "heads": 4}), dtype=torch.float32, device=CPU, seed=0
    )
    w = inputs.weights
    q, k, v = ((inputs.x_q @ m.T).view(1, 12, 4, 8).transpose(1, 2) for m in (w.w_q, w.w_k, w.w_v))
    holder = torch.nn.Module()
    holder.is_causal, holder.num_key_value_groups = False, 1
    out, _ = functions["sdpa"](holder, q, k, v, None, scaling=8**-0.5)
    expected = out.reshape(1, 12, 32) @ w.w_o.T
    torch.testing.assert_close(d2l(inputs.x_q, inputs.x_k, inputs.x_v, w, heads=4), expected)
