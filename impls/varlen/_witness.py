"""What defines right for `varlen`: float64 oracle, plain references and error bounds on sampled tokens.

Each sequence is an attention of its own; those of which no token is sampled have nothing to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from impls.contract import Witness
from impls.numerics import errors
from impls.numerics.forms import drawn, farther
from impls.numerics.lengths import BLOCK_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from impls.varlen._points import Inputs


def witness(inputs: Inputs, rows: torch.Tensor) -> tuple[Witness]:
    """Return oracle, reference and error bound of the output's sampled tokens, each [rows, heads, d_v]."""
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    shape = (len(rows), inputs.q.shape[1], inputs.v.shape[2])
    oracle, reference, prescaled, bound, summation = (torch.zeros(shape, dtype=torch.float64) for _ in range(5))
    for part in _parts(inputs, rows):
        wide = part.head.to(torch.float64)
        weights = errors.weights_error(wide, unit)
        out = weights.weights @ wide.v
        limit, deviation = errors.output_errors(wide, weights, out, unit)
        part.put_rows(oracle, out)
        part.put_rows(reference, errors.plain(part.head))
        part.put_rows(prescaled, errors.plain(part.head, scale_first=True))
        part.put_rows(bound, limit)
        part.put_rows(summation, deviation)
    # An error of a running sum, drawn: a plain loop over keys commits it, and a blocked matrix product doesn't.
    reference = farther(oracle, reference, prescaled, reference + drawn(summation))
    flush = errors.flushed_output(inputs.max_seqlen, unit)
    return (Witness(oracle=oracle, reference=reference, bound=bound, flush=flush),)


def gradient_witness(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]:
    """Return a witness each for dq, dk and dv, for an upstream gradient [rows, heads, d_v] on sampled tokens.

    Others get no upstream gradient. The reference is whichever errs more, element by element: the textbook's backward,
    its sums over rows rounded after every row as autograd does for a loop, or FlashAttention's.
    """
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    flushed = _flushed(inputs, rows, unit)
    exact, bounds, deviations, *forms = (_Gradients.zeros(inputs) for _ in range(6))
    for part in _parts(inputs, rows):
        head, wide = part.head, part.head.to(torch.float64)
        given = part.of_rows(upstream.to(inputs.q.device))
        weights = errors.weights_error(wide, unit)
        out = errors.exact_gradients(wide, weights, given.double())
        dk, dv = exact.put(part, wide, out, given.double(), add=errors.add_product)
        for form, scale_first in zip(forms[:2], (False, True), strict=True):
            form.put(
                part, head, errors.textbook_gradients(head, given, scale_first=scale_first), given, add=errors.add_rows
            )
        forms[2].put(part, head, errors.flash_gradients(head, given), given, add=errors.add_product)
        sums = errors.KeySums.zeros(wide)
        limit, deviation = errors.query_gradient_errors(wide, weights, given.double(), out, sums, unit)
        part.put_tokens(bounds.dq, limit)
        part.put_tokens(deviations.dq, deviation)
        of_keys = errors.key_gradient_bounds(sums, dk, dv, unit, flushed=flushed[1])
        for target, value in zip((bounds.dk, bounds.dv), of_keys, strict=True):
            part.put_keys(target, value)
        part.put_keys(deviations.dk, sums.dk_variance.sqrt())
    found = zip(*(each.all for each in (exact, bounds, deviations, *forms)), strict=True)
    return tuple(
        Witness(oracle=oracle, reference=farther(oracle, *others, oracle + drawn(deviation)), bound=bound, flush=flush)
        for flush, (oracle, bound, deviation, *others) in zip(flushed, found, strict=True)
    )


@dataclass(frozen=True)
class _Part:
    """Some key heads of one sequence, with its sampled tokens of the query heads that share each.

    `head` is in the inputs' dtype: q [kv_heads, group * rows, d]. `sampled` are places among the sampled rows, `rows`
    those tokens in the pack, `keys` the sequence in it, `kv_heads` and `heads` the heads.
    """

    head: errors.Head
    sampled: torch.Tensor
    rows: torch.Tensor
    keys: slice
    kv_heads: slice
    heads: slice

    def put_rows(self, target: torch.Tensor, value: torch.Tensor) -> None:
        """Put [kv_heads, group * rows, features] into [sampled rows, heads, features]."""
        target[self.sampled, self.heads] = self._by_token(value).to(target)

    def put_tokens(self, target: torch.Tensor, value: torch.Tensor) -> None:
        """Put [kv_heads, group * rows, features] into [tokens, heads, features]."""
        target[self.rows, self.heads] = self._by_token(value).to(target)

    def put_keys(self, target: torch.Tensor, value: torch.Tensor) -> None:
        """Put [kv_heads, keys, features] into [tokens, kv_heads, features]."""
        target[self.keys, self.kv_heads] = value.transpose(0, 1).to(target)

    def of_rows(self, upstream: torch.Tensor) -> torch.Tensor:
        """Gather [kv_heads, group * rows, features] from [sampled rows, heads, features]."""
        chosen = upstream[self.sampled.to(upstream.device), self.heads]
        return _by_kv_head(chosen, self.kv_heads.stop - self.kv_heads.start)

    def _by_token(self, value: torch.Tensor) -> torch.Tensor:
        """Turn [kv_heads, group * rows, features] into [rows, heads, features]."""
        kv_heads, _, size = value.shape
        return value.reshape(kv_heads, -1, len(self.rows), size).permute(2, 0, 1, 3).flatten(1, 2)


def _by_kv_head(value: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """Turn [rows, heads, features] into [kv_heads, group * rows, features]."""
    rows, _, size = value.shape
    return value.reshape(rows, kv_heads, -1, size).permute(1, 2, 0, 3).flatten(1, 2)


def _parts(inputs: Inputs, rows: torch.Tensor) -> Iterator[_Part]:
    """Cut the work by sequences, and by key heads where they have many scores."""
    kv_heads, group = inputs.k.shape[1], inputs.q.shape[1] // inputs.k.shape[1]
    scale = 1.0 / math.sqrt(inputs.q.shape[-1]) if inputs.scale is None else inputs.scale
    edges = inputs.cu_seqlens.cpu().long()
    rows = rows.cpu()
    # The last sequence that begins at or before a token: empty ones before it begin there too.
    owners = torch.searchsorted(edges, rows, right=True) - 1
    for sequence in sorted(set(owners.tolist())):
        sampled = (owners == sequence).nonzero().flatten()
        begin, end = edges[sequence : sequence + 2].tolist()
        own, keys = rows[sampled], slice(begin, end)
        seen = torch.ones(len(own), end - begin, dtype=torch.bool)
        if inputs.causal:
            seen = torch.arange(end - begin) <= (own - begin).unsqueeze(-1)
        seen = seen.repeat(group, 1).to(inputs.q.device)
        step = max(1, BLOCK_ELEMENTS // seen.numel())
        for first in range(0, kv_heads, step):
            some = slice(first, min(first + step, kv_heads))
            heads = slice(some.start * group, some.stop * group)
            head = errors.Head(
                q=_by_kv_head(inputs.q.detach()[own.to(inputs.q.device), heads], some.stop - some.start),
                k=inputs.k.detach()[keys, some].transpose(0, 1),
                v=inputs.v.detach()[keys, some].transpose(0, 1),
                mask=seen.expand(some.stop - some.start, -1, -1),
                scale=scale,
            )
            yield _Part(head, sampled, own, keys, some, heads)


@dataclass(frozen=True)
class _Gradients:
    """Gradients of all tokens, float64 on the CPU, zero where no sampled token reaches."""

    dq: torch.Tensor
    dk: torch.Tensor
    dv: torch.Tensor

    @classmethod
    def zeros(cls, inputs: Inputs) -> _Gradients:
        """Start with no sequence."""
        return cls(*(torch.zeros(tensor.shape, dtype=torch.float64) for tensor in inputs.differentiable))

    @property
    def all(self) -> tuple[torch.Tensor, ...]:
        """Return dq, dk and dv."""
        return (self.dq, self.dk, self.dv)

    def put(
        self,
        part: _Part,
        head: errors.Head,
        found: errors.ScoreGradients,
        upstream: torch.Tensor,
        *,
        add: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put a part's gradients into their places; return its dk and dv, [kv_heads, keys, features]."""
        dk, dv = (torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device) for tensor in (head.k, head.v))
        add(dk, found.scores, head.q)
        add(dv, found.weights, upstream)
        part.put_tokens(self.dq, found.dq)
        part.put_keys(self.dk, dk)
        part.put_keys(self.dv, dv)
        return dk, dv


def _flushed(inputs: Inputs, rows: torch.Tensor, unit: errors.Units) -> list[float]:
    """Bound what flushing to zero may cost an element of dq, dk and dv."""
    group = inputs.q.shape[1] // inputs.k.shape[1]
    scale = abs(1.0 / math.sqrt(inputs.q.shape[-1]) if inputs.scale is None else inputs.scale)
    of_queries = errors.flushed_gradient(inputs.max_seqlen, float(inputs.k.detach().abs().amax()) * scale, unit)
    of_keys = errors.flushed_gradient(len(rows) * group, float(inputs.q.detach().abs().amax()) * scale, unit)
    return [of_queries, of_keys, of_keys]
