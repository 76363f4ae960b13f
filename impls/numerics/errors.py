"""The arithmetic of the gate of `attention`, for some rows of some heads: oracle, plain references, error bounds.

Shapes everywhere, behind an axis of heads: q [rows, d], k [n_k, d], v [n_k, d_v], mask [rows, n_k] true where allowed,
upstream and out [rows, d_v]. Bounds are first-order error analyses in the probabilistic form of Higham and Mary (SIAM
J. Sci. Comput. 41, 2019): independent rounding errors add in root mean square, and a sum of m terms errs by lambda *
sqrt(m) * unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import torch

from impls.numerics.precision import tf32_allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

# A number for all heads, or one for each, [heads, 1, 1].
Size = TypeVar("Size", float, torch.Tensor)

# Unit roundoff of float32, in which fused kernels accumulate whatever the input dtype.
UNIT_FLOAT32 = 2.0**-24
# Inputs of a float32 product that runs in TF32 keep ten bits after the point.
UNIT_TF32 = 2.0**-11
# Stored numbers below these may become zero: kernels may flush what is below the smallest normal number, and float16,
# whose denormals are kept, ends at 2^-24. Squares in the float64 bounds themselves underflow below 2^-500.
FLUSH = {torch.float32: 2.0**-126, torch.float64: 2.0**-500, torch.bfloat16: 2.0**-126, torch.float16: 2.0**-24}
# Terms of float32 sums may be flushed too.
FLUSH_FLOAT32 = 2.0**-126
# Terms of a sum over rows that are worked out at once, before they are added one row after another: 1 MiB of float32.
ADDED_ELEMENTS = 2**18
# Four standard deviations: Higham and Mary's lambda, for a failure probability below 1e-3 a sum at worst-case signs.
LAMBDA = 4.0


@dataclass(frozen=True)
class Head:
    """Some query rows of some heads with all their keys."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    mask: torch.Tensor
    scale: float
    softcap: float | None = None
    bias: torch.Tensor | None = None

    def to(self, dtype: torch.dtype) -> Head:
        """Convert the tensors."""
        bias = None if self.bias is None else self.bias.to(dtype)
        return replace(self, q=self.q.to(dtype), k=self.k.to(dtype), v=self.v.to(dtype), bias=bias)

    def __getitem__(self, rows: slice) -> Head:
        bias = None if self.bias is None else self.bias[..., rows, :]
        return replace(self, q=self.q[..., rows, :], mask=self.mask[..., rows, :], bias=bias)

    def adjusted(self, scores: torch.Tensor) -> torch.Tensor:
        """Cap scaled scores and add the bias, in the scores' dtype."""
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        return scores if self.bias is None else scores + self.bias.to(scores.dtype)

    def slope(self, scores: torch.Tensor) -> float | torch.Tensor:
        """Return what the cap multiplies gradients by, for scaled scores: 1 without one."""
        return 1.0 if self.softcap is None else 1.0 - torch.tanh(scores / self.softcap).square()


@dataclass(frozen=True)
class Weights:
    """Softmax weights [heads, rows, n_k] in float64, with a bound on their relative error and its mean over a row."""

    weights: torch.Tensor
    scores: torch.Tensor
    top: torch.Tensor
    relative: torch.Tensor
    mean_error: torch.Tensor
    slope: float | torch.Tensor
    slope_error: float | torch.Tensor


@dataclass(frozen=True)
class Units:
    """Unit roundoffs, and thresholds of flushing, of stored values and of terms of sums."""

    store: float
    accumulate: float
    flush: float
    flush_terms: float


def units(dtype: torch.dtype, device: torch.device) -> Units:
    """Return what a dtype rounds to; on CUDA, float32 products run in TF32 where the process allows it."""
    store = torch.finfo(dtype).eps / 2
    flush, flush_terms = FLUSH[dtype], min(FLUSH[dtype], FLUSH_FLOAT32)
    tf32 = dtype == torch.float32 and device.type == "cuda" and tf32_allowed()
    if tf32:
        return Units(store=UNIT_TF32, accumulate=UNIT_TF32, flush=flush, flush_terms=flush_terms)
    return Units(store=store, accumulate=min(UNIT_FLOAT32, store), flush=flush, flush_terms=flush_terms)


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Multiply matrices, 16-bit ones with float32 sums rounded once, as matrix units do."""
    if a.dtype in (torch.float16, torch.bfloat16):
        return (a.float() @ b.float()).to(a.dtype)
    return a @ b


def softmax(head: Head, *, scale_first: bool = False) -> torch.Tensor:
    """Weigh the allowed keys by the softmax of scores, all in the inputs' dtype; dead rows give zeros.

    `scale_first` scales the queries, not the scores, as torch.nn.MultiheadAttention does: each element rounds.
    """
    return _weighed(head, _scaled(head, scale_first=scale_first))


def _weighed(head: Head, scaled: torch.Tensor) -> torch.Tensor:
    """Weigh the allowed keys by the softmax of scaled scores."""
    scores = head.adjusted(scaled).masked_fill(~head.mask, -math.inf)
    top = scores.amax(-1, keepdim=True)
    weights = torch.exp(scores - top.masked_fill(top == -math.inf, 0.0))
    total = weights.sum(-1, keepdim=True)
    return weights / total.masked_fill(total == 0.0, 1.0)


def _scaled_either_way(head: Head) -> torch.Tensor:
    """Return scores scaled after the product and before it, [2, heads, rows, n_k]."""
    return torch.stack([_scaled(head, scale_first=scale_first) for scale_first in (False, True)])


def _scaled(head: Head, *, scale_first: bool) -> torch.Tensor:
    return product(head.q * head.scale, head.k.mT) if scale_first else product(head.q, head.k.mT) * head.scale


def plain(head: Head, *, scale_first: bool = False) -> torch.Tensor:
    """Compute attention as the formula says, every intermediate in the inputs' dtype."""
    return product(softmax(head, scale_first=scale_first), head.v)


def plain_either_way(head: Head) -> torch.Tensor:
    """Compute `plain` with scores scaled and with queries scaled, [2, heads, rows, d_v]."""
    return product(_weighed(head, _scaled_either_way(head)), head.v)


def weights_error(head: Head, unit: Units) -> Weights:
    """Bound the relative error of the weights, from score product, scale, exponential and normalisation.

    `head` is float64. `unit.store` applies to scores and weights, as in kernels that materialise them.
    """
    raw = (head.q @ head.k.mT) * head.scale
    scores = head.adjusted(raw)
    magnitude = (head.q.abs() @ head.k.abs().mT) * abs(head.scale)
    allowed = scores.masked_fill(~head.mask, -math.inf)
    top = allowed.amax(-1, keepdim=True)
    top = top.masked_fill(top == -math.inf, 0.0)
    weights = torch.exp(allowed - top)
    total = weights.sum(-1, keepdim=True)
    weights = weights / total.masked_fill(total == 0.0, 1.0)
    terms = head.q.shape[-1] + 2
    # Queries may be scaled first: each rounds by a uniform error, of standard deviation unit / sqrt(3).
    rounded = (head.q.square() @ head.k.square().mT).sqrt() * abs(head.scale) * (LAMBDA * unit.store / math.sqrt(3.0))
    score_error = LAMBDA * math.sqrt(terms) * unit.accumulate * magnitude + 2 * unit.store * raw.abs() + rounded
    slope, slope_error = head.slope(raw), 0.0 if head.softcap is None else _slope_errors(head, raw, score_error, unit)
    if head.softcap is not None:
        # The slope is no steeper than where the error may have taken the score; quotient, tanh and product round.
        steepest = head.slope((raw.abs() - score_error).clamp(min=0.0))
        score_error = steepest * score_error + 4 * unit.store * (scores if head.bias is None else raw).abs().clamp(
            max=head.softcap
        )
    if head.bias is not None:
        score_error = score_error + 2 * unit.store * scores.abs()
    mean_error = (weights * score_error).sum(-1, keepdim=True)
    relative = score_error + mean_error + unit.accumulate * ((scores - top).abs() + 4) + 2 * unit.store
    return Weights(weights, scores, top, relative, mean_error, slope, slope_error)


def _slope_errors(head: Head, raw: torch.Tensor, score_error: torch.Tensor, unit: Units) -> torch.Tensor:
    """Bound the error of the cap's slope, 1 - tanh^2: it moves with the score, and its square and difference round."""
    assert head.softcap is not None
    return (2 * score_error / head.softcap).clamp(max=1.0) * torch.tanh(
        (raw.abs() + score_error) / head.softcap
    ) + 4 * unit.store


def output_errors(head: Head, w: Weights, out: torch.Tensor, unit: Units) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a bound on |kernel - oracle| of the output, and the standard deviation of a running sum's error.

    Both are elementwise; all tensors are float64, and `w` are the head's weights. The second is what adding the keys
    one after another costs: rounding each partial sum by a uniform error of unit / sqrt(3), where partial sums of m
    independent terms grow as a random walk, of mean square terms / 2, beside a straight line, of mean square out^2 / 3.
    """
    keys, squares = head.k.shape[-2], head.v.square()
    spread = ((w.weights * w.relative + w.weights.clamp(max=unit.flush)).square() @ squares).sqrt()
    terms = (w.weights.square() @ squares).sqrt()
    summation = LAMBDA * math.sqrt(keys + 2) * unit.accumulate * (terms + out.abs())
    lost = w.weights.masked_fill(w.weights >= unit.flush, 0.0) @ head.v.abs()
    flushed = lost + flushed_output(keys, unit)
    bound = LAMBDA * spread + w.mean_error * out.abs() + summation + unit.store * out.abs() + flushed
    partial = (terms.square() / 2 + out.square() / 3).sqrt()
    return bound, unit.accumulate * (head.mask.sum(-1, keepdim=True) / 3).sqrt() * partial


def flushed_output(terms: int, unit: Units) -> float:
    """Bound what flushing a sum of terms, and the result, may cost, weights apart."""
    return 4 * unit.flush + 2 * terms * unit.flush_terms


@dataclass(frozen=True)
class ScoreGradients:
    """What the gradients are products of: weights and score gradients [rows, n_k], with the finished dq [rows, d]."""

    weights: torch.Tensor
    scores: torch.Tensor
    dq: torch.Tensor


def textbook_gradients(head: Head, upstream: torch.Tensor, *, scale_first: bool = False) -> ScoreGradients:
    """Differentiate softmax by weights * (dweights - sum(weights * dweights)), all in the inputs' dtype."""
    return _differentiated(head, upstream, _scaled(head, scale_first=scale_first))


def textbook_either_way(head: Head, upstream: torch.Tensor) -> ScoreGradients:
    """Compute `textbook_gradients` with scores scaled and with queries scaled, each behind an axis of two."""
    return _differentiated(head, upstream, _scaled_either_way(head))


def exact_gradients(head: Head, w: Weights, upstream: torch.Tensor) -> ScoreGradients:
    """Compute `textbook_gradients` of float64 heads whose weights are known."""
    return _through(head, upstream, w.weights, w.slope)


def _differentiated(head: Head, upstream: torch.Tensor, scaled: torch.Tensor) -> ScoreGradients:
    """Differentiate the softmax of scaled scores."""
    return _through(head, upstream, _weighed(head, scaled), head.slope(scaled))


def _through(head: Head, upstream: torch.Tensor, weights: torch.Tensor, slope: float | torch.Tensor) -> ScoreGradients:
    """Take an upstream gradient through weights, and a cap of this slope, to scores."""
    dweights = product(upstream, head.v.mT)
    mean = (weights * dweights).sum(-1, keepdim=True)
    scores = weights * (dweights - mean) * slope * head.scale
    return ScoreGradients(weights, scores, product(scores, head.k))


def flash_gradients(head: Head, upstream: torch.Tensor) -> ScoreGradients:
    """Differentiate as FlashAttention-2 does (Dao, arXiv 2307.08691, algorithm 2).

    Weights come from the stored log-sum-exp of each row, the mean from the stored output; sums are float32 or wider,
    the factors of matrix products are rounded to the inputs' dtype. Forward and backward sum the scores in different
    orders, so that even a weight of one errs as its score does.
    """
    dtype = head.q.dtype
    wide = torch.promote_types(dtype, torch.float32)
    raw = head.q.to(wide) @ head.k.to(wide).mT * head.scale
    scores = head.adjusted(raw).masked_fill(~head.mask, -math.inf)
    before = (head.q.to(wide) * head.scale).flip(-1) @ head.k.to(wide).flip(-1).mT
    before = head.adjusted(before).masked_fill(~head.mask, -math.inf)
    logsumexp = before.logsumexp(-1, keepdim=True)
    weights = torch.exp(scores - logsumexp.masked_fill(logsumexp == -math.inf, 0.0))
    out = product(weights.to(dtype), head.v)
    mean = (upstream.to(wide) * out.to(wide)).sum(-1, keepdim=True)
    dweights = upstream.to(wide) @ head.v.to(wide).mT
    dscores = (weights * (dweights - mean) * head.slope(raw)).to(dtype)
    return ScoreGradients(weights.to(dtype), dscores * head.scale, product(dscores, head.k) * head.scale)


def add_product(total: torch.Tensor, weights: torch.Tensor, rows: torch.Tensor) -> None:
    """Add weights^T rows to a total [heads, n_k, features] at once."""
    total += product(weights.mT, rows)


def add_rows(total: torch.Tensor, weights: torch.Tensor, rows: torch.Tensor) -> None:
    """Add weights^T rows to a total [heads, n_k, features] one query row after another, rounding each time."""
    at_once = max(1, ADDED_ELEMENTS // total.numel())
    for some, others in zip(torch.split(weights, at_once, -2), torch.split(rows, at_once, -2), strict=True):
        for term in (some.unsqueeze(-1) * others.unsqueeze(-2)).unbind(-3):
            total += term


@dataclass
class KeySums:
    """Sums over query rows that make the bounds of dk and dv, each [heads, n_k, features] of float64."""

    dk_spread: torch.Tensor
    dk_terms: torch.Tensor
    dk_variance: torch.Tensor
    dv_spread: torch.Tensor
    dv_terms: torch.Tensor
    rows: int

    @classmethod
    def zeros(cls, head: Head) -> KeySums:
        """Start empty, for float64 heads."""
        dk_spread, dk_terms, dk_variance, dv_spread, dv_terms = (
            torch.zeros_like(of) for of in (head.k, head.k, head.k, head.v, head.v)
        )
        return cls(dk_spread, dk_terms, dk_variance, dv_spread, dv_terms, rows=0)


def query_gradient_errors(
    head: Head, w: Weights, upstream: torch.Tensor, exact: ScoreGradients, sums: KeySums, unit: Units
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a bound on |kernel - oracle| of dq [heads, rows, d], and the standard deviation of cancellation's cost.

    Both are elementwise; `w` are the head's weights. The rows' part of dk and dv is added to the sums. The second is
    what rounding dweights and their mean to float32 leaves of the difference, even where it is exactly zero. The first
    follows both forms of the backward: the mean of dweights taken over weights or over the rounded output, weights from
    maximum and total or from the log-sum-exp.
    """
    n_k, d_v = head.v.shape[-2:]
    relative = w.relative + unit.accumulate * (w.top.abs() + math.log(n_k) + 1)
    dweights = upstream @ head.v.mT
    out = w.weights @ head.v
    mean = (w.weights * dweights).sum(-1, keepdim=True)
    sum_error = LAMBDA * math.sqrt(d_v + 2) * unit.accumulate
    dweights_error = sum_error * (upstream.abs() @ head.v.abs().mT) + unit.store * dweights.abs()
    moved = (w.weights * (relative * dweights.abs() + dweights_error)).square().sum(-1, keepdim=True).sqrt()
    terms = (w.weights * dweights).square().sum(-1, keepdim=True).sqrt()
    output_terms = (upstream * out).square().sum(-1, keepdim=True).sqrt()
    mean_error = (
        LAMBDA * moved
        + w.mean_error * mean.abs()
        + LAMBDA * math.sqrt(n_k + 2) * unit.accumulate * (terms + mean.abs())
        + (2 * LAMBDA * unit.store + sum_error) * output_terms
        + 2 * unit.store * mean.abs()
    )
    size = dweights.abs() + mean.abs()
    tiny = w.weights.clamp(max=unit.flush)
    scores_error = w.weights * (
        relative * (dweights - mean).abs() + dweights_error + mean_error + 4 * unit.store * size
    ) + (tiny * size + 2 * unit.flush)
    if head.softcap is not None:
        scores_error = (w.slope + w.slope_error) * scores_error + w.weights * w.slope_error * (dweights - mean).abs()
    scale = abs(head.scale)
    q2, k2, up2 = head.q.square(), head.k.square(), upstream.square()
    sums.dk_spread += scores_error.square().mT @ q2 * scale**2
    sums.dk_terms += exact.scores.square().mT @ q2
    sums.dv_spread += (w.weights * relative + tiny).square().mT @ up2
    sums.dv_terms += w.weights.square().mT @ up2
    cancelled = (w.weights * size * (unit.accumulate * scale / math.sqrt(3.0))).square()
    sums.dk_variance += cancelled.mT @ q2
    sums.rows += head.q.shape[-2]
    spread = (scores_error.square() @ k2).sqrt() * scale
    common = scale * mean_error * ((w.weights * w.slope) @ head.k).abs() + w.mean_error * exact.dq.abs()
    summation = LAMBDA * math.sqrt(n_k + 2) * unit.accumulate * ((exact.scores.square() @ k2).sqrt() + exact.dq.abs())
    flushed = flushed_gradient(n_k, head.k.abs().amax((-2, -1), keepdim=True) * scale, unit)
    bound = LAMBDA * spread + common + summation + 3 * unit.store * exact.dq.abs() + flushed
    return bound, (cancelled @ k2).sqrt()


def flushed_gradient(terms: int, largest: Size, unit: Units) -> Size:
    """Bound what flushing may cost a gradient that sums score gradients times factors up to `largest`.

    A sum rounded after each term loses up to the threshold each time.
    """
    return LAMBDA * math.sqrt(terms + 2) * unit.flush + 4 * terms * unit.flush_terms * (1 + largest)


def key_gradient_bounds(
    sums: KeySums, dk: torch.Tensor, dv: torch.Tensor, unit: Units, *, flushed: float
) -> Sequence[torch.Tensor]:
    """Bound |kernel - oracle| of dk and dv elementwise, for a kernel that may round its sum after every query row."""
    rounding = LAMBDA * math.sqrt(sums.rows + 2) * unit.store
    return [
        LAMBDA * spread.sqrt() + rounding * (terms.sqrt() + exact.abs()) + 3 * unit.store * exact.abs() + flushed
        for spread, terms, exact in (
            (sums.dk_spread, sums.dk_terms, dk),
            (sums.dv_spread, sums.dv_terms, dv),
        )
    ]
