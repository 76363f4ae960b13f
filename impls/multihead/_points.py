"""The points of `multihead`, what they ask of an implementation, and the tensors of one call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from impls.numerics.lengths import ValidLens, has_empty, key_lengths, parse_sizes, valid_lens_mistakes
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from impls.multihead.steps import Weights

AXES = (
    *("n", "n_q", "n_k", "width", "heads", "batch", "query_size", "key_size", "value_size"),
    *("bias", "valid_lens", "dropout", "phase"),
)
# The steps of the module that can be run alone, in the order of the work.
PHASES = ("projections", "scores", "softmax", "weighted sum", "output")
# The width of the tutorial's example module.
WIDTH = 100


@dataclass(frozen=True)
class Point:
    """One combination of sizes. `width` is num_hiddens, D; each head has width / heads features.

    `valid_lens` as for attention. `phase` names one step of the module, to be run alone; None is the whole.
    """

    n_q: int
    n_k: int
    width: int
    heads: int
    batch: int
    query_size: int
    key_size: int
    value_size: int
    bias: bool
    valid_lens: ValidLens
    dropout: float
    phase: str | None

    @property
    def d(self) -> int:
        """Return the features per head."""
        return self.width // self.heads

    @property
    def is_self_attention(self) -> bool:
        """Tell whether queries, keys and values come from one tensor."""
        return self.n_q == self.n_k and self.query_size == self.key_size == self.value_size


@dataclass(frozen=True)
class Inputs:
    """x_q `[batch, n_q, query_size]`, x_k and x_v `[batch, n_k, ...]`, the weights and the options.

    In self-attention the three are one tensor; elsewhere x_k and x_v are, where their sizes agree.
    """

    x_q: torch.Tensor
    x_k: torch.Tensor
    x_v: torch.Tensor
    weights: Weights
    heads: int
    valid_lens: torch.Tensor | None = None
    dropout: float = 0.0

    @cached_property
    def sources(self) -> dict[str, torch.Tensor]:
        """Return the distinct inputs by name."""
        if self.x_q is self.x_k is self.x_v:
            return {"x": self.x_q}
        if self.x_k is self.x_v:
            return {"x_q": self.x_q, "x_kv": self.x_k}
        return {"x_q": self.x_q, "x_k": self.x_k, "x_v": self.x_v}

    @cached_property
    def parameters(self) -> dict[str, torch.Tensor]:
        """Return the weights and biases that exist, by name."""
        return {name: value for name, value in self.weights._asdict().items() if value is not None}

    @property
    def names(self) -> tuple[str, ...]:
        """Name what gradients are taken for."""
        return (*self.sources, *self.parameters)

    @property
    def differentiable(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors that gradients are taken for, in the order of `names`."""
        return (*self.sources.values(), *self.parameters.values())

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return every tensor of the call."""
        return self.differentiable if self.valid_lens is None else (*self.differentiable, self.valid_lens)

    @property
    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the call."""
        return {"heads": self.heads, "valid_lens": self.valid_lens, "dropout": self.dropout}


def parse(point: Mapping[str, Any]) -> Point:
    """Validate a mapping of axes; `n` sets n_q and n_k, and the sizes of inputs follow width where absent."""
    mistakes = [unknown("axis", name, AXES) for name in point if name not in AXES]
    width = point.get("width", WIDTH)
    defaults = {"n_q": point.get("n"), "n_k": point.get("n"), "width": width, "heads": 1, "batch": 1}
    defaults |= dict.fromkeys(("query_size", "key_size", "value_size"), width)
    sizes, wrong = parse_sizes(point, defaults)
    mistakes += wrong
    if sizes.get("width", 1) % sizes.get("heads", 1):
        mistakes.append(f"width {sizes['width']} must be a multiple of heads {sizes['heads']}")
    options = {
        "bias": point.get("bias", False),
        "valid_lens": point.get("valid_lens"),
        "dropout": point.get("dropout", 0.0),
        "phase": point.get("phase"),
    }
    values: dict[str, Any] = {**sizes, **options}
    mistakes += _option_mistakes(options, n_k=sizes.get("n_k"))
    if not mistakes and options["phase"] is not None:
        mistakes += _phase_mistakes(Point(**values))
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Point(**{**values, "dropout": float(values["dropout"])})


def _option_mistakes(options: Mapping[str, Any], *, n_k: int | None) -> list[str]:
    mistakes = []
    bias, valid_lens, dropout, phase = (options[name] for name in ("bias", "valid_lens", "dropout", "phase"))
    if not isinstance(bias, bool):
        mistakes.append(f"bias must be true or false, not {bias!r}")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0.0 <= dropout < 1.0:
        mistakes.append(f"dropout must be a probability below 1, not {dropout!r}")
    if phase is not None and phase not in PHASES:
        mistakes.append(unknown("phase", str(phase), PHASES))
    return mistakes + valid_lens_mistakes(valid_lens, n_k)


def _phase_mistakes(point: Point) -> list[str]:
    plain = point.is_self_attention and point.query_size == point.width
    if plain and not point.bias and point.valid_lens is None and not point.dropout:
        return []
    return [f"phase {point.phase!r} is run on plain self-attention: no other sizes, bias, valid_lens or dropout"]


def features(point: Point, *, direction: str) -> frozenset[str]:
    """Name what an implementation must support to run the point."""
    needed = {
        "valid_lens": point.valid_lens is not None,
        "dead_rows": has_empty(point.valid_lens),
        "dropout": point.dropout > 0.0,
        "cross_attention": not point.is_self_attention,
        "query_size": point.query_size != point.width,
        "odd_heads": point.heads % 2 == 1,
        "backward": direction != "forward",
    }
    return frozenset(name for name, is_needed in needed.items() if is_needed)


def lengths(point: Point) -> torch.Tensor | None:
    """Return the number of leading keys each row may attend to: None, [batch] or [batch, n_q]; same at every seed."""
    return key_lengths(point.valid_lens, batch=point.batch, n_q=point.n_q, n_k=point.n_k)


def attended_pairs(point: Point) -> int:
    """Count the (query, key) pairs that the lengths allow, over batch and heads."""
    valid_lens = lengths(point)
    if valid_lens is None:
        return point.batch * point.heads * point.n_q * point.n_k
    rows = 1 if valid_lens.ndim > 1 else point.n_q
    return int(valid_lens.sum()) * rows * point.heads
