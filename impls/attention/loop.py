"""Attention as a naive Python loop over batch, heads and query rows; nothing n x n exists."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from impls.attention._masks import adjusted
from impls.registry import register

if TYPE_CHECKING:
    from impls.contract import Row

# A tensor of its own beside its numbers: objects in C++ and Python, the allocator's words, places in two lists. It was
# measured under a cap, with temporaries that leave no holes in the heap.
TENSOR_BYTES = 650
# What PyTorch's allocator rounds blocks of a GPU to.
CUDA_BLOCK = 512


def row_bytes(row: Row) -> float:
    """Count the rows of the output before they are joined, each a tensor, which on a CPU fills the same memory."""
    numbers = row.width * row.itemsize
    return numbers + TENSOR_BYTES if row.device == "cpu" else math.ceil(numbers / CUDA_BLOCK) * CUDA_BLOCK


@register(
    problem="attention",
    name="loop",
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
    call_seconds_per_row=15e-6,
    row_bytes=row_bytes,
)
def loop(
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
                first, own = 0, i + n_k - n_q
                if window is not None:
                    first, limit = max(0, own - window + 1), min(limit, own + window)
                seen = slice(first, max(limit, first))
                added = None if bias is None else bias[b % len(bias), h, i, seen]
                scores = adjusted(keys[seen] @ (q[b, h, i] * scale), softcap=softcap, bias=added)  # as many as are seen
                rows.append(scores.softmax(-1) @ values[seen])
    return torch.stack(rows).reshape(batch, heads, n_q, -1)
