"""Attention as the textbook formula: softmax(q k^T / sqrt(d)) v, written with einsum."""

from __future__ import annotations

import torch

from impls.attention._masks import adjusted, allowed, repeat_heads, softmax
from impls.registry import register


@register(
    problem="attention",
    name="einsum",
    supports=("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward", "window", "softcap", "bias"),
    expects=("bmm",),
    score_buffers=2.0,
    masked_buffers=1.0,
    changed_buffers=1.0,
)
def einsum(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
    window: int | None = None,
    softcap: float | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Materialise scores and weights, each [batch, heads, n_q, n_k]."""
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens, window=window)
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    # Queries are scaled, not scores: a product of float16 may pass 65504 before it is scaled.
    scores = torch.einsum("bhqd,bhkd->bhqk", q * (q.shape[-1] ** -0.5 if scale is None else scale), k)
    weights = softmax(adjusted(scores, softcap=softcap, bias=bias), mask)
    return torch.einsum("bhqk,bhkd->bhqd", weights, v)
