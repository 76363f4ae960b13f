"""The problem `multihead`: x -> projections -> attention -> projection, with its inputs, oracle and cost model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from impls.attention.problem import GOLDEN, ValidLens
from impls.multihead import _oracle, _phases
from impls.multihead.steps import Weights
from impls.registry import Cost, Implementation, Output, Probe, Witness, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AXES = (
    *("n", "n_q", "n_k", "width", "heads", "batch", "query_size", "key_size", "value_size"),
    *("bias", "valid_lens", "dropout", "phase"),
)
# The width of the tutorial's example module.
WIDTH = 100
# Fused backward of the attention core: five products where forward has two (FlashAttention-2, section 3.1).
CORE_BACKWARD = 2.5
# A projection's backward has a product for its input and one for its weights.
PROJECTION_BACKWARD = 2.0
# Softmax touches each score five times: maximum, subtraction, exponential, sum, division.
SOFTMAX_OPERATIONS = 5
# Dropout scatters an output by about its own size. A mean in the inputs, and scores so small that every key counts, let
# the output stand out of that noise, so that a missing rescaling, or zeros, show.
MEAN_UNDER_DROPOUT = 1.0
QUERY_GAIN_UNDER_DROPOUT = 0.125

# Edges of common block sizes, so that sampled rows meet the tails of blocked kernels.
BLOCKS = (16, 32, 64, 128, 256)


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
    sizes: dict[str, Any] = {}
    width = point.get("width", WIDTH)
    defaults = {"n_q": point.get("n"), "n_k": point.get("n"), "width": width, "heads": 1, "batch": 1}
    defaults |= dict.fromkeys(("query_size", "key_size", "value_size"), width)
    for name, default in defaults.items():
        value = point.get(name, default)
        if value is None:
            mistakes.append(f"{name} is missing: give n, or n_q and n_k")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            mistakes.append(f"{name} must be a positive integer, not {value!r}")
        else:
            sizes[name] = value
    if sizes.get("width", 1) % sizes.get("heads", 1):
        mistakes.append(f"width {sizes['width']} must be a multiple of heads {sizes['heads']}")
    options = {
        "bias": point.get("bias", False),
        "valid_lens": point.get("valid_lens"),
        "dropout": point.get("dropout", 0.0),
        "phase": point.get("phase"),
    }
    mistakes += _option_mistakes(options, n_k=sizes.get("n_k"))
    if not mistakes and options["phase"] is not None:
        mistakes += _phase_mistakes(Point(**sizes, **options))
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Point(**sizes, **{**options, "dropout": float(options["dropout"])})


def _option_mistakes(options: Mapping[str, Any], *, n_k: int | None) -> list[str]:
    mistakes = []
    bias, valid_lens, dropout, phase = (options[name] for name in ("bias", "valid_lens", "dropout", "phase"))
    if not isinstance(bias, bool):
        mistakes.append(f"bias must be true or false, not {bias!r}")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0.0 <= dropout < 1.0:
        mistakes.append(f"dropout must be a probability below 1, not {dropout!r}")
    if phase is not None and phase not in _phases.NAMES:
        mistakes.append(unknown("phase", str(phase), _phases.NAMES))
    if valid_lens is None or valid_lens in ("batch", "rows"):
        return mistakes
    if isinstance(valid_lens, bool) or not isinstance(valid_lens, int) or valid_lens < 0:
        mistakes.append(f"valid_lens must be a length, 'batch' or 'rows', not {valid_lens!r}")
    elif n_k is not None and valid_lens > n_k:
        mistakes.append(f"valid_lens {valid_lens} exceeds n_k {n_k}")
    return mistakes


def _phase_mistakes(point: Point) -> list[str]:
    plain = point.is_self_attention and point.query_size == point.width
    if plain and not point.bias and point.valid_lens is None and not point.dropout:
        return []
    return [f"phase {point.phase!r} is run on plain self-attention: no other sizes, bias, valid_lens or dropout"]


def features(point: Point, *, direction: str) -> frozenset[str]:
    """Name what an implementation must support to run the point."""
    needed = {
        "valid_lens": point.valid_lens is not None,
        "dead_rows": point.valid_lens == 0,
        "dropout": point.dropout > 0.0,
        "cross_attention": not point.is_self_attention,
        "query_size": point.query_size != point.width,
        "odd_heads": point.heads % 2 == 1,
        "backward": direction != "forward",
    }
    return frozenset(name for name, is_needed in needed.items() if is_needed)


def lengths(point: Point) -> torch.Tensor | None:
    """Return the number of leading keys each row may attend to: None, [batch] or [batch, n_q]; same at every seed."""
    if point.valid_lens is None:
        return None
    if isinstance(point.valid_lens, int):
        return torch.full((point.batch,), point.valid_lens, dtype=torch.int64)
    shape = (point.batch,) if point.valid_lens == "batch" else (point.batch, point.n_q)
    spread = (torch.arange(1, math.prod(shape) + 1, dtype=torch.float64) * GOLDEN) % 1.0
    return (1 + (spread * point.n_k).to(torch.int64)).clamp(max=point.n_k).reshape(shape)


def inputs(
    point: Point, *, dtype: torch.dtype, device: torch.device, seed: int, kind: str = "normal"
) -> Inputs | _phases.Inputs:
    """Draw inputs of unit variance and weights that keep it; the same seed gives the same values.

    `kind` is "normal", or "large logits" for scores of standard deviation 8.
    """
    generator = torch.Generator(device=device).manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32, device=device)

    if point.phase is not None:
        return _phases.inputs(point.phase, sizes=_phases.Sizes.of(point), normal=normal, dtype=dtype)
    mean = MEAN_UNDER_DROPOUT if point.dropout else 0.0

    def source(n: int, size: int) -> torch.Tensor:
        return (normal(point.batch, n, size) + mean).to(dtype)

    def weight(size: int, *, gain: float = 1.0) -> torch.Tensor:
        return (normal(point.width, size) * (gain / math.sqrt(size))).to(dtype)

    gain = QUERY_GAIN_UNDER_DROPOUT if point.dropout else 1.0
    x_q = source(point.n_q, point.query_size)
    x_k = x_q if point.is_self_attention else source(point.n_k, point.key_size)
    x_v = x_k if point.key_size == point.value_size else source(point.n_k, point.value_size)
    biases = [normal(point.width).to(dtype) if point.bias else None for _ in range(4)]
    valid_lens = lengths(point)
    return Inputs(
        x_q=x_q,
        x_k=x_k,
        x_v=x_v,
        weights=Weights(
            weight(point.query_size, gain=8.0 * gain if kind == "large logits" else gain),
            weight(point.key_size),
            weight(point.value_size),
            weight(point.width),
            *biases,
        ),
        heads=point.heads,
        valid_lens=None if valid_lens is None else valid_lens.to(device),
        dropout=point.dropout,
    )


def outputs(point: Point) -> tuple[Output, ...]:
    """Describe the one output, [batch, n_q, width], or what a phase gives."""
    if point.phase is not None:
        return _phases.outputs(point.phase, sizes=_phases.Sizes.of(point))
    return (Output("out", (point.batch, point.n_q, point.width), row_axis=1),)


def bind(implementation: Implementation, inputs: Inputs | _phases.Inputs) -> Callable[[], Any]:
    """Return the call to measure; what `prepare` does happens here, outside it."""
    if isinstance(inputs, _phases.Inputs):
        return lambda: implementation.function(*inputs.tensors, heads=inputs.heads)
    x_q, x_k, x_v, weights, options = inputs.x_q, inputs.x_k, inputs.x_v, inputs.weights, inputs.options
    if implementation.prepare is not None:
        return implementation.prepare(x_q, x_k, x_v, weights, **options)
    return lambda: implementation.function(x_q, x_k, x_v, weights, **options)


def sample_rows(point: Point, *, count: int, seed: int) -> torch.Tensor:
    """Choose query rows: all if they fit, else the ends, block edges and a random rest."""
    n = point.n_q
    if n <= count:
        return torch.arange(n)
    edges = {0, n - 1}
    for block in BLOCKS:
        edges |= {block - 1, block, n // block * block - 1, n // block * block}
    chosen = sorted(row for row in edges if 0 <= row < n)[: count // 2]
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    rest = [row for row in shuffled if row not in edges][: count - len(chosen)]
    return torch.tensor(sorted(chosen + rest))


def witness(inputs: Inputs | _phases.Inputs, rows: torch.Tensor) -> tuple[Witness, ...]:
    """Return oracle, reference and error bound of the sampled rows of each output."""
    if isinstance(inputs, _phases.Inputs):
        return _phases.witness(inputs, rows)
    return (_oracle.witness(inputs, rows),)


def gradient_witness(
    inputs: Inputs | _phases.Inputs, rows: torch.Tensor, upstream: torch.Tensor
) -> tuple[Witness, ...]:
    """Return a witness for the gradient of each input and weight, for upstream [batch, rows, width] on sampled rows."""
    if isinstance(inputs, _phases.Inputs):
        raise TypeError(f"phase {inputs.phase!r} is run forward only")
    return _oracle.gradient_witness(inputs, rows, upstream)


def cost(point: Point, *, itemsize: int, direction: str) -> Cost:
    """Count the operations of products, projections included, and the bytes of inputs, weights and output.

    `phases` also has softmax, five operations a score, which the total leaves out as published figures do.
    """
    phases = phase_operations(point)
    if point.phase is not None:
        elements = _phases.elements(point.phase, sizes=_phases.Sizes.of(point))
        return _cost(point, operations=phases[point.phase], elements=elements, itemsize=itemsize, phases=phases)
    projections = phases["projections"] + phases["output"]
    core = phases["scores"] + phases["weighted sum"]
    backward = round(PROJECTION_BACKWARD * projections + CORE_BACKWARD * core)
    forward = projections + core
    operations = {"forward": forward, "backward": backward, "forward+backward": forward + backward}[direction]
    sources = [point.n_q * point.query_size]
    if not point.is_self_attention:
        sources.append(point.n_k * point.key_size)
        if point.key_size != point.value_size:
            sources.append(point.n_k * point.value_size)
    weights = point.width * (point.query_size + point.key_size + point.value_size + point.width)
    weights += 4 * point.width if point.bias else 0
    elements = (point.batch * sum(sources) + weights, point.batch * point.n_q * point.width)
    # Backward reads inputs, output and its gradient, and writes a gradient for each input.
    passes = {"forward": 1, "backward": 2, "forward+backward": 3}[direction]
    return _cost(point, operations=operations, elements=elements, itemsize=itemsize, phases=phases, passes=passes)


def _cost(
    point: Point,
    *,
    operations: int,
    elements: tuple[int, int],
    itemsize: int,
    phases: Mapping[str, int],
    passes: int = 1,
) -> Cost:
    read, written = elements
    return Cost(
        operations=operations,
        attended=attended_pairs(point),
        score_elements=point.batch * point.heads * point.n_q * point.n_k,
        query_rows=point.batch * point.heads * point.n_q,
        input_bytes=read * itemsize,
        output_bytes=written * itemsize,
        ideal_bytes=passes * (read + written) * itemsize,
        phases=phases,
    )


def phase_operations(point: Point) -> dict[str, int]:
    """Count the forward operations of each step."""
    pairs = attended_pairs(point)
    inputs = point.n_q * point.query_size + point.n_k * (point.key_size + point.value_size)
    return {
        "projections": 2 * point.batch * inputs * point.width,
        "scores": 2 * pairs * point.d,
        "softmax": SOFTMAX_OPERATIONS * pairs,
        "weighted sum": 2 * pairs * point.d,
        "output": 2 * point.batch * point.n_q * point.width**2,
    }


def attended_pairs(point: Point) -> int:
    """Count the (query, key) pairs that the lengths allow, over batch and heads."""
    valid_lens = lengths(point)
    if valid_lens is None:
        return point.batch * point.heads * point.n_q * point.n_k
    rows = 1 if valid_lens.ndim > 1 else point.n_q
    return int(valid_lens.sum()) * rows * point.heads


# A length that is no multiple of a block, two heads and batch elements so that mixing them up shows.
SMALL = {"n": 33, "width": 32, "heads": 2, "batch": 2}
PROBES = (
    Probe("plain", SMALL, quick=True),
    Probe("bias", {**SMALL, "bias": True}, quick=True),
    Probe("lengths per batch element", {**SMALL, "valid_lens": "batch"}, quick=True),
    Probe("lengths per row", {**SMALL, "valid_lens": "rows"}),
    Probe("nothing to attend to", {**SMALL, "valid_lens": 0}),
    Probe("cross-attention", {"n_q": 5, "n_k": 37, "width": 32, "heads": 4, "batch": 2}, quick=True),
    Probe("one query", {"n_q": 1, "n_k": 300, "width": 32, "heads": 2}),
    Probe(
        "other sizes",
        {"n_q": 7, "n_k": 19, "width": 24, "heads": 3, "batch": 2, "query_size": 10, "key_size": 14, "value_size": 6},
    ),
    Probe("odd heads", {**SMALL, "width": 30, "heads": 5}),
    Probe("large logits", SMALL, kind="large logits"),
    Probe("the tutorial's shapes", {"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2, "valid_lens": "batch"}),
    Probe("dropout", {**SMALL, "dropout": 0.5}),
)
REPEATED = Probe("tiny", {"n": 6, "width": 16, "heads": 2})
