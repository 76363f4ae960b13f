"""The steps of multi-head attention in d2l's manner: heads folded into the batch axis, products batched.

Dive into Deep Learning, chapter "Multi-Head Attention"; Vaswani et al., arXiv 1706.03762, section 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional


class Weights(NamedTuple):
    """The projections, each as `nn.Linear` keeps it: [width, size of its input]; biases [width] or None."""

    w_q: torch.Tensor
    w_k: torch.Tensor
    w_v: torch.Tensor
    w_o: torch.Tensor
    b_q: torch.Tensor | None = None
    b_k: torch.Tensor | None = None
    b_v: torch.Tensor | None = None
    b_o: torch.Tensor | None = None


def fold(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Move heads into the batch axis: [batch, n, width] to [batch * heads, n, width / heads]."""
    batch, n, width = x.shape
    return x.reshape(batch, n, heads, -1).transpose(1, 2).reshape(batch * heads, n, width // heads)


def unfold(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Undo `fold`: [batch * heads, n, width / heads] to [batch, n, width]."""
    folded, n, d = x.shape
    return x.reshape(folded // heads, heads, n, d).transpose(1, 2).reshape(folded // heads, n, heads * d)


def project(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, *, heads: int) -> torch.Tensor:
    """Project [batch, n, size] and fold the heads: [batch * heads, n, width / heads]."""
    return fold(functional.linear(x, w, b), heads)


def score(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Return scaled dot products, [batch * heads, n_q, n_k]; scaling the queries spares a pass over the scores."""
    return torch.bmm(q * q.shape[-1] ** -0.5, k.mT)


def normalise(scores: torch.Tensor, lens: torch.Tensor | None = None) -> torch.Tensor:
    """Return softmax over the leading keys that folded lengths allow; overwrites the scores, averages where none is."""
    if lens is not None:
        beyond = torch.arange(scores.shape[-1], device=scores.device) >= lens
        scores = scores.masked_fill_(beyond, torch.finfo(scores.dtype).min)
    return scores.softmax(-1)


def weigh(weights: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return weighted sums of values, [batch * heads, n_q, width / heads]."""
    return torch.bmm(weights, v)


def combine(out: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, *, heads: int) -> torch.Tensor:
    """Concatenate the heads and project: [batch * heads, n_q, width / heads] to [batch, n_q, width]."""
    return functional.linear(unfold(out, heads), w, b)


def folded_lengths(valid_lens: torch.Tensor, heads: int) -> torch.Tensor:
    """Give each head the lengths of its batch element: [batch] or [batch, n_q] to [batch * heads, 1 or n_q, 1]."""
    return valid_lens.reshape(valid_lens.shape[0], -1, 1).repeat_interleave(heads, dim=0)
