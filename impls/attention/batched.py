"""Attention as d2l writes it: heads folded into the batch axis, two batched matrix products around a softmax."""

from __future__ import annotations

import torch

from impls.attention._masks import adjusted, allowed, repeat_heads, softmax
from impls.registry import register


@register(
    problem="attention",
    name="batched",
    supports=("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward", "window", "softcap", "bias"),
    expects=("bmm",),
    score_buffers=2.0,
    masked_buffers=1.0,
    changed_buffers=1.0,
)
def batched(
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
    """Fold heads into the batch, materialise the scores, unfold."""
    batch, heads, n_q, d = q.shape
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens, window=window)
    k, v = repeat_heads(k, heads), repeat_heads(v, heads)
    scaled = q.reshape(batch * heads, n_q, d) * (d**-0.5 if scale is None else scale)
    scores = torch.bmm(scaled, k.reshape(batch * heads, -1, d).mT)  # [batch * heads, n_q, n_k]
    weights = softmax(adjusted(scores.reshape(batch, heads, n_q, -1), softcap=softcap, bias=bias), mask)
    out = torch.bmm(weights.reshape(batch * heads, n_q, -1), v.reshape(batch * heads, -1, v.shape[-1]))
    return out.reshape(batch, heads, n_q, -1)
