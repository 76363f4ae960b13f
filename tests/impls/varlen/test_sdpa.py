"""SDPA is called once for each sequence that has tokens."""

from __future__ import annotations

import pytest
import torch

from impls.varlen import sdpa
from tests.support.packs import call, drawn, formula


@pytest.mark.parametrize("causal", [False, True])
def test_each_sequence_with_tokens_is_one_call(monkeypatch, causal):
    shapes = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def watched(q, k, v, **options):
        shapes.append(tuple(q.shape))
        return fused(q, k, v, **options)

    monkeypatch.setattr(sdpa, "scaled_dot_product_attention", watched)
    inputs = drawn({"lengths": [0, 3, 6, 0, 1], "heads": 4, "kv_heads": 2, "d": 8, "causal": causal})
    torch.testing.assert_close(call("sdpa", inputs), formula(inputs), rtol=1e-12, atol=1e-13)
    assert shapes == [(1, 4, 3, 8), (1, 4, 6, 8), (1, 4, 1, 8)]
