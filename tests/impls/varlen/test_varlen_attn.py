"""PyTorch's own varlen is declared for CUDA, untried; what it is given is what its documentation asks for."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.varlen.varlen_attn import varlen_attn
from tests.support.packs import drawn


def test_it_is_for_cuda_alone_on_request_and_untried():
    entry = registry.get("varlen", "varlen-attn")
    assert entry.limits_on("cpu") is None
    assert (entry.on_request, entry.limits_on("cuda").untried) == (True, True)


@pytest.mark.parametrize("causal", [False, True])
def test_causal_is_a_window_that_ends_at_the_query(monkeypatch, causal):
    from torch.nn.attention import varlen

    given = {}

    def watched(q, k, v, cu_q, cu_k, max_q, max_k, **options):
        given.update(options, borders=(cu_q.tolist(), cu_k.tolist(), max_q, max_k))
        return torch.zeros_like(q)

    monkeypatch.setattr(varlen, "varlen_attn", watched)
    inputs = drawn({"lengths": [3, 0, 5], "heads": 4, "kv_heads": 2, "d": 8, "causal": causal, "scale": 0.5})
    varlen_attn(inputs.q, inputs.k, inputs.v, **inputs.options)
    assert given == {
        "borders": ([0, 3, 3, 8], [0, 3, 3, 8], 5, 5),
        "scale": 0.5,
        "window_size": (-1, 0) if causal else (-1, -1),
        "enable_gqa": True,
    }


def test_head_sizes_that_its_kernels_lack_are_declined():
    inputs = drawn({"lengths": [3], "d": 20})
    with pytest.raises(NotImplementedError, match="multiple of 8, at most 256, not 20"):
        varlen_attn(inputs.q, inputs.k, inputs.v, **inputs.options)
