"""The steps of the d2l form one by one, so that each line of the complexity analysis is measured by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impls.multihead import steps
from impls.registry import register

if TYPE_CHECKING:
    import torch


@register(problem="multihead", name="phase/projections", fixes={"phase": "projections"}, supports=("odd_heads",))
def projections(
    x: torch.Tensor, w_q: torch.Tensor, w_k: torch.Tensor, w_v: torch.Tensor, *, heads: int
) -> tuple[torch.Tensor, ...]:
    """Project x [batch, n, width] to queries, keys and values, each [batch * heads, n, d]."""
    return tuple(steps.project(x, w, None, heads=heads) for w in (w_q, w_k, w_v))


@register(
    problem="multihead",
    name="phase/scores",
    fixes={"phase": "scores"},
    supports=("odd_heads",),
    expects=("bmm",),
    score_buffers=1.0,
)
def scores(q: torch.Tensor, k: torch.Tensor, *, heads: int) -> torch.Tensor:  # noqa: ARG001
    """Return the scaled dot products of folded q and k: [batch * heads, n, n]."""
    return steps.score(q, k)


@register(
    problem="multihead",
    name="phase/softmax",
    fixes={"phase": "softmax"},
    supports=("odd_heads",),
    expects=("softmax",),
    score_buffers=1.0,
)
def softmax(scores: torch.Tensor, *, heads: int) -> torch.Tensor:  # noqa: ARG001
    """Normalise [batch * heads, n, n] along the keys."""
    return steps.normalise(scores)


@register(
    problem="multihead",
    name="phase/weighted-sum",
    fixes={"phase": "weighted sum"},
    supports=("odd_heads",),
    expects=("bmm",),
)
def weighted_sum(weights: torch.Tensor, v: torch.Tensor, *, heads: int) -> torch.Tensor:  # noqa: ARG001
    """Weigh the values: [batch * heads, n, n] and [batch * heads, n, d] to [batch * heads, n, d]."""
    return steps.weigh(weights, v)


@register(problem="multihead", name="phase/output", fixes={"phase": "output"}, supports=("odd_heads",))
def output(out: torch.Tensor, w_o: torch.Tensor, *, heads: int) -> torch.Tensor:
    """Concatenate the heads of [batch * heads, n, d] and project: [batch, n, width]."""
    return steps.combine(out, w_o, None, heads=heads)
