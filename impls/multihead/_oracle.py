"""What defines right for a multi-head module: float64 oracle, plain reference and error bound on sampled rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from impls.attention.problem import BLOCK_ELEMENTS, FLUSH, LAMBDA, UNIT, UNIT_FLOAT32
from impls.multihead._steps import Weights
from impls.orders import orders_for, worst
from impls.registry import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from impls.multihead.problem import Inputs

# Standard deviations that dropout may move an output by: the chance of more is below 1e-10 (Bernstein's inequality).
DEVIATIONS = 7.0


@dataclass(frozen=True)
class Order:
    """An order of summation: of input features, keys, and the features of a head. Exact results don't depend on it."""

    features: tuple[torch.Tensor, ...]
    keys: torch.Tensor
    head_features: torch.Tensor


def witness(inputs: Inputs, rows: torch.Tensor) -> Witness:
    """Return oracle, reference and bound of the output's sampled rows, each [batch, rows, width].

    Under dropout the oracle is the expectation, which is the output without; the reference has a mask of its own, and
    the bound allows for the deviation that masks cause.
    """
    shape = (inputs.x_q.shape[0], len(rows), inputs.weights.w_o.shape[0])
    oracle, reference, bound = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))
    for batch, start, block in _row_blocks(inputs, rows):
        sources = _sources(inputs, batch, block)
        mask = _mask(inputs, batch, block)
        wide = [x.double() for x in sources]
        wide_weights = _cast(inputs.weights, torch.float64)
        place = (batch, slice(start, start + len(block)))
        oracle[place] = plain(wide, wide_weights, heads=inputs.heads, mask=mask).cpu()
        keep = _kept(inputs, mask, seed=start)
        tried = [
            plain(sources, inputs.weights, heads=inputs.heads, mask=mask, keep=keep, order=order).double().cpu()
            for order in _orders(inputs, rows)
        ]
        reference[place] = worst(tried, exact=oracle[place])
        bound[place] = error_bound(
            wide, wide_weights, heads=inputs.heads, mask=mask, dtype=inputs.x_q.dtype, dropout=inputs.dropout
        ).cpu()
    return Witness(oracle=oracle, reference=reference, bound=bound, flush=_flush(inputs))


def gradient_witness(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]:
    """Return a witness for the gradient of each distinct input and each weight.

    Rows that are not sampled get no upstream gradient, so the sampled ones give every gradient exactly. All gradients
    are linear in a dropout mask, so their expectation is the gradient without dropout.
    """
    exact = _gradient_totals(inputs, rows, upstream, dtype=torch.float64, order=None)
    tried = [
        _gradient_totals(inputs, rows, upstream, dtype=inputs.x_q.dtype, order=order) for order in _orders(inputs, rows)
    ]
    return tuple(
        Witness(
            oracle=oracle,
            reference=worst([totals[name] for totals in tried], exact=oracle),
            bound=torch.full_like(oracle, math.inf),
            flush=_flush(inputs),
        )
        for name, oracle in exact.items()
    )


def _gradient_totals(
    inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor, *, dtype: torch.dtype, order: Order | None
) -> dict[str, torch.Tensor]:
    """Add up the gradients of all sampled rows, computed in `dtype`, by name; float64 is without dropout."""
    total = {
        name: torch.zeros(tensor.shape, dtype=torch.float64)
        for name, tensor in zip(inputs.names, inputs.differentiable, strict=True)
    }
    for batch, start, block in _row_blocks(inputs, rows):
        mask = _mask(inputs, batch, block)
        gradient = upstream[batch, start : start + len(block)].to(inputs.x_q.device)
        keep = None if dtype == torch.float64 else _kept(inputs, mask, seed=start)
        found = _gradients(inputs, batch, block, gradient.to(dtype), mask=mask, keep=keep, order=order)
        for name, value in found.items():
            if name in inputs.sources:
                total[name][batch] += value
            else:
                total[name] += value
    return total


def _orders(inputs: Inputs, rows: torch.Tensor) -> list[Order]:
    """Draw orders of summation, more of them the smaller the output."""
    width = inputs.weights.w_o.shape[0]
    count = orders_for(inputs.x_q.shape[0] * len(rows) * width)
    generator = torch.Generator().manual_seed(len(rows))

    def shuffled(length: int) -> torch.Tensor:
        return torch.randperm(length, generator=generator).to(inputs.x_q.device)

    sizes = [x.shape[-1] for x in (inputs.x_q, inputs.x_k, inputs.x_v)]
    return [
        Order(tuple(shuffled(size) for size in sizes), shuffled(inputs.x_k.shape[1]), shuffled(width // inputs.heads))
        for _ in range(count)
    ]


def _reordered(
    sources: list[torch.Tensor],
    weights: Weights,
    mask: torch.Tensor,
    keep: torch.Tensor | None,
    *,
    order: Order,
) -> tuple[list[torch.Tensor], Weights, torch.Tensor, torch.Tensor | None]:
    """Permute what is summed over, so that the same result is added up in another order."""
    x_q, x_k, x_v = (x[:, features] for x, features in zip(sources, order.features, strict=True))
    d = len(order.head_features)
    starts = torch.arange(0, weights.w_o.shape[1], d, device=mask.device)
    inner = (starts.unsqueeze(-1) + order.head_features).flatten()  # the same permutation within each head
    permuted = {
        name: getattr(weights, name)[inner][:, features]
        for name, features in zip(("w_q", "w_k", "w_v"), order.features, strict=True)
    }
    biases = {name: bias[inner] for name in ("b_q", "b_k", "b_v") if (bias := getattr(weights, name)) is not None}
    changed = weights._replace(**permuted, **biases, w_o=weights.w_o[:, inner])
    kept = None if keep is None else keep[..., order.keys]
    return [x_q, x_k[order.keys], x_v[order.keys]], changed, mask[:, order.keys], kept


def _gradients(
    inputs: Inputs,
    batch: int,
    rows: torch.Tensor,
    gradient: torch.Tensor,
    *,
    mask: torch.Tensor,
    keep: torch.Tensor | None,
    order: Order | None,
) -> dict[str, torch.Tensor]:
    """Return gradients of one batch element's inputs and of the weights, computed in the gradient's dtype."""
    leaves = {name: x[batch].detach().to(gradient.dtype).requires_grad_(True) for name, x in inputs.sources.items()}
    leaves |= {n: w.detach().to(gradient.dtype).requires_grad_(True) for n, w in inputs.parameters.items()}
    places = {id(x): name for name, x in inputs.sources.items()}
    x_q, x_k, x_v = (leaves[places[id(x)]] for x in (inputs.x_q, inputs.x_k, inputs.x_v))
    weights = Weights(**{name: leaves.get(name) for name in Weights._fields})  # type: ignore[arg-type]
    with torch.enable_grad():
        out = plain(
            [x_q[rows.to(x_q.device)], x_k, x_v], weights, heads=inputs.heads, mask=mask, keep=keep, order=order
        )
        found = torch.autograd.grad(out, list(leaves.values()), gradient)
    return {name: value.double().cpu() for name, value in zip(leaves, found, strict=True)}


def plain(
    sources: list[torch.Tensor],
    weights: Weights,
    *,
    heads: int,
    mask: torch.Tensor,
    keep: torch.Tensor | None = None,
    order: Order | None = None,
) -> torch.Tensor:
    """Compute the module's output rows for one batch element, every intermediate in the inputs' dtype.

    x_q [rows, size], x_k and x_v [n_k, size], mask [rows, n_k] true where allowed; `keep` [heads, rows, n_k] has
    dropout's factors. Dead rows attend to nothing. Returns [rows, width].
    """
    if order is not None:
        sources, weights, mask, keep = _reordered(sources, weights, mask, keep, order=order)
    q, k, v = (
        _heads(_affine(x, w, b), heads)
        for x, w, b in zip(sources, weights[:3], (weights.b_q, weights.b_k, weights.b_v), strict=True)
    )
    attention = _softmax((q @ k.mT) * q.shape[-1] ** -0.5, mask)
    if keep is not None:
        attention = attention * keep.to(attention.dtype)
    return _affine((attention @ v).transpose(0, 1).flatten(1), weights.w_o, weights.b_o)


def error_bound(
    sources: list[torch.Tensor],
    weights: Weights,
    *,
    heads: int,
    mask: torch.Tensor,
    dtype: torch.dtype,
    dropout: float,
) -> torch.Tensor:
    """Bound |module - oracle| elementwise to first order, every intermediate stored in `dtype`: [rows, width], float64.

    Rounding errors of a product of length m stay within lambda sqrt(m) u |a||b| (Higham and Mary 2019). Those of
    different projected features come from different products, so a score collects them as a root sum of squares; a
    score's error moves a whole head's output, so it is carried through values and output projection by absolute values,
    and only heads add up as a root sum of squares.
    """
    unit = UNIT[dtype]
    accumulate = min(UNIT_FLOAT32, unit)
    projected = [
        _bounded_affine(x, w, b, unit=unit, accumulate=accumulate)
        for x, w, b in zip(sources, weights[:3], (weights.b_q, weights.b_k, weights.b_v), strict=True)
    ]
    (q, q_error), (k, k_error), (v, v_error) = [tuple(_heads(part, heads) for part in pair) for pair in projected]
    d, n_k = q.shape[-1], k.shape[1]
    scores = (q @ k.mT) * d**-0.5  # [heads, rows, n_k]
    carried = (q_error.square() @ k.mT.square() + q.square() @ k_error.mT.square()).sqrt() * d**-0.5
    own = LAMBDA * math.sqrt(d + 2) * accumulate * (q.abs() @ k.abs().mT) * d**-0.5 + 2 * unit * scores.abs()
    attention = _softmax(scores, mask)
    top = scores.masked_fill(~mask, -math.inf).amax(-1, keepdim=True).clamp(min=torch.finfo(torch.float64).min)
    below_top = (scores - top).masked_fill(~mask, 0.0).abs()
    error = carried + own
    relative = error + (attention * error).sum(-1, keepdim=True) + accumulate * (below_top + 4) + 2 * unit
    head_out = attention @ v
    head_error = (
        (attention * relative) @ v.abs()
        + attention @ v_error
        + LAMBDA * math.sqrt(n_k + 2) * accumulate * ((attention.square() @ v.square()).sqrt() + head_out.abs())
        + unit * head_out.abs()
    )  # [heads, rows, d]
    w_o = _output_by_head(weights, heads)  # [heads, d, width]
    _, out_error = _bounded_affine(
        head_out.transpose(0, 1).flatten(1), weights.w_o, weights.b_o, unit=unit, accumulate=accumulate
    )
    bound: torch.Tensor = (head_error @ w_o.abs()).square().sum(0).sqrt() + out_error
    bound = bound + FLUSH[dtype] * (4 + 2 * n_k * v.abs().amax() * w_o.abs().sum((0, 1)))
    if not dropout:
        return bound
    return bound / (1 - dropout) + _dropout_bound(attention, v @ w_o, dropout=dropout)


def _dropout_bound(attention: torch.Tensor, values: torch.Tensor, *, dropout: float) -> torch.Tensor:
    """Bound how far a dropout mask moves an output from its expectation, [rows, width], by Bernstein's inequality.

    attention [heads, rows, n_k]; values [heads, n_k, width] are what each key adds to the output at weight one.
    """
    variance = (attention.square() @ values.square()).sum(0) * (dropout / (1 - dropout))
    largest = (attention.amax(-1, keepdim=True) * values.abs().amax(1, keepdim=True)).amax(0)
    largest = largest * max(1.0, dropout / (1 - dropout))
    return DEVIATIONS * variance.sqrt() + DEVIATIONS**2 / 3 * largest


def _bounded_affine(
    x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, *, unit: float, accumulate: float
) -> tuple[torch.Tensor, torch.Tensor]:
    out = _affine(x, w, b)
    magnitude = _affine(x.abs(), w.abs(), None if b is None else b.abs())
    return out, LAMBDA * math.sqrt(x.shape[-1] + 2) * accumulate * magnitude + 2 * unit * out.abs()


def _affine(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
    out: torch.Tensor = x @ w.mT
    return out if b is None else out + b


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """View [n, width] as [heads, n, width / heads]."""
    return x.reshape(x.shape[0], heads, -1).transpose(0, 1)


def _output_by_head(weights: Weights, heads: int) -> torch.Tensor:
    return weights.w_o.t().reshape(heads, -1, weights.w_o.shape[0])


def _softmax(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    blocked = scores.masked_fill(~mask, -math.inf)
    top = blocked.amax(-1, keepdim=True).detach()
    weights = torch.exp(blocked - top.masked_fill(top == -math.inf, 0.0))
    total = weights.sum(-1, keepdim=True)
    return weights / total.masked_fill(total == 0.0, 1.0)


def _cast(weights: Weights, dtype: torch.dtype) -> Weights:
    return Weights(*(None if w is None else w.to(dtype) for w in weights))  # type: ignore[arg-type]


def _sources(inputs: Inputs, batch: int, rows: torch.Tensor) -> list[torch.Tensor]:
    return [inputs.x_q[batch, rows.to(inputs.x_q.device)], inputs.x_k[batch], inputs.x_v[batch]]


def _kept(inputs: Inputs, mask: torch.Tensor, *, seed: int) -> torch.Tensor | None:
    """Draw dropout's factors, [heads, rows, n_k]: 0 or 1 / (1 - dropout)."""
    if not inputs.dropout:
        return None
    generator = torch.Generator(device=mask.device).manual_seed(seed)
    kept = torch.rand((inputs.heads, *mask.shape), generator=generator, device=mask.device) >= inputs.dropout
    return kept / (1 - inputs.dropout)


def _mask(inputs: Inputs, batch: int, rows: torch.Tensor) -> torch.Tensor:
    """Return which keys each row may attend to, [rows, n_k]."""
    n_k = inputs.x_k.shape[1]
    device = inputs.x_k.device
    if inputs.valid_lens is None:
        return torch.ones((len(rows), n_k), dtype=torch.bool, device=device)
    valid = inputs.valid_lens[batch]
    limit = valid if valid.ndim == 0 else valid[rows.to(device)].unsqueeze(-1)
    return (torch.arange(n_k, device=device) < limit).expand(len(rows), n_k)


def _row_blocks(inputs: Inputs, rows: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Yield (batch, start, rows) so that no block has more than BLOCK_ELEMENTS scores."""
    step = max(1, BLOCK_ELEMENTS // (inputs.x_k.shape[1] * inputs.heads))
    for batch in range(inputs.x_q.shape[0]):
        for start in range(0, len(rows), step):
            yield batch, start, rows[start : start + step]


def _flush(inputs: Inputs) -> float:
    """Bound what flushing weights, values and results to zero may cost an output element."""
    reach = float(inputs.weights.w_o.detach().abs().sum(-1).amax())
    return FLUSH[inputs.x_q.dtype] * (4 + 2 * inputs.x_k.shape[1] * reach)
