"""FlashAttention-2 agrees where it is installed, and declines heads it has no kernel for."""

from __future__ import annotations

import pytest
import torch

from impls import discovery, registry
from impls.attention._masks import allowed
from impls.attention.cuda import flash_attn2
from tests.support.attending import called, drawn
from tests.support.libraries import failures_on_cuda

discovery.discover()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_agrees_on_first_contact(dtype):
    assert not failures_on_cuda("flash-attn-2", dtype)


def test_head_sizes_that_it_has_no_kernel_for_are_declined_before_anything_is_imported():
    with pytest.raises(NotImplementedError, match="head size must be at most 256"):
        called(registry.get("attention", "flash-attn-2").function, drawn({"n": 4, "d": 264}, dtype=torch.bfloat16))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1, 3])
def test_a_window_is_handed_on_as_its_documentation_counts_keys(monkeypatch, causal, window):
    def documented(q, k, v, *, causal, softmax_scale, window_size):
        own = torch.arange(q.shape[1])[:, None] + k.shape[1] - q.shape[1]
        keys, (left, right) = torch.arange(k.shape[1]), window_size
        inside = (keys <= own) if causal else torch.ones(q.shape[1], k.shape[1], dtype=torch.bool)
        inside &= (keys >= own - left) if left >= 0 else True
        inside &= (keys <= own + right) if right >= 0 else True
        expected = allowed(q.transpose(1, 2), k.transpose(1, 2), causal=causal, valid_lens=None, window=window)
        assert torch.equal(inside, torch.ones_like(inside) if expected is None else expected[0, 0])
        return q

    monkeypatch.setattr(flash_attn2, "load", lambda: documented)
    q, k = torch.randn(1, 2, 6, 8), torch.randn(1, 2, 9, 8)
    assert torch.equal(flash_attn2.flash_attn_2(q, k, k, causal=causal, window=window), q)
