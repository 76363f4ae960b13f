"""What defines right for `attention`: float64 oracle, plain references and error bounds on sampled rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from impls.attention._masks import without_padding
from impls.contract import Witness
from impls.numerics import errors
from impls.numerics.lengths import BLOCK_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from impls.attention._points import Inputs

# Matrix products with fewer rows run at a tenth of their rate or less.
BLOCK_ROWS = 32


def witness(inputs: Inputs, rows: torch.Tensor) -> tuple[Witness]:
    """Return oracle, reference and error bound of the output's sampled rows, each [batch, heads, rows, d_v].

    Work is O(rows * n_k * d) and memory O(n_k): blocks of rows see all keys.
    """
    inputs = _without_padding(inputs)
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    shape = (*inputs.q.shape[:2], len(rows), inputs.v.shape[-1])
    oracle, reference, prescaled, bound, summation = (torch.zeros(shape, dtype=torch.float64) for _ in range(5))
    for batch, head in _heads(inputs):
        whole = _head(inputs, batch, head, rows)
        wide = whole.to(torch.float64)
        for block in _row_blocks(inputs, rows):
            place = (batch, head, block)
            out = errors.plain(wide[block])
            oracle[place] = out
            reference[place] = errors.plain(whole[block])
            prescaled[place] = errors.plain(whole[block], scale_first=True)
            bound[place], summation[place] = errors.output_errors(wide[block], out, unit)
    # An error of a running sum, drawn: a plain loop over keys commits it, and a blocked matrix product doesn't.
    reference = _farther(oracle, reference, prescaled, reference + _drawn(summation))
    flush = errors.flushed_output(inputs.k.shape[2], unit)
    return (Witness(oracle=oracle, reference=reference, bound=bound, flush=flush),)


def gradient_witness(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]:
    """Return a witness each for dq, dk and dv, for an upstream gradient [batch, heads, rows, d_v] on sampled rows.

    Rows that are not sampled get no upstream gradient, so the sampled ones give dq, dk and dv exactly. The reference
    is whichever errs more, element by element: the textbook's backward, its sums over rows rounded after every row
    as autograd does for a loop, or FlashAttention's.
    """
    inputs = _without_padding(inputs)
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    flushed = _flushed(inputs, rows, unit)
    exact = [torch.zeros(tensor.shape, dtype=torch.float64) for tensor in inputs.differentiable]
    bounds = _Bounds.zeros(inputs, unit)
    scores_scaled, queries_scaled, flash = (
        [torch.zeros_like(tensor, requires_grad=False) for tensor in inputs.differentiable] for _ in range(3)
    )
    for block in _gradient_blocks(inputs, rows, upstream):
        out = errors.textbook_gradients(block.precise, block.upstream.double())
        _add_exact(exact, block, out)
        bounds.add(block, out)
        _add_textbook(scores_scaled, block, scale_first=False)
        _add_textbook(queries_scaled, block, scale_first=True)
        _add_flash(flash, block)
    bounds.close(exact, flushed=flushed[1])
    return tuple(
        Witness(oracle=oracle, reference=_farther(oracle, *forms, oracle + _drawn(deviation)), bound=bound, flush=flush)
        for oracle, bound, deviation, flush, *forms in zip(
            exact, bounds.bounds, bounds.deviations, flushed, scores_scaled, queries_scaled, flash, strict=True
        )
    )


@dataclass(frozen=True)
class _Block:
    """Some sampled rows of one head: its tensors, the same in float64, and where their gradients go.

    `place` indexes dq, `kv` dk and dv.
    """

    part: errors.Head
    precise: errors.Head
    upstream: torch.Tensor
    place: tuple[int, int, torch.Tensor]
    kv: tuple[int, int]


def _gradient_blocks(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> Iterator[_Block]:
    group = inputs.q.shape[1] // inputs.k.shape[1]
    for batch, head in _heads(inputs):
        whole = _head(inputs, batch, head, rows)
        wide = whole.to(torch.float64)
        for block in _row_blocks(inputs, rows):
            yield _Block(
                part=whole[block],
                precise=wide[block],
                upstream=upstream[batch, head, block].to(inputs.q.device),
                place=(batch, head, rows[block]),
                kv=(batch, head // group),
            )


def _add_exact(exact: list[torch.Tensor], block: _Block, out: errors.ScoreGradients) -> None:
    """Put a block's dq into its place, and add what its rows give dk and dv."""
    dq, dk, dv = exact
    dq[block.place] = out.dq.cpu()
    dk[block.kv] += (out.scores.mT @ block.precise.q).cpu()
    dv[block.kv] += (out.weights.mT @ block.upstream.double()).cpu()


def _add_textbook(reference: list[torch.Tensor], block: _Block, *, scale_first: bool) -> None:
    """Add a block as the textbook computes it, the scale applied to the queries or to the scores."""
    dq, dk, dv = reference
    out = errors.textbook_gradients(block.part, block.upstream, scale_first=scale_first)
    dq[block.place] = out.dq
    errors.add_rows(dk[block.kv], out.scores, block.part.q)
    errors.add_rows(dv[block.kv], out.weights, block.upstream)


def _add_flash(reference: list[torch.Tensor], block: _Block) -> None:
    """Add a block as FlashAttention computes it."""
    dq, dk, dv = reference
    out = errors.flash_gradients(block.part, block.upstream)
    dq[block.place] = out.dq
    dk[block.kv] += errors.product(out.scores.mT, block.part.q)
    dv[block.kv] += errors.product(out.weights.mT, block.upstream)


@dataclass(frozen=True)
class _Bounds:
    """Bounds on the errors of dq, dk and dv, and the deviations of a running sum's, as blocks are added.

    `sums` has what the bounds of dk and dv need over all rows, by batch element and key head.
    """

    bounds: list[torch.Tensor]
    deviations: list[torch.Tensor]
    sums: list[list[errors.KeySums]]
    unit: errors.Units

    @classmethod
    def zeros(cls, inputs: Inputs, unit: errors.Units) -> _Bounds:
        """Start with no block."""
        batches, kv_heads, n_k, d = inputs.k.shape
        bounds, deviations = (
            [torch.zeros(tensor.shape, dtype=torch.float64) for tensor in inputs.differentiable] for _ in range(2)
        )
        sums = [
            [errors.KeySums.zeros(n_k=n_k, d=d, d_v=inputs.v.shape[3]) for _ in range(kv_heads)] for _ in range(batches)
        ]
        return cls(bounds, deviations, sums, unit)

    def add(self, block: _Block, out: errors.ScoreGradients) -> None:
        """Bound the errors of a block's dq, and gather what its rows add to those of dk and dv."""
        batch, kv_head = block.kv
        bound, deviation = errors.query_gradient_errors(
            block.precise, block.upstream.double(), out, self.sums[batch][kv_head], self.unit
        )
        self.bounds[0][block.place], self.deviations[0][block.place] = bound.cpu(), deviation.cpu()

    def close(self, exact: list[torch.Tensor], *, flushed: float) -> None:
        """Bound the errors of dk and dv, once every block is in."""
        for batch, of_batch in enumerate(self.sums):
            for kv_head, of_head in enumerate(of_batch):
                kv = (batch, kv_head)
                self.bounds[1][kv], self.bounds[2][kv] = errors.key_gradient_bounds(
                    of_head, exact[1][kv], exact[2][kv], self.unit, flushed=flushed
                )
                self.deviations[1][kv] = of_head.dk_variance.sqrt()


def _flushed(inputs: Inputs, rows: torch.Tensor, unit: errors.Units) -> list[float]:
    """Bound what flushing to zero may cost an element of dq, dk and dv."""
    group, scale = inputs.q.shape[1] // inputs.k.shape[1], abs(_scale(inputs))
    of_queries = errors.flushed_gradient(inputs.k.shape[2], float(inputs.k.detach().abs().amax()) * scale, unit)
    of_keys = errors.flushed_gradient(len(rows) * group, float(inputs.q.detach().abs().amax()) * scale, unit)
    return [of_queries, of_keys, of_keys]


def _drawn(deviation: torch.Tensor) -> torch.Tensor:
    """Draw normal errors of given standard deviations."""
    generator = torch.Generator().manual_seed(0)
    return deviation * torch.randn(deviation.shape, generator=generator, dtype=torch.float64)


def _farther(oracle: torch.Tensor, *forms: torch.Tensor) -> torch.Tensor:
    """Return, element by element, the form that is farthest from the oracle, of those that did not overflow."""
    stacked = torch.stack([form.cpu().double() for form in forms])
    farthest = (stacked - oracle).abs().nan_to_num(nan=-1.0, posinf=-1.0).argmax(0, keepdim=True)
    return stacked.gather(0, farthest).squeeze(0)


def _without_padding(inputs: Inputs) -> Inputs:
    """Put zeros where no row of a batch element may look: whatever lies there has no say in what is right."""
    if inputs.valid_lens is None:
        return inputs
    return replace(
        inputs,
        k=without_padding(inputs.k.detach(), inputs.valid_lens),
        v=without_padding(inputs.v.detach(), inputs.valid_lens),
    )


def _heads(inputs: Inputs) -> list[tuple[int, int]]:
    return [(batch, head) for batch in range(inputs.q.shape[0]) for head in range(inputs.q.shape[1])]


def _row_blocks(inputs: Inputs, rows: torch.Tensor) -> list[slice]:
    """Cut the rows into blocks of about BLOCK_ELEMENTS scores; each sees all keys."""
    step = max(BLOCK_ROWS, BLOCK_ELEMENTS // inputs.k.shape[2])
    return [slice(start, start + step) for start in range(0, len(rows), step)]


def _head(inputs: Inputs, batch: int, head: int, rows: torch.Tensor) -> errors.Head:
    rows = rows.to(inputs.q.device)
    kv_head = head // (inputs.q.shape[1] // inputs.k.shape[1])
    return errors.Head(
        q=inputs.q[batch, head, rows].detach(),
        k=inputs.k[batch, kv_head].detach(),
        v=inputs.v[batch, kv_head].detach(),
        mask=_mask(inputs, batch, rows),
        scale=_scale(inputs),
    )


def _scale(inputs: Inputs) -> float:
    return 1.0 / math.sqrt(inputs.q.shape[-1]) if inputs.scale is None else inputs.scale


def _mask(inputs: Inputs, batch: int, rows: torch.Tensor) -> torch.Tensor:
    """Return which keys each row may attend to, [rows, n_k]; the last query is aligned with the last key."""
    n_q, n_k = inputs.q.shape[2], inputs.k.shape[2]
    keys = torch.arange(n_k, device=rows.device)
    mask = torch.ones((len(rows), n_k), dtype=torch.bool, device=rows.device)
    if inputs.causal:
        mask &= keys <= (rows + n_k - n_q).unsqueeze(-1)
    if inputs.valid_lens is not None:
        valid = inputs.valid_lens[batch]
        mask &= keys < (valid if valid.ndim == 0 else valid[rows].unsqueeze(-1))
    return mask
