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
