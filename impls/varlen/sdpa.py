"""Packed sequences one after another, each by a call of PyTorch's scaled_dot_product_attention."""

from __future__ import annotations

import itertools

import torch
from torch.nn.functional import scaled_dot_product_attention

from impls.registry import register


@register(problem="varlen", name="sdpa", supports=("causal", "gqa", "d_v", "backward"), deterministic=False)
def sdpa(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,  # noqa: ARG001
    causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """Call SDPA on views of each sequence that has tokens, and join the outputs [tokens, heads, d_v]."""
    edges = cu_seqlens.tolist()
    outs = []
    for begin, end in itertools.pairwise(edges):
        if begin == end:
            continue
        queries, keys, values = (x[begin:end].transpose(0, 1).unsqueeze(0) for x in (q, k, v))  # [1, heads, length, d]
        out = scaled_dot_product_attention(
            queries, keys, values, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        outs.append(out.squeeze(0).transpose(0, 1))
    return torch.cat(outs)
