"""The oracle of each step of the module when it is run alone, on inputs of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from impls.contract import Output, Witness
from impls.numerics.errors import LAMBDA, Units, units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from impls.multihead._points import Point

Shape = tuple[int, ...]
Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Sizes:
    """The sizes of plain self-attention; `folded` is batch * heads, `d` the features per head."""

    batch: int
    heads: int
    n: int
    width: int
    d: int

    @classmethod
    def of(cls, point: Point) -> Sizes:
        """Take the sizes of a point."""
        return cls(batch=point.batch, heads=point.heads, n=point.n_q, width=point.width, d=point.d)

    @property
    def folded(self) -> int:
        """Return batch * heads."""
        return self.batch * self.heads


@dataclass(frozen=True)
class Inputs:
    """The tensors of one step, in the order of its arguments."""

    phase: str
    heads: int
    names: tuple[str, ...]
    tensors: Tensors

    @property
    def differentiable(self) -> Tensors:
        """Return the tensors that gradients would be taken for."""
        return self.tensors


@dataclass(frozen=True)
class Phase:
    """A step: shapes of its arguments and results, and a plain formula that gives the results' sampled rows.

    `inner` is the argument whose last axis its dot products run over, None if it has none (softmax).
    """

    arguments: Callable[[Sizes], Mapping[str, Shape]]
    results: Callable[[Sizes], Mapping[str, Shape]]
    plain: Callable[[Tensors, torch.Tensor, int], Tensors]
    inner: int | None


def _projections(tensors: Tensors, rows: torch.Tensor, heads: int) -> Tensors:
    x, *weights = tensors
    return tuple(
        torch.einsum("bnw,hdw->bhnd", x[:, rows], w.reshape(heads, -1, w.shape[1])).flatten(0, 1) for w in weights
    )


def _scores(tensors: Tensors, rows: torch.Tensor, _: int) -> Tensors:
    q, k = tensors
    return (torch.einsum("bqd,bkd->bqk", q[:, rows] * q.shape[-1] ** -0.5, k),)


def _softmax(tensors: Tensors, rows: torch.Tensor, _: int) -> Tensors:
    scores = tensors[0][:, rows]
    weights = torch.exp(scores - scores.amax(-1, keepdim=True))
    return (weights / weights.sum(-1, keepdim=True),)


def _weighted_sum(tensors: Tensors, rows: torch.Tensor, _: int) -> Tensors:
    weights, v = tensors
    return (torch.einsum("bqk,bkd->bqd", weights[:, rows], v),)


def _output(tensors: Tensors, rows: torch.Tensor, heads: int) -> Tensors:
    out, w = tensors
    return (
        torch.einsum(
            "bhnd,whd->bnw", out[:, rows].reshape(-1, heads, len(rows), out.shape[-1]), w.reshape(len(w), heads, -1)
        ),
    )


PHASES: Mapping[str, Phase] = {
    "projections": Phase(
        arguments=lambda s: {
            "x": (s.batch, s.n, s.width),
            **dict.fromkeys(("w_q", "w_k", "w_v"), (s.width, s.width)),
        },
        results=lambda s: dict.fromkeys(("q", "k", "v"), (s.folded, s.n, s.d)),
        plain=_projections,
        inner=0,
    ),
    "scores": Phase(
        arguments=lambda s: {"q": (s.folded, s.n, s.d), "k": (s.folded, s.n, s.d)},
        results=lambda s: {"scores": (s.folded, s.n, s.n)},
        plain=_scores,
        inner=0,
    ),
    "softmax": Phase(
        arguments=lambda s: {"scores": (s.folded, s.n, s.n)},
        results=lambda s: {"weights": (s.folded, s.n, s.n)},
        plain=_softmax,
        inner=None,
    ),
    "weighted sum": Phase(
        arguments=lambda s: {"weights": (s.folded, s.n, s.n), "v": (s.folded, s.n, s.d)},
        results=lambda s: {"out": (s.folded, s.n, s.d)},
        plain=_weighted_sum,
        inner=0,
    ),
    "output": Phase(
        arguments=lambda s: {"out": (s.folded, s.n, s.d), "w_o": (s.width, s.width)},
        results=lambda s: {"y": (s.batch, s.n, s.width)},
        plain=_output,
        inner=1,
    ),
}


def inputs(phase: str, *, sizes: Sizes, normal: Callable[..., torch.Tensor], dtype: torch.dtype) -> Inputs:
    """Draw a step's arguments: standard normal, matrices scaled to keep variance, attention weights summing to one."""
    tensors = {name: normal(*shape) for name, shape in PHASES[phase].arguments(sizes).items()}
    scaled = {name: x * x.shape[-1] ** -0.5 if name.startswith("w_") else x for name, x in tensors.items()}
    if "weights" in scaled:
        scaled["weights"] = scaled["weights"].softmax(-1)
    return Inputs(phase, sizes.heads, tuple(scaled), tuple(x.to(dtype) for x in scaled.values()))


def outputs(phase: str, *, sizes: Sizes) -> tuple[Output, ...]:
    """Describe what a step returns; rows are on axis 1 of each."""
    return tuple(Output(name, shape, row_axis=1) for name, shape in PHASES[phase].results(sizes).items())


def elements(phase: str, *, sizes: Sizes) -> tuple[int, int]:
    """Count the elements that a step reads and writes."""
    chosen = PHASES[phase]
    read, written = chosen.arguments(sizes).values(), chosen.results(sizes).values()
    return sum(map(math.prod, read)), sum(map(math.prod, written))


def witness(inputs: Inputs, rows: torch.Tensor) -> tuple[Witness, ...]:
    """Return oracle, reference and error bound of the sampled rows of each result."""
    phase = PHASES[inputs.phase]
    rows = rows.to(inputs.tensors[0].device)
    wide = tuple(tensor.double() for tensor in inputs.tensors)
    oracles = phase.plain(wide, rows, inputs.heads)
    references = phase.plain(inputs.tensors, rows, inputs.heads)
    unit = units(inputs.tensors[0].dtype, rows.device)
    if phase.inner is None:
        bounds = _softmax_bound(wide, oracles, rows, unit=unit)
    else:
        bounds = _product_bounds(inputs, rows, unit=unit, length=inputs.tensors[phase.inner].shape[-1])
    return tuple(
        Witness(
            oracle=oracle.cpu(),
            reference=reference.double().cpu(),
            bound=(bound + 4 * unit.flush).cpu(),
            flush=4 * unit.flush,
        )
        for oracle, reference, bound in zip(oracles, references, bounds, strict=True)
    )


def _product_bounds(inputs: Inputs, rows: torch.Tensor, *, unit: Units, length: int) -> Tensors:
    """Bound the error of dot products: lambda sqrt(m) u |a||b| for the sum, 2u for scaling and storing."""
    absolute = tuple(tensor.double().abs() for tensor in inputs.tensors)
    relative = LAMBDA * math.sqrt(length + 2) * unit.accumulate + 2 * unit.store
    return tuple(relative * size for size in PHASES[inputs.phase].plain(absolute, rows, inputs.heads))


def _softmax_bound(wide: Tensors, oracles: Tensors, rows: torch.Tensor, *, unit: Units) -> Tensors:
    """Bound the rounding error of exponential, sum and division."""
    scores = wide[0][:, rows]
    below_top = scores.amax(-1, keepdim=True) - scores
    relative = unit.accumulate * (below_top + 4 + LAMBDA * math.sqrt(scores.shape[-1] + 2)) + 2 * unit.store
    return (oracles[0] * relative,)
