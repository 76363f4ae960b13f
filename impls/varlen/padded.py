"""Packed sequences padded to a batch of the longest, attended to by one call, and packed again."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from impls.registry import register


@register(
    problem="varlen",
    name="padded",
    supports=("causal", "gqa", "d_v", "backward"),
    deterministic=False,
    writes_mask=True,
)
def padded(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,
    causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """Call SDPA on [sequences, heads, max_seqlen, d]: its work is the square of the longest for each sequence.

    Padding stands behind the tokens, where a causal mask hides it; else a mask of keys does.
    """
    is_token = torch.arange(max_seqlen, device=q.device) < cu_seqlens.diff().unsqueeze(-1)  # [sequences, max_seqlen]
    queries, keys, values = (_pad(x, is_token).transpose(1, 2) for x in (q, k, v))
    out = scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=None if causal else is_token[:, None, None],
        is_causal=causal,
        scale=scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )
    return out.transpose(1, 2)[is_token]


def _pad(packed: torch.Tensor, is_token: torch.Tensor) -> torch.Tensor:
    """Spread [tokens, heads, d] over [sequences, max_seqlen, heads, d], zeros behind the tokens."""
    spread = packed.new_zeros(*is_token.shape, *packed.shape[1:])
    return spread.masked_scatter(is_token[..., None, None], packed)
