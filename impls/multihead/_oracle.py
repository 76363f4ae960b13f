"""What defines right for a multi-head module: float64 oracle, plain reference and error bound on sampled rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from impls.contract import Scatter, Witness
from impls.multihead._gradients import bounded_gradients, fused_gradients
from impls.multihead.steps import Weights
from impls.numerics.errors import LAMBDA, Units, flushed_output, units
from impls.numerics.lengths import BLOCK_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from impls.multihead._points import Inputs

# Standard deviations that dropout may move an output by: the chance of more is below 1e-10 (Bernstein's inequality).
DEVIATIONS = 7.0


def witness(inputs: Inputs, rows: torch.Tensor) -> Witness:
    """Return oracle, reference and bound of the output's sampled rows, each [batch, rows, width].

    Under dropout the oracle is the expectation, which is the output without; the reference has a mask of its own, and
    the bound allows for the deviation that masks cause.
    """
    shape = (inputs.x_q.shape[0], len(rows), inputs.weights.w_o.shape[0])
    oracle, reference, bound = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))
    unit = units(inputs.x_q.dtype, inputs.x_q.device)
    moved = Scatter(*(torch.zeros(shape[:2], dtype=torch.float64) for _ in range(3)))
    for batch, start, block in _row_blocks(inputs, rows):
        sources = _sources(inputs, batch, block)
        mask = _mask(inputs, batch, block)
        wide = [x.double() for x in sources]
        wide_weights = _cast(inputs.weights, torch.float64)
        place = (batch, slice(start, start + len(block)))
        oracle[place] = plain(wide, wide_weights, heads=inputs.heads, mask=mask).cpu()
        keep = _kept(inputs, mask, seed=start)
        reference[place] = plain(sources, inputs.weights, heads=inputs.heads, mask=mask, keep=keep).double().cpu()
        bound[place] = error_bound(
            wide, wide_weights, heads=inputs.heads, mask=mask, unit=unit, dropout=inputs.dropout
        ).cpu()
        if inputs.dropout:
            found = scatter(wide, wide_weights, heads=inputs.heads, mask=mask, dropout=inputs.dropout)
            moved.variance[place], moved.square[place], moved.most[place] = found.variance, found.square, found.most
    return Witness(
        oracle=oracle,
        reference=reference,
        bound=bound,
        flush=_flush(inputs),
        is_random=inputs.dropout > 0.0,
        scatter=moved if inputs.dropout else None,
    )


def gradient_witness(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]:
    """Return a witness for the gradient of each distinct input and each weight.

    Rows that are not sampled get no upstream gradient, so the sampled ones give every gradient exactly. All gradients
    are linear in a dropout mask, so their expectation is the gradient without dropout; how far a mask moves them is
    left to the reference's own mask to show.
    """
    exact = _gradient_totals(inputs, rows, upstream, dtype=torch.float64, keep=False)
    references = _gradient_totals(inputs, rows, upstream, dtype=inputs.x_q.dtype, keep=True)
    bounds, fused = _analysed(inputs, rows, upstream) if not inputs.dropout else (_unbounded(inputs), references)
    return tuple(
        Witness(
            oracle=oracle,
            reference=torch.where(
                (fused[name] - oracle).abs() > (references[name] - oracle).abs(), fused[name], references[name]
            ),
            bound=bounds[name],
            flush=_flush(inputs),
            is_random=inputs.dropout > 0.0,
        )
        for name, oracle in exact.items()
    )


def _analysed(
    inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Add up the gradients of all sampled rows by name: error bounds, and values as a fused kernel might err."""
    bounds, fused = _zeros(inputs), _zeros(inputs)
    names = {id(x): name for name, x in inputs.sources.items()}
    for batch, start, block in _row_blocks(inputs, rows):
        places: dict[str, tuple[str, Any]] = {
            "x_q": (names[id(inputs.x_q)], (batch, block)),
            "x_k": (names[id(inputs.x_k)], batch),
            "x_v": (names[id(inputs.x_v)], batch),
        }
        sources = [x.detach().double() for x in _sources(inputs, batch, block)]
        weights = _cast(inputs.weights, torch.float64)
        gradient = upstream[batch, start : start + len(block)].to(inputs.x_q.device).double()
        options: dict[str, Any] = {
            "heads": inputs.heads,
            "mask": _mask(inputs, batch, block),
            "unit": units(inputs.x_q.dtype, inputs.x_q.device),
        }
        terms = max(len(rows), inputs.x_k.shape[1]) * inputs.x_q.shape[0]
        for name, found in bounded_gradients(sources, weights, gradient, terms=terms, **options).items():
            of, place = places.get(name, (name, ...))
            bounds[of][place] += found.bound.cpu()
        for name, value in fused_gradients(sources, weights, gradient, seed=start + batch, **options).items():
            of, place = places.get(name, (name, ...))
            fused[of][place] += value.cpu()
    return bounds, fused


def _unbounded(inputs: Inputs) -> dict[str, torch.Tensor]:
    return {name: zeros + math.inf for name, zeros in _zeros(inputs).items()}


def _zeros(inputs: Inputs) -> dict[str, torch.Tensor]:
    return {
        name: torch.zeros(tensor.shape, dtype=torch.float64)
        for name, tensor in zip(inputs.names, inputs.differentiable, strict=True)
    }


def _gradient_totals(
    inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor, *, dtype: torch.dtype, keep: bool
) -> dict[str, torch.Tensor]:
    """Add up the gradients of all sampled rows, computed in `dtype`, by name; with `keep` under a dropout mask."""
    total = _zeros(inputs)
    for batch, start, block in _row_blocks(inputs, rows):
        mask = _mask(inputs, batch, block)
        gradient = upstream[batch, start : start + len(block)].to(inputs.x_q.device)
        kept = _kept(inputs, mask, seed=start) if keep else None
        found = _gradients(inputs, batch, block, gradient.to(dtype), mask=mask, keep=kept)
        for name, value in found.items():
            if name in inputs.sources:
                total[name][batch] += value
            else:
                total[name] += value
    return total


def _gradients(
    inputs: Inputs,
    batch: int,
    rows: torch.Tensor,
    gradient: torch.Tensor,
    *,
    mask: torch.Tensor,
    keep: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """Return gradients of one batch element's inputs and of the weights, computed in the gradient's dtype."""
    leaves = {name: x[batch].detach().to(gradient.dtype).requires_grad_(True) for name, x in inputs.sources.items()}
    leaves |= {n: w.detach().to(gradient.dtype).requires_grad_(True) for n, w in inputs.parameters.items()}
    places = {id(x): name for name, x in inputs.sources.items()}
    x_q, x_k, x_v = (leaves[places[id(x)]] for x in (inputs.x_q, inputs.x_k, inputs.x_v))
    weights = Weights(**{name: leaves.get(name) for name in Weights._fields})  # type: ignore[arg-type]
    with torch.enable_grad():
        out = plain([x_q[rows.to(x_q.device)], x_k, x_v], weights, heads=inputs.heads, mask=mask, keep=keep)
        found = torch.autograd.grad(out, list(leaves.values()), gradient)
    return {name: value.double().cpu() for name, value in zip(leaves, found, strict=True)}


def plain(
    sources: list[torch.Tensor],
    weights: Weights,
    *,
    heads: int,
    mask: torch.Tensor,
    keep: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the module's output rows for one batch element, every intermediate in the inputs' dtype.

    x_q [rows, size], x_k and x_v [n_k, size], mask [rows, n_k] true where allowed; `keep` [heads, rows, n_k] has
    dropout's factors. Dead rows attend to nothing. Returns [rows, width].
    """
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
    unit: Units,
    dropout: float,
) -> torch.Tensor:
    """Bound |module - oracle| elementwise to first order, every intermediate stored: [rows, width], float64.

    Rounding errors of a product of length m stay within lambda sqrt(m) u |a||b| (Higham and Mary 2019). Those of
    different projected features come from different products, so a score collects them as a root sum of squares; a
    score's error moves a whole head's output, so it is carried through values and output projection by absolute values,
    and only heads add up as a root sum of squares.
    """
    projected = [
        _bounded_affine(x, w, b, unit=unit)
        for x, w, b in zip(sources, weights[:3], (weights.b_q, weights.b_k, weights.b_v), strict=True)
    ]
    (q, q_error), (k, k_error), (v, v_error) = [tuple(_heads(part, heads) for part in pair) for pair in projected]
    d, n_k = q.shape[-1], k.shape[1]
    scores = (q @ k.mT) * d**-0.5  # [heads, rows, n_k]
    carried = (q_error.square() @ k.mT.square() + q.square() @ k_error.mT.square()).sqrt() * d**-0.5
    own = LAMBDA * math.sqrt(d + 2) * unit.accumulate * (q.abs() @ k.abs().mT) * d**-0.5 + 2 * unit.store * scores.abs()
    attention = _softmax(scores, mask)
    top = scores.masked_fill(~mask, -math.inf).amax(-1, keepdim=True).clamp(min=torch.finfo(torch.float64).min)
    below_top = (scores - top).masked_fill(~mask, 0.0).abs()
    error = carried + own
    relative = error + (attention * error).sum(-1, keepdim=True) + unit.accumulate * (below_top + 4) + 2 * unit.store
    head_out = attention @ v
    head_error = (
        (attention * relative) @ v.abs()
        + attention @ v_error
        + LAMBDA * math.sqrt(n_k + 2) * unit.accumulate * ((attention.square() @ v.square()).sqrt() + head_out.abs())
        + unit.store * head_out.abs()
    )  # [heads, rows, d]
    w_o = _output_by_head(weights, heads)  # [heads, d, width]
    _, out_error = _bounded_affine(head_out.transpose(0, 1).flatten(1), weights.w_o, weights.b_o, unit=unit)
    bound: torch.Tensor = (head_error @ w_o.abs()).square().sum(0).sqrt() + out_error
    bound = bound + flushed_output(n_k, unit) * (1 + v.abs().amax() * w_o.abs().sum((0, 1)))
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


def scatter(
    sources: list[torch.Tensor], weights: Weights, *, heads: int, mask: torch.Tensor, dropout: float
) -> Scatter:
    """Return how far dropout moves the module's rows, each [rows].

    A weight is multiplied by 0 or 1 / (1 - p), which is 1 in the mean, with variance p / (1 - p). So a row's deviation
    is a sum of independent variables xi_j times vectors g_j = weight_j * (what its key adds at weight one). Of its
    squared length: the expectation is p / (1 - p) * sum |g_j|^2; the expected square is at most 3 of its squares, plus
    E xi^4 * sum |g_j|^4.
    """
    q, k, v = (
        _heads(_affine(x, w, b), heads)
        for x, w, b in zip(sources, weights[:3], (weights.b_q, weights.b_k, weights.b_v), strict=True)
    )
    attention = _softmax((q @ k.mT) * q.shape[-1] ** -0.5, mask)  # [heads, rows, n_k]
    added = v @ _output_by_head(weights, heads)  # [heads, n_k, width]
    odds = dropout / (1 - dropout)
    lengths = attention.square() * added.square().sum(-1).unsqueeze(1)  # |g_j|^2
    variance = odds * lengths.sum((0, 2))
    fourth = dropout + dropout**4 / (1 - dropout) ** 3
    most = ((attention @ added.abs()).sum(0) * max(1.0, odds)).square().sum(-1)
    return Scatter(variance, 3 * variance.square() + fourth * lengths.square().sum((0, 2)), most)


def _bounded_affine(
    x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, *, unit: Units
) -> tuple[torch.Tensor, torch.Tensor]:
    out = _affine(x, w, b)
    magnitude = _affine(x.abs(), w.abs(), None if b is None else b.abs())
    return out, LAMBDA * math.sqrt(x.shape[-1] + 2) * unit.accumulate * magnitude + 2 * unit.store * out.abs()


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
    return Weights(*(None if w is None else w.detach().to(dtype) for w in weights))  # type: ignore[arg-type]


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
    return flushed_output(inputs.x_k.shape[1], units(inputs.x_q.dtype, inputs.x_q.device)) * (1 + reach)
