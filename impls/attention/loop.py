"""Attention as a naive Python loop over batch, heads and query rows; nothing n x n exists."""

from __future__ import annotations

import torch

from impls.registry import register


@register(
    problem="attention",
    name="loop",
    supports=("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward", "dirty_padding"),
    call_seconds_per_row=15e-6,
)
def loop(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute one row at a time: its scores are a vector of as many keys as the row may attend to."""
    batch, heads, n_q, d = q.shape
    n_k, group = k.shape[2], heads // k.shape[1]
    scale = d**-0.5 if scale is None else scale
    limits = None if valid_lens is None else valid_lens.reshape(batch, -1).tolist()
    rows = []
    for b in range(batch):
        for h in range(heads):
            keys, values = k[b, h // group], v[b, h // group]
            for i in range(n_q):
                limit = min(n_k, i + n_k - n_q + 1) if causal else n_k
                if limits is not None:
                    limit = min(limit, limits[b][i % len(limits[b])])
                limit = max(limit, 0)
                weights = (keys[:limit] @ (q[b, h, i] * scale)).softmax(-1)  # [limit]
                rows.append(weights @ values[:limit])
    return torch.stack(rows).reshape(batch, heads, n_q, -1)
