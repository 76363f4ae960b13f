"""The kernel itself, which knows nothing of attnbench."""

from __future__ import annotations

import torch

# Queries whose scores exist at a time.
CHUNK = 64


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool = False, scale: float | None = None
) -> torch.Tensor:
    """Attend from q [batch, heads, n_q, d] to k, v [batch, heads, n_k, d], a chunk of queries at a time."""
    n_q, n_k, d = q.shape[2], k.shape[2], q.shape[3]
    scaled = q * (d**-0.5 if scale is None else scale)
    done = []
    for start in range(0, n_q, CHUNK):
        scores = scaled[:, :, start : start + CHUNK] @ k.mT  # [batch, heads, chunk, n_k]
        if causal:
            later = torch.ones(scores.shape[2], n_k, dtype=torch.bool, device=q.device).triu(start + n_k - n_q + 1)
            scores = scores.masked_fill(later, float("-inf"))
        done.append(scores.softmax(-1) @ v)
    return torch.cat(done, 2)
