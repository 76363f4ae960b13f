"""PyTorch's own module with our weights: what it gives, and which of its paths runs."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.multihead import problem as multihead
from tests.support.modules import CPU


@pytest.mark.parametrize("bias", [False, True])
def test_torch_module_gives_what_nn_multiheadattention_gives(bias):
    point = multihead.parse({"n_q": 7, "n_k": 9, "width": 32, "heads": 4, "batch": 2, "bias": bias})
    inputs = multihead.inputs(point, dtype=torch.float64, device=CPU, seed=2)
    module = torch.nn.MultiheadAttention(32, 4, bias=bias, batch_first=True, dtype=torch.float64)
    w = inputs.weights
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([w.w_q, w.w_k, w.w_v]))
        module.out_proj.weight.copy_(w.w_o)
        if bias:
            module.in_proj_bias.copy_(torch.cat([w.b_q, w.b_k, w.b_v]))
            module.out_proj.bias.copy_(w.b_o)
    expected, _ = module(inputs.x_q, inputs.x_k, inputs.x_v)
    for name in ("torch-module", "d2l", "mha/sdpa-math"):
        torch.testing.assert_close(multihead.bind(registry.get("multihead", name), inputs)(), expected)


def test_the_fast_path_is_what_runs_when_asked_for():
    from harness.instruments.kernels import profile

    entry = registry.get("multihead", "torch-module-fast")
    inputs = multihead.inputs(
        multihead.parse({"n": 16, "width": 32, "heads": 4}), dtype=torch.float32, device=CPU, seed=0
    )
    with torch.no_grad():
        fast = profile(multihead.bind(entry, inputs), device=CPU, synchronize=lambda: None).ran.operators
        slow_entry = registry.get("multihead", "torch-module")
        slow = profile(multihead.bind(slow_entry, inputs), device=CPU, synchronize=lambda: None).ran.operators
    assert "aten::_native_multi_head_attention" in fast
    assert "aten::_native_multi_head_attention" not in slow


def drawn(point, *, dtype=torch.float32):
    parsed = multihead.parse({"width": 12, "heads": 2, "batch": 2, **point})
    return multihead.inputs(parsed, dtype=dtype, device=CPU, seed=0)


def bound(name, inputs):
    return multihead.bind(registry.get("multihead", name), inputs)


@pytest.mark.parametrize(
    "point",
    [
        {"n": 5, "heads": 3, "valid_lens": "rows"},
        {"n_q": 3, "n_k": 4, "bias": True, "valid_lens": "batch"},
        {"n_q": 3, "n_k": 4, "key_size": 7, "value_size": 2},
    ],
    ids=str,
)
def test_lengths_and_sizes_of_keys_and_values_are_mapped_to_the_modules_own(point):
    inputs = drawn(point, dtype=torch.float64)
    torch.testing.assert_close(bound("torch-module", inputs)(), bound("d2l", inputs)())


def test_queries_of_another_size_are_not_declared_as_the_module_refuses_them():
    assert "query_size" not in registry.get("multihead", "torch-module").limits_on("cpu").supports
    with pytest.raises(AssertionError, match="embedding dimension of 12, but got 7"):
        bound("torch-module", drawn({"n": 4, "query_size": 7, "key_size": 7, "value_size": 7}))()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("name", ["torch-module", "torch-module-fast"])
def test_a_call_leaves_the_setting_of_the_fast_path_as_it_was(name, before):
    kept = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(before)
    try:
        with torch.no_grad():
            bound(name, drawn({"n": 5}))()
        assert torch.backends.mha.get_fastpath_enabled() is before
    finally:
        torch.backends.mha.set_fastpath_enabled(kept)


def test_fast_and_slow_agree_on_self_attention_of_even_heads():
    inputs = drawn({"n": 5, "bias": True})
    with torch.no_grad():
        torch.testing.assert_close(bound("torch-module-fast", inputs)(), bound("torch-module", inputs)())
    fast = registry.get("multihead", "torch-module-fast")
    assert fast.limits_on("cpu").supports == frozenset()
    assert fast.limits_on("mps") is None


def test_our_weights_get_the_gradients_that_d2l_gives_them():
    inputs = drawn({"n": 5}, dtype=torch.float64)
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    upstream = torch.randn(2, 5, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = (
        torch.autograd.grad(bound(name, inputs)(), inputs.differentiable, upstream) for name in ("torch-module", "d2l")
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_it_drops_weights_only_where_dropout_is_asked_for():
    torch.manual_seed(0)
    without, with_dropout = (bound("torch-module", drawn({"n": 5, "dropout": rate})) for rate in (0.0, 0.5))
    assert torch.equal(without(), without())
    assert not torch.equal(with_dropout(), with_dropout())
