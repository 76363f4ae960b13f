"""Padding to the longest costs one call of its square for each sequence, and no padded key has a say."""

from __future__ import annotations

import pytest
import torch

from impls.varlen import padded
from tests.support.packs import call, drawn, formula


@pytest.mark.parametrize("causal", [False, True])
def test_one_call_of_the_longest_gives_the_formula_and_a_mask_only_where_padding_can_be_seen(monkeypatch, causal):
    seen = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def watched(q, k, v, *, attn_mask, **options):
        seen.append((tuple(q.shape), None if attn_mask is None else tuple(attn_mask.shape)))
        return fused(q, k, v, attn_mask=attn_mask, **options)

    monkeypatch.setattr(padded, "scaled_dot_product_attention", watched)
    inputs = drawn({"lengths": [0, 3, 6, 0, 1], "heads": 4, "kv_heads": 2, "d": 8, "causal": causal})
    torch.testing.assert_close(call("padded", inputs), formula(inputs), rtol=1e-12, atol=1e-13)
    assert seen == [((5, 4, 6, 8), None if causal else (5, 1, 1, 6))]
