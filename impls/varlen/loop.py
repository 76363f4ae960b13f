"""Packed sequences one after another, each by the textbook formula: two products around a softmax."""

from __future__ import annotations

import itertools

import torch

from impls.registry import register


@register(problem="varlen", name="loop", supports=("causal", "gqa", "d_v", "backward"), score_buffers=2.0)
def loop(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,  # noqa: ARG001
    causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """Attend within each sequence, and join the outputs [tokens, heads, d_v]."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    edges = cu_seqlens.tolist()
    outs = []
    for begin, end in itertools.pairwise(edges):
        queries, keys, values = (x[begin:end].transpose(0, 1) for x in (q, k, v))  # [heads, length, d]
        scores = (queries * scale) @ keys.mT
        if causal:
            later = torch.ones(end - begin, end - begin, dtype=torch.bool, device=q.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        outs.append((scores.softmax(-1) @ values).transpose(0, 1))
    return torch.cat(outs)
