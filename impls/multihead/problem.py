"""The problem `multihead`: x -> projections -> attention -> projection, with its inputs, oracle and cost model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from impls.contract import Cost, Implementation, Output, Probe, Witness
from impls.multihead import _oracle, _phases
from impls.multihead._points import AXES, Inputs, Point, attended_pairs, features, lengths, parse
from impls.multihead.steps import Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["AXES", "Inputs", "Point", "features", "parse"]

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
        matrices=point.batch * point.heads,
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
    Probe("dropout's scatter", {**SMALL, "dropout": 0.5}, quick=True, scatters=True),
    Probe("one query, two batch elements", {"n_q": 1, "n_k": 20, "width": 32, "heads": 2, "batch": 2}),
    Probe("one empty sequence", {**SMALL, "n": 12, "batch": 3, "valid_lens": "batch_empty"}, quick=True),
    Probe("strided gradient", SMALL, upstream="strided"),
    Probe("expanded gradient", SMALL, upstream="expanded"),
)
REPEATED = Probe("tiny", {"n": 6, "width": 16, "heads": 2})
