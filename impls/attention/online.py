"""Attention with an online softmax over key blocks: the flash algorithm made readable, O(n) memory.

Milakov and Gimelshein, arXiv 1805.02867, section 3; Dao et al., arXiv 2205.14135, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from impls.attention._masks import adjusted, repeat_heads, without_padding
from impls.registry import register

if TYPE_CHECKING:
    from impls.contract import Row

# Keys a step: [n_q, 128] scores stay in a core's cache at the head sizes that are swept.
BLOCK = 128


def row_bytes(row: Row, *, block: int = BLOCK) -> float:
    """Count a row's scaled query, sums and products of one step in float32: as scores and as outputs are made.

    Weights are made of scores and of their difference to the maximum, beside those of the step before.
    """
    first = min(block, row.keys)
    second = min(block, row.keys - first)
    return 20 + max(4 * row.width + max(12 * first, 4 * first + 12 * second), 16 * row.width + 8 * first)


@register(
    problem="attention",
    name="online",
    supports=(
        "causal",
        "valid_lens",
        "gqa",
        "d_v",
        "dead_rows",
        "backward",
        "window",
        "softcap",
        "bias",
        "dirty_padding",
    ),
    expects=("bmm",),
    row_bytes=row_bytes,
    options={"block": (32, 64, 256, 512)},
)
def online(
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
    block: int = BLOCK,
) -> torch.Tensor:
    """Visit the keys block by block, keeping a running maximum, sum and output for each row, in float32 or wider."""
    batch, heads, n_q, d = q.shape
    n_k = k.shape[2]
    if valid_lens is not None:
        k, v = without_padding(k, valid_lens), without_padding(v, valid_lens)
    wide = torch.promote_types(q.dtype, torch.float32)
    scaled = q.to(wide) * (d**-0.5 if scale is None else scale)
    limits = key_limits(q, n_k, causal=causal, valid_lens=valid_lens)  # broadcastable to [batch, heads, n_q, 1]
    top = torch.full((batch, heads, n_q, 1), float("-inf"), dtype=wide, device=q.device)
    total = torch.zeros_like(top)
    out = torch.zeros((batch, heads, n_q, v.shape[-1]), dtype=wide, device=q.device)
    for start in range(0, n_k, block):
        keys = repeat_heads(k[:, :, start : start + block], heads).to(wide)
        values = repeat_heads(v[:, :, start : start + block], heads).to(wide)
        added = None if bias is None else bias[..., start : start + block].to(wide)
        scores = adjusted(scaled @ keys.mT, softcap=softcap, bias=added)  # [batch, heads, n_q, block]
        indices = torch.arange(start, start + keys.shape[2], device=q.device)
        if limits is not None:
            scores = scores.masked_fill(indices >= limits, float("-inf"))
        if window is not None:
            away = indices - torch.arange(n_k - n_q, n_k, device=q.device).unsqueeze(-1)  # [n_q, block]
            scores = scores.masked_fill(away.abs() >= window, float("-inf"))
        # The output doesn't depend on the base; differentiating through it would add rounding errors that cancel.
        higher = torch.maximum(top, scores.detach().amax(-1, keepdim=True))
        # A row that has met no key yet has maximum -inf; exp(-inf - 0) keeps its weights at zero.
        base = higher.masked_fill(higher == float("-inf"), 0.0)
        weights = torch.exp(scores - base)
        shrink = torch.exp(top - base)
        total = total * shrink + weights.sum(-1, keepdim=True)
        out = out * shrink + weights @ values
        top = higher
    return (out / total.masked_fill(total == 0.0, 1.0)).to(q.dtype)


def key_limits(q: torch.Tensor, n_k: int, *, causal: bool, valid_lens: torch.Tensor | None) -> torch.Tensor | None:
    """Return how many leading keys each row may attend to, or None for all."""
    limits = None
    n_q = q.shape[2]
    if causal:
        limits = (torch.arange(n_q, device=q.device) + n_k - n_q + 1).reshape(1, 1, n_q, 1)
    if valid_lens is not None:
        lens = valid_lens.reshape(valid_lens.shape[0], 1, -1, 1)
        limits = lens if limits is None else torch.minimum(limits, lens)
    return limits
