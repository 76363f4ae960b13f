"""Bounds on the rounding errors of pooling's gradients, by running error analysis of its backward."""

from __future__ import annotations

import torch

from impls.numerics.bounded import Bounded

# A weight whose distance is within so many units of a kernel's edge may fall on either side of it.
EDGE_UNITS = 4


def values_gradient(weights: Bounded, upstream: Bounded) -> Bounded:
    """Return the gradient of the values, [n_k], from weights [n_q, n_k] and upstream [n_q]."""
    column = upstream.moved(lambda g: g.unsqueeze(-1))
    turned = weights.moved(lambda tensor: tensor.mT)
    return turned.product(column, own=weights.unit.store).moved(lambda gradient: gradient.squeeze(-1))


def gaussian_scale_gradient(scaled: Distances, weights: Bounded, values: Bounded, upstream: Bounded) -> Bounded:
    """Return the gradient of w where weights are softmax(-u^2 / 2)."""
    d_weights, mean = _weight_gradients(weights, values, upstream)
    slopes = (scaled.u * scaled.distance).scaled(-1.0)
    return _sum(weights.softmax_gradient(d_weights, mean) * slopes)


def epanechnikov_scale_gradient(scaled: Distances, weights: Bounded, values: Bounded, upstream: Bounded) -> Bounded:
    """Return the gradient of w where weights are heights 1 - u^2, none below 0, over their sum."""
    d_weights, mean = _weight_gradients(weights, values, upstream)
    size = d_weights.value.abs() + mean.value.abs()
    moved = d_weights - mean
    moved = Bounded(moved.value, moved.error + 4 * moved.unit.store * size, moved.unit)
    slopes = (scaled.u * scaled.distance).scaled(-2.0)
    inside = scaled.u.value.abs() <= 1
    edge = (scaled.u.value.abs() - 1).abs() <= EDGE_UNITS * scaled.u.unit.store
    error = torch.where(edge, slopes.error + slopes.value.abs(), slopes.error.masked_fill(~inside, 0.0))
    slopes = Bounded(slopes.value.masked_fill(~inside, 0.0), error, slopes.unit)
    return _sum(moved * _inverse_total(scaled.u) * slopes)


class Distances:
    """How far queries lie from keys, [n_q, n_k]: plain, and scaled by w."""

    def __init__(self, queries: Bounded, keys: Bounded, w: Bounded) -> None:
        self.distance = queries.moved(lambda x: x.unsqueeze(-1)) - keys
        self.u = self.distance * w


def _weight_gradients(weights: Bounded, values: Bounded, upstream: Bounded) -> tuple[Bounded, Bounded]:
    """Return the gradients of the weights, and their mean over them, by weights or by predictions."""
    d_weights = upstream.moved(lambda g: g.unsqueeze(-1)) * values
    return d_weights, (weights * d_weights).total(-1, keepdim=True)


def _inverse_total(u: Bounded) -> Bounded:
    """Return one over the sum of heights 1 - u^2 of each query, one where no key is in reach."""
    heights = (1 - u.value.square()).clamp(min=0)
    error = (2 * u.value.abs() * u.error + 2 * u.unit.store * (1 + u.value.square())) * (u.value.abs() <= 1)
    total = Bounded(heights, error, u.unit).total(-1, keepdim=True)
    safe = total.value.masked_fill(total.value == 0, 1.0)
    return Bounded(1 / safe, total.error / safe.square(), u.unit).rounded()


def _sum(terms: Bounded) -> Bounded:
    return terms.total(-1, own=terms.unit.store, terms=terms.value.numel()).total(-1, own=terms.unit.store)
