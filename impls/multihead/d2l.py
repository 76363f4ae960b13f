"""Multi-head attention as d2l writes it, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from impls.multihead import steps
from impls.registry import register

if TYPE_CHECKING:
    import torch


@register(
    problem="multihead",
    name="d2l",
    supports=("valid_lens", "dead_rows", "backward", "dropout", "cross_attention", "query_size", "odd_heads"),
    expects=("bmm",),
    score_buffers=2.0,
)
def d2l(
    x_q: torch.Tensor,
    x_k: torch.Tensor,
    x_v: torch.Tensor,
    weights: steps.Weights,
    *,
    heads: int,
    valid_lens: torch.Tensor | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Project and fold, score, normalise, drop, weigh, unfold and project."""
    q = steps.project(x_q, weights.w_q, weights.b_q, heads=heads)  # [batch * heads, n_q, d]
    k = steps.project(x_k, weights.w_k, weights.b_k, heads=heads)
    v = steps.project(x_v, weights.w_v, weights.b_v, heads=heads)
    lens = None if valid_lens is None else steps.folded_lengths(valid_lens, heads)
    attention = steps.normalise(steps.score(q, k), lens)  # [batch * heads, n_q, n_k]
    if dropout:
        attention = functional.dropout(attention, dropout)
    out = steps.weigh(attention, v)
    if lens is not None:
        out = out.masked_fill(lens == 0, 0.0)
    return steps.combine(out, weights.w_o, weights.b_o, heads=heads)
