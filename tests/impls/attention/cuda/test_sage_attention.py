"""SageAttention is approximate where it is installed, and declines what is not documented."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch

from impls import discovery, registry
from impls.attention.cuda import sage_attention
from tests.support.attending import called, drawn
from tests.support.libraries import failures_on_cuda

discovery.discover()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_agrees_on_first_contact(dtype):
    assert not failures_on_cuda("sageattention", dtype)


def test_it_is_approximate_and_declines_a_causal_rectangle():
    entry = registry.get("attention", "sageattention")
    assert entry.approximate
    with pytest.raises(NotImplementedError, match="as many queries as keys"):
        called(entry.function, drawn({"n_q": 3, "n_k": 5, "d": 8, "causal": True}, dtype=torch.bfloat16))


def test_of_version_1_the_caller_s_keys_stay_and_sizes_without_a_kernel_are_declined(monkeypatch):
    package, asked = ModuleType("sageattention"), []

    def sageattn(q, k, v, *, tensor_layout, is_causal, sm_scale, smooth_k):
        assert q.shape[-1] in (64, 96, 128)
        asked.append((k, smooth_k))
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=is_causal, scale=sm_scale)

    package.sageattn = sageattn
    monkeypatch.setitem(sys.modules, "sageattention", package)
    inputs = drawn({"n_q": 5, "n_k": 5, "d": 64}, dtype=torch.float32)
    before = inputs.tensors[1].clone()
    out = called(registry.get("attention", "sageattention").function, inputs)
    torch.testing.assert_close(out, torch.nn.functional.scaled_dot_product_attention(*inputs.tensors[:3]))
    ((keys, smooths),) = asked
    assert torch.equal(inputs.tensors[1], before)
    assert not smooths
    assert keys.mean(dim=2).abs().max() < 1e-6
    few = torch.zeros(1, 1, 3, 80)
    with pytest.raises(NotImplementedError, match="64, 96, 128 for version 1, not 80"):
        sage_attention.load()(few, few, few)
    strided = torch.zeros(1, 1, 64, 3).transpose(2, 3)
    with pytest.raises(NotImplementedError, match="one after another"):
        sage_attention.load()(strided, strided, strided)
