"""Bounds on the rounding errors of a multi-head module's gradients, by running error analysis of its backward."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from impls.numerics.bounded import Bounded

if TYPE_CHECKING:
    from impls.multihead.steps import Weights
    from impls.numerics.errors import Units


def bounded_gradients(
    sources: list[torch.Tensor],
    weights: Weights,
    upstream: torch.Tensor,
    *,
    heads: int,
    mask: torch.Tensor,
    unit: Units,
    terms: int,
) -> dict[str, Bounded]:
    """Return every gradient of one batch element with its error: x_q, x_k, x_v, the weights and the biases there are.

    x_q [rows, size], x_k and x_v [n_k, size], upstream [rows, width], all float64; mask [rows, n_k]. `terms` are the
    roundings of a sum over all rows or keys of all batch elements; each may be stored, as in a loop over rows.
    """
    x_q, x_k, x_v, w_q, w_k, w_v, w_o, g = (
        Bounded.exact(tensor, unit) for tensor in (*sources, *weights[:4], upstream)
    )
    biases = [None if b is None else Bounded.exact(b, unit) for b in (weights.b_q, weights.b_k, weights.b_v)]
    q, k, v = (
        _split(_affine(x, w, b), heads) for x, w, b in zip((x_q, x_k, x_v), (w_q, w_k, w_v), biases, strict=True)
    )
    scale = q.value.shape[-1] ** -0.5
    # Either the queries are scaled and stored, or the scores.
    scores = (q.rounded() @ _turned(k)).scaled(scale).rounded()  # [heads, rows, n_k]
    attention = scores.softmax(mask)
    out = attention @ v  # [heads, rows, d]

    d_joined = g @ w_o
    d_out = _split(d_joined, heads)
    d_attention = d_out @ _turned(v)
    # The mean of dweights over the weights, or by FlashAttention-2 over the output's features.
    mean = (attention * d_attention).total(-1, keepdim=True).or_else((d_out * out).total(-1, keepdim=True))
    d_scores = attention.softmax_gradient(d_attention, mean).scaled(scale).rounded()

    def over_rows(a: Bounded, b: Bounded) -> Bounded:
        return _turned(a).product(b, own=unit.store, terms=terms)

    d_q = _joined((d_scores @ k).rounded(2))
    d_k = _joined(over_rows(d_scores, q).rounded(2))
    d_v = _joined(over_rows(attention, d_out).rounded(2))
    found = {
        # Where inputs are one tensor, their gradients are added up.
        **{name: (d @ w).rounded(2) for name, d, w in (("x_q", d_q, w_q), ("x_k", d_k, w_k), ("x_v", d_v, w_v))},
        "w_q": over_rows(d_q, x_q),
        "w_k": over_rows(d_k, x_k),
        "w_v": over_rows(d_v, x_v),
        "w_o": over_rows(g, _joined(out)),
    }
    if weights.b_q is not None:
        for name, gradient in (("b_q", d_q), ("b_k", d_k), ("b_v", d_v), ("b_o", g)):
            found[name] = gradient.total(0, own=unit.store, terms=terms)
    return found


def fused_gradients(
    sources: list[torch.Tensor],
    weights: Weights,
    upstream: torch.Tensor,
    *,
    heads: int,
    mask: torch.Tensor,
    unit: Units,
    seed: int,
) -> dict[str, torch.Tensor]:
    """Differentiate in float64 with errors, drawn, that fused kernels commit and a plain backward may not.

    Weights come from a rounded log-sum-exp, so that a row's don't quite sum to one; the difference of score gradients
    from their mean leaves what cancels of either's rounding, even where it is exactly zero; results are stored.
    Arguments and names are those of `bounded_gradients`.
    """
    generator = torch.Generator(device=upstream.device).manual_seed(seed)

    def drawn(sizes: torch.Tensor, rounding: float = unit.accumulate) -> torch.Tensor:
        noise = torch.randn(sizes.shape, generator=generator, dtype=sizes.dtype, device=sizes.device)
        return noise * sizes * (rounding / math.sqrt(3.0))

    x_q, x_k, x_v, w_q, w_k, w_v, w_o = *sources, *weights[:4]
    biases = (weights.b_q, weights.b_k, weights.b_v)
    q, k, v = (
        _heads(x @ w.mT if b is None else x @ w.mT + b, heads)
        for x, w, b in zip(sources, (w_q, w_k, w_v), biases, strict=True)
    )
    scale = q.shape[-1] ** -0.5
    scores = ((q @ k.mT) * scale).masked_fill(~mask, -math.inf)
    top = scores.logsumexp(-1, keepdim=True)
    top = top.masked_fill(top == -math.inf, 0.0)
    attention = torch.exp(scores - top)
    d_out = _heads(upstream @ w_o, heads)
    d_attention = d_out @ v.mT
    mean = (d_out * (attention @ v)).sum(-1, keepdim=True)
    cancelled = attention * drawn(d_attention.abs() + mean.abs())
    attention = attention * (1 + drawn(top.abs() + 1))
    d_scores = (attention * (d_attention - mean) + cancelled) * scale
    d_q, d_k, d_v = (x.transpose(0, 1).flatten(1) for x in (d_scores @ k, d_scores.mT @ q, attention.mT @ d_out))
    joined = (attention @ v).transpose(0, 1).flatten(1)
    found = {"x_q": d_q @ w_q, "x_k": d_k @ w_k, "x_v": d_v @ w_v}
    found |= {"w_q": d_q.mT @ x_q, "w_k": d_k.mT @ x_k, "w_v": d_v.mT @ x_v, "w_o": upstream.mT @ joined}
    if weights.b_q is not None:
        found |= {"b_q": d_q.sum(0), "b_k": d_k.sum(0), "b_v": d_v.sum(0), "b_o": upstream.sum(0)}
    return {name: gradient + drawn(gradient, unit.store) for name, gradient in found.items()}


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.reshape(x.shape[0], heads, -1).transpose(0, 1)


def _affine(x: Bounded, w: Bounded, b: Bounded | None) -> Bounded:
    product = x @ _turned(w)
    return product if b is None else product + b


def _split(x: Bounded, heads: int) -> Bounded:
    """View [n, width] as [heads, n, width / heads]."""
    return x.moved(lambda tensor: tensor.reshape(tensor.shape[0], heads, -1).transpose(0, 1))


def _joined(x: Bounded) -> Bounded:
    """View [heads, n, d] as [n, width]."""
    return x.moved(lambda tensor: tensor.transpose(0, 1).flatten(1))


def _turned(x: Bounded) -> Bounded:
    return x.moved(lambda tensor: tensor.mT)
