"""The tutorial's module: equal rows where it has them, and the numbers that others' modules give."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.multihead import _oracle
from impls.multihead import problem as multihead
from impls.multihead.d2l import d2l
from tests.support.attending import Watched
from tests.support.modules import CPU


def drawn(point, *, dtype=torch.float64):
    parsed = multihead.parse({"width": 6, "heads": 3, "batch": 2, **point})
    return multihead.inputs(parsed, dtype=dtype, device=CPU, seed=0)


def called(inputs):
    return d2l(inputs.x_q, inputs.x_k, inputs.x_v, inputs.weights, **inputs.options)


@pytest.mark.parametrize(
    "point",
    [
        {"n": 5},
        {"n": 5, "bias": True, "valid_lens": "rows"},
        {"n_q": 3, "n_k": 4, "query_size": 5, "key_size": 7, "value_size": 2, "valid_lens": "batch_empty"},
    ],
    ids=str,
)
def test_it_gives_what_the_oracle_gives(point):
    inputs = drawn(point)
    found = _oracle.witness(inputs, torch.arange(inputs.x_q.shape[1]))
    torch.testing.assert_close(called(inputs), found.oracle)


def test_a_row_without_keys_is_the_bias_of_the_output_alone():
    inputs = drawn({"n": 5, "bias": True, "valid_lens": 0})
    torch.testing.assert_close(called(inputs), inputs.weights.b_o.expand(2, 5, 6))


def test_a_call_leaves_its_inputs_as_they_were_though_it_masks_in_place():
    inputs = drawn({"n": 5, "valid_lens": "batch"})
    before = [x.clone() for x in inputs.tensors]
    called(inputs)
    assert all(torch.equal(now, then) for now, then in zip(inputs.tensors, before, strict=True))


def test_dropout_changes_answers_from_call_to_call_and_none_does_not():
    inputs = drawn({"n": 5, "dropout": 0.5})
    torch.manual_seed(0)
    assert not torch.equal(called(inputs), called(inputs))
    torch.manual_seed(0)
    first = called(inputs)
    torch.manual_seed(0)
    assert torch.equal(called(inputs), first)


def test_it_runs_every_feature_of_a_module_and_two_batched_products():
    (limits,) = registry.get("multihead", "d2l").limits
    assert limits.supports >= {"valid_lens", "dead_rows", "backward", "dropout", "cross_attention", "query_size"}
    noted = Watched()
    with torch.no_grad(), noted:
        called(drawn({"n_q": 9, "n_k": 20}))
    # The projections may be products of folded matrices as well.
    assert noted.operators.count("bmm") >= 2
    assert noted.operators.count("_softmax") == 1
    assert noted.largest == 2 * 3 * 9 * 20


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
