"""What defines right for `attention`: float64 oracle, plain references and error bounds on sampled rows.

All is worked out on heads that are laid flat: the key heads of all batch elements are one axis of `pairs`, and the
sampled rows of all query heads that share a key head stand below each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from impls.attention._masks import without_padding
from impls.contract import Witness
from impls.numerics import errors
from impls.numerics.forms import drawn, farther, has_reference
from impls.numerics.lengths import BLOCK_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from impls.attention._points import Inputs

# Matrix products with fewer rows run at a tenth of their rate or less.
BLOCK_ROWS = 32


def witness(inputs: Inputs, rows: torch.Tensor) -> tuple[Witness]:
    """Return oracle, reference and error bound of the output's sampled rows, each [batch, heads, rows, d_v].

    Work is O(rows * n_k * d) and memory O(n_k): blocks of rows see all keys.
    """
    inputs = _without_padding(inputs)
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    shape = _flat_shape(inputs, rows, inputs.v.shape[3])
    oracle, bound, summation = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))
    forms = torch.zeros((2, *shape), dtype=torch.float64)
    for some in _some_heads(inputs, rows):
        for block in some.blocks:
            place, wide, part = (some.pairs, block), some.precise[block], some.part[block]
            weights = errors.weights_error(wide, unit)
            out = weights.weights @ wide.v
            oracle[place] = out
            bound[place], summation[place] = errors.output_errors(wide, weights, out, unit)
            if has_reference(inputs.q.dtype):
                forms[(slice(None), *place)] = errors.plain_either_way(part).to(forms)
    # An error of a running sum, drawn: a plain loop over keys commits it, and a blocked matrix product doesn't.
    known = has_reference(inputs.q.dtype)
    reference = farther(oracle, *forms, forms[0] + drawn(summation)) if known else oracle
    flush = errors.flushed_output(inputs.k.shape[2], unit)
    whole = (*inputs.q.shape[:2], len(rows), inputs.v.shape[3])
    return (
        Witness(
            oracle=oracle.reshape(whole), reference=reference.reshape(whole), bound=bound.reshape(whole), flush=flush
        ),
    )


def gradient_witness(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]:
    """Return a witness each for dq, dk and dv, for an upstream gradient [batch, heads, rows, d_v] on sampled rows.

    Rows that are not sampled get no upstream gradient, so the sampled ones give dq, dk and dv exactly. The reference
    is whichever errs more, element by element: the textbook's backward, its sums over rows rounded after every row
    as autograd does for a loop, or FlashAttention's.
    """
    inputs = _without_padding(inputs)
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    flushed = _flushed(inputs, rows, unit)
    exact, bounds, deviations = (_Gradients.zeros(inputs, rows, dtype=torch.float64) for _ in range(3))
    textbooks, flash = (_Gradients.zeros(inputs, rows, dtype=inputs.q.dtype, forms=forms) for forms in ((2,), ()))
    upstream = upstream.to(inputs.q.device).reshape(_flat_shape(inputs, rows, inputs.v.shape[3]))
    for some in _some_heads(inputs, rows):
        sums = errors.KeySums.zeros(some.precise)
        for block in some.blocks:
            part, precise, gradient = some.part[block], some.precise[block], upstream[some.pairs, block]
            place, wide = (some.pairs, block), gradient.double()
            weights = errors.weights_error(precise, unit)
            out = errors.exact_gradients(precise, weights, wide)
            exact.add(place, out, precise, wide, add=errors.add_product)
            if has_reference(inputs.q.dtype):
                textbooks.add(place, errors.textbook_either_way(part, gradient), part, gradient, add=errors.add_rows)
                flash.add(place, errors.flash_gradients(part, gradient), part, gradient, add=errors.add_product)
            bounds.dq[place], deviations.dq[place] = errors.query_gradient_errors(
                precise, weights, wide, out, sums, unit
            )
        bounds.dk[some.pairs], bounds.dv[some.pairs] = errors.key_gradient_bounds(
            sums, exact.dk[some.pairs], exact.dv[some.pairs], unit, flushed=flushed[1]
        )
        deviations.dk[some.pairs] = sums.dk_variance.sqrt()
    oracles, limits = exact.whole(inputs, rows), bounds.whole(inputs, rows)
    references = oracles
    if has_reference(inputs.q.dtype):
        forms = (textbooks.form(0), textbooks.form(1), flash)
        found = [gradients.whole(inputs, rows) for gradients in (deviations, *forms)]
        references = [
            farther(oracle, *others, oracle + drawn(deviation))
            for oracle, deviation, *others in zip(oracles, *found, strict=True)
        ]
    return tuple(
        Witness(oracle=oracle, reference=reference, bound=bound, flush=flush)
        for flush, oracle, reference, bound in zip(flushed, oracles, references, limits, strict=True)
    )


@dataclass(frozen=True)
class _SomeHeads:
    """Some key heads with the sampled rows that attend to them, in the inputs' dtype and in float64.

    `pairs` are their places on the flat axis of key heads, `blocks` those of rows, each of which sees all keys.
    """

    part: errors.Head
    precise: errors.Head
    pairs: slice
    blocks: list[slice]


def _some_heads(inputs: Inputs, rows: torch.Tensor) -> Iterator[_SomeHeads]:
    """Cut the work so that a block has about BLOCK_ELEMENTS scores."""
    pairs, of_pair, _ = _flat_shape(inputs, rows, 1)
    n_k = inputs.k.shape[2]
    step = min(of_pair, max(BLOCK_ROWS, BLOCK_ELEMENTS // n_k))
    at_once = max(1, BLOCK_ELEMENTS // (step * n_k))
    blocks = [slice(start, start + step) for start in range(0, of_pair, step)]
    for first in range(0, pairs, at_once):
        chosen = slice(first, min(first + at_once, pairs))
        part = _heads(inputs, chosen, rows)
        yield _SomeHeads(part, part.to(torch.float64), chosen, blocks)


def _flat_shape(inputs: Inputs, rows: torch.Tensor, features: int) -> tuple[int, int, int]:
    """Return the shape of what stands in sampled rows, laid flat: [key heads of all batch elements, rows, features]."""
    batches, heads = inputs.q.shape[:2]
    kv_heads = inputs.k.shape[1]
    return batches * kv_heads, heads // kv_heads * len(rows), features


def _heads(inputs: Inputs, pairs: slice, rows: torch.Tensor) -> errors.Head:
    """Gather some key heads, and the sampled rows of the query heads that share each."""
    device, kv_heads = inputs.q.device, inputs.k.shape[1]
    group = inputs.q.shape[1] // kv_heads
    rows, flat = rows.to(device), torch.arange(pairs.start, pairs.stop, device=device)
    batch, kv_head = flat // kv_heads, flat % kv_heads
    head = kv_head.unsqueeze(-1) * group + torch.arange(group, device=device)  # [pairs, group]
    q = inputs.q.detach()[batch[:, None, None], head.unsqueeze(-1), rows]  # [pairs, group, rows, d]
    return errors.Head(
        q=q.flatten(1, 2),
        k=inputs.k.detach()[batch, kv_head],
        v=inputs.v.detach()[batch, kv_head],
        mask=_mask(inputs, batch, rows).repeat(1, group, 1),
        scale=_scale(inputs),
        softcap=inputs.softcap,
        bias=None if inputs.bias is None else _bias(inputs.bias, batch, head, rows),
    )


@dataclass(frozen=True)
class _Gradients:
    """Gradients laid flat, on the inputs' device: dq of the sampled rows, dk and dv, of several forms one axis more."""

    dq: torch.Tensor
    dk: torch.Tensor
    dv: torch.Tensor

    @classmethod
    def zeros(
        cls, inputs: Inputs, rows: torch.Tensor, *, dtype: torch.dtype, forms: tuple[int, ...] = ()
    ) -> _Gradients:
        """Start with no block."""
        d, d_v = inputs.q.shape[3], inputs.v.shape[3]
        pairs, n_k = inputs.k.shape[0] * inputs.k.shape[1], inputs.k.shape[2]
        shapes = (_flat_shape(inputs, rows, d), (pairs, n_k, d), (pairs, n_k, d_v))
        return cls(*(torch.zeros((*forms, *shape), dtype=dtype, device=inputs.q.device) for shape in shapes))

    def form(self, number: int) -> _Gradients:
        """Return one form of several."""
        return _Gradients(self.dq[number], self.dk[number], self.dv[number])

    def add(
        self,
        place: tuple[slice, slice],
        found: errors.ScoreGradients,
        head: errors.Head,
        upstream: torch.Tensor,
        *,
        add: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object],
    ) -> None:
        """Put a block's dq into its place, and add what its rows give dk and dv."""
        pairs, block = place
        self.dq[..., pairs, block, :] = found.dq
        add(self.dk[..., pairs, :, :], found.scores, head.q)
        add(self.dv[..., pairs, :, :], found.weights, upstream)

    def whole(self, inputs: Inputs, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return dq, dk and dv in the inputs' shapes, on the CPU; rows that were not sampled have no dq."""
        dq = torch.zeros(inputs.q.shape, dtype=self.dq.dtype)
        dq[:, :, rows.cpu()] = self.dq.cpu().reshape(*inputs.q.shape[:2], len(rows), -1)
        return [dq, self.dk.cpu().reshape(inputs.k.shape), self.dv.cpu().reshape(inputs.v.shape)]


def _flushed(inputs: Inputs, rows: torch.Tensor, unit: errors.Units) -> list[float]:
    """Bound what flushing to zero may cost an element of dq, dk and dv."""
    group, scale = inputs.q.shape[1] // inputs.k.shape[1], abs(_scale(inputs))
    of_queries = errors.flushed_gradient(inputs.k.shape[2], float(inputs.k.detach().abs().amax()) * scale, unit)
    of_keys = errors.flushed_gradient(len(rows) * group, float(inputs.q.detach().abs().amax()) * scale, unit)
    return [of_queries, of_keys, of_keys]


def _without_padding(inputs: Inputs) -> Inputs:
    """Put zeros where no row of a batch element may look: whatever lies there has no say in what is right."""
    if inputs.valid_lens is None:
        return inputs
    return replace(
        inputs,
        k=without_padding(inputs.k.detach(), inputs.valid_lens),
        v=without_padding(inputs.v.detach(), inputs.valid_lens),
    )


def _scale(inputs: Inputs) -> float:
    return 1.0 / math.sqrt(inputs.q.shape[-1]) if inputs.scale is None else inputs.scale


def _mask(inputs: Inputs, batch: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return which keys each row may see, [pairs, rows, n_k], of pairs in the given batch elements.

    The last query is aligned with the last key.
    """
    n_q, n_k = inputs.q.shape[2], inputs.k.shape[2]
    limit = torch.full((len(batch), len(rows)), n_k, device=rows.device)
    if inputs.causal:
        limit = limit.minimum(rows + n_k - n_q + 1)
    if inputs.valid_lens is not None:
        valid = inputs.valid_lens[batch]
        limit = limit.minimum(valid.unsqueeze(-1) if valid.ndim == 1 else valid[:, rows])
    keys = torch.arange(n_k, device=rows.device)
    seen = keys < limit.unsqueeze(-1)
    if inputs.window is not None:
        away = keys - (rows + n_k - n_q).unsqueeze(-1)
        seen &= away.abs() < inputs.window
    return seen


def _bias(bias: torch.Tensor, batch: torch.Tensor, head: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Gather what is added to the sampled rows' scores, [pairs, group * rows, n_k]; `head` is [pairs, group]."""
    element = batch if len(bias) > 1 else torch.zeros_like(batch)
    return bias.detach()[element[:, None, None], head.unsqueeze(-1), rows].flatten(1, 2)
