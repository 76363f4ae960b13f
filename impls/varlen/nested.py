"""Packed sequences as PyTorch's nested tensors, of the jagged layout, in one call of SDPA."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from impls.registry import register


@register(
    problem="varlen",
    name="nested",
    devices=("cpu",),
    # Grouped heads and causal have no kernel on a CPU.
    supports=("d_v", "backward"),
    deterministic=False,
    on_request=True,
    score_buffers=2.0,
)
@register(
    problem="varlen",
    name="nested",
    devices=("cuda",),
    dtypes=("bfloat16", "float16"),
    supports=("causal", "backward"),
    deterministic=False,
    on_request=True,
    untried=True,
)
def nested(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,
    causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """Wrap the pack as [sequences, heads, jagged, d] without a copy, and return the values of the result."""
    offsets, shortest = cu_seqlens.long(), int(cu_seqlens.diff().amin())
    # PyTorch leaves an attribute at the tensors that it wraps: views, so that inputs stay as they are.
    queries, keys, values = (
        torch.nested.nested_tensor_from_jagged(
            x.view_as(x), offsets, min_seqlen=shortest, max_seqlen=max_seqlen
        ).transpose(1, 2)
        for x in (q, k, v)
    )
    out = scaled_dot_product_attention(
        queries, keys, values, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )
    packed: torch.Tensor = out.transpose(1, 2).values()
    return packed
