"""The problem `pooling`: kernel regression, queries x and pairs (x_i, y_i) -> weighted means of y.

Nadaraya (1964), Watson (1964): f(x) = sum_i K((x - x_i) w) y_i / sum_i K((x - x_i) w); Dive into Deep Learning, chapter
"Attention Pooling by Similarity".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from impls.contract import Cost, Implementation, Output, Probe, Witness
from impls.numerics.bounded import Bounded
from impls.numerics.errors import LAMBDA, Units, flushed_output, units
from impls.numerics.lengths import parse_sizes
from impls.pooling import _gradients as bounded
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AXES = ("n", "n_q", "n_k", "kernel", "w")
# "constant" weighs all keys alike: average pooling.
KERNELS = ("gaussian", "boxcar", "epanechnikov", "constant")
# Kernels whose weights change smoothly with w; the others have no gradient for it.
SMOOTH = ("gaussian", "epanechnikov")
# The tutorial's data: x uniform on [0, 10), y = 2 sin(x) + x^0.8 + noise of standard deviation 0.5.
SPAN = 10.0
NOISE = 0.5
# The worst of eight errors is near the largest that is usual.
ORDERS = 8
# A weight takes a difference, a product, two more for the kernel, and a division.
OPERATIONS_PER_WEIGHT = 5


@dataclass(frozen=True)
class Point:
    """One combination of sizes; `w` scales distances, so a larger one narrows the kernel."""

    n_q: int
    n_k: int
    kernel: str
    w: float


@dataclass(frozen=True)
class Inputs:
    """queries `[n_q]`, keys `[n_k]` sorted, values `[n_k]`, and the scale w, a tensor without axes."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    w: torch.Tensor
    kernel: str

    @property
    def names(self) -> tuple[str, ...]:
        """Name what gradients are taken for."""
        return ("values", "w") if self.kernel in SMOOTH else ("values",)

    @property
    def differentiable(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors that gradients are taken for, in the order of `names`."""
        return (self.values, self.w) if self.kernel in SMOOTH else (self.values,)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return every tensor of the call."""
        return (self.queries, self.keys, self.values, self.w)


def parse(point: Mapping[str, Any]) -> Point:
    """Validate a mapping of axes; `n` sets n_q and n_k, the kernel is Gaussian and w is 1 if absent."""
    mistakes = [unknown("axis", name, AXES) for name in point if name not in AXES]
    sizes, wrong = parse_sizes(point, dict.fromkeys(("n_q", "n_k"), point.get("n")))
    mistakes += wrong
    kernel, w = point.get("kernel", "gaussian"), point.get("w", 1.0)
    if kernel not in KERNELS:
        mistakes.append(unknown("kernel", str(kernel), KERNELS))
    if isinstance(w, bool) or not isinstance(w, int | float) or not math.isfinite(w):
        mistakes.append(f"w must be a finite number, not {w!r}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Point(kernel=kernel, w=float(w), **sizes)


def features(point: Point, *, direction: str) -> frozenset[str]:  # noqa: ARG001
    """Name what an implementation must support to run the point."""
    return frozenset() if direction == "forward" else frozenset({"backward"})


def inputs(point: Point, *, dtype: torch.dtype, device: torch.device, seed: int, kind: str = "normal") -> Inputs:
    """Draw the tutorial's data: sorted keys, noisy values, queries spread evenly over the span.

    `kind` is "normal", or "gaps" for keys in two far groups, so that narrow kernels find none for some queries.
    """
    generator = torch.Generator().manual_seed(seed)
    keys = torch.rand(point.n_k, generator=generator).sort().values * SPAN
    if kind == "gaps":
        keys = torch.where(keys < SPAN / 2, keys / SPAN, SPAN - (SPAN - keys) / SPAN)
    values = truth(keys) + NOISE * torch.randn(point.n_k, generator=generator)
    # Queries off the grid of any kernel's edge: a boxcar's weight jumps there, and rounding would decide.
    queries = (torch.arange(point.n_q) + 0.5) * (SPAN / point.n_q)
    q, k, v, w = (x.to(device=device, dtype=dtype) for x in (queries, keys, values, torch.tensor(point.w)))
    return Inputs(q, k, v, w, kernel=point.kernel)


def truth(x: torch.Tensor) -> torch.Tensor:
    """Return the tutorial's function, 2 sin(x) + x^0.8."""
    return 2 * torch.sin(x) + x**0.8


def outputs(point: Point) -> tuple[Output, ...]:
    """Describe the predictions [n_q] and the attention weights [n_q, n_k]."""
    return (Output("predictions", (point.n_q,), row_axis=0), Output("weights", (point.n_q, point.n_k), row_axis=0))


def bind(implementation: Implementation, inputs: Inputs) -> Callable[[], Any]:
    """Return the call to measure."""
    function, tensors = implementation.function, (inputs.queries, inputs.keys, inputs.values)
    return lambda: function(*tensors, kernel=inputs.kernel, w=inputs.w)


def sample_rows(point: Point, *, count: int, seed: int) -> torch.Tensor:
    """Choose queries: all if they fit, else both ends and a random rest."""
    if point.n_q <= count:
        return torch.arange(point.n_q)
    middle = torch.randperm(point.n_q - 2, generator=torch.Generator().manual_seed(seed))[: count - 2] + 1
    return torch.cat([torch.tensor([0, point.n_q - 1]), middle]).sort().values


def witness(inputs: Inputs, rows: torch.Tensor) -> tuple[Witness, Witness]:
    """Return oracle, reference and error bound of the sampled predictions [rows] and weights [rows, n_k]."""
    chosen = inputs.queries[rows.to(inputs.queries.device)]
    unit = units(chosen.dtype, chosen.device)
    wide = [x.double() for x in (chosen, inputs.keys, inputs.values, inputs.w)]
    exact, bounds = plain(*wide, kernel=inputs.kernel), error_bounds(*wide, kernel=inputs.kernel, unit=unit)
    tried = [
        (predictions.double(), weights[:, keys.argsort()].double())
        for keys in _orders_of_summation(inputs)
        for predictions, weights in [
            plain(chosen, inputs.keys[keys], inputs.values[keys], inputs.w, kernel=inputs.kernel)
        ]
    ]
    flush = flushed_output(len(inputs.keys), unit) * (1 + float(inputs.values.detach().abs().amax()))
    first, second = (
        Witness(
            oracle=oracle.cpu(),
            reference=_worst(torch.stack(references), exact=oracle).cpu(),
            bound=(bound + flush).cpu(),
            flush=flush,
        )
        for oracle, references, bound in zip(exact, zip(*tried, strict=True), bounds, strict=True)
    )
    return first, second


def gradient_witness(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]:
    """Return a witness for the gradients of values and, for a smooth kernel, w; upstream is [rows]."""
    exact = _gradients(inputs, rows, upstream, dtype=torch.float64)
    references = _gradients(inputs, rows, upstream, dtype=inputs.queries.dtype)
    bounds = _gradient_bounds(inputs, rows, upstream)
    return tuple(
        Witness(oracle=oracle, reference=reference, bound=bound.cpu())
        for oracle, reference, bound in zip(exact, references, bounds, strict=True)
    )


def _gradient_bounds(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor) -> list[torch.Tensor]:
    """Bound the rounding errors of the gradients of `inputs.differentiable`."""
    unit = units(inputs.queries.dtype, inputs.queries.device)
    queries = inputs.queries[rows.to(inputs.queries.device)]
    wide = [x.detach().double() for x in (queries, inputs.keys, inputs.values, inputs.w)]
    x, keys, values, w, gradient = (Bounded.exact(t, unit) for t in (*wide, upstream.to(queries).double()))
    _, weights = plain(*wide, kernel=inputs.kernel)
    _, error = error_bounds(*wide, kernel=inputs.kernel, unit=unit)
    attention = Bounded(weights, error, unit)
    found = [bounded.values_gradient(attention, gradient)]
    if inputs.kernel in SMOOTH:
        slope = {
            "gaussian": bounded.gaussian_scale_gradient,
            "epanechnikov": bounded.epanechnikov_scale_gradient,
        }[inputs.kernel]
        found.append(slope(bounded.Distances(x, keys, w), attention, values, gradient))
    return [each.bound for each in found]


def _gradients(inputs: Inputs, rows: torch.Tensor, upstream: torch.Tensor, *, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return the gradients of `inputs.differentiable`, computed in `dtype`."""
    values, w = (x.detach().to(dtype).requires_grad_(True) for x in (inputs.values, inputs.w))
    queries = inputs.queries[rows.to(inputs.queries.device)].to(dtype)
    with torch.enable_grad():
        predictions, _ = plain(queries, inputs.keys.to(dtype), values, w, kernel=inputs.kernel)
        found = torch.autograd.grad(predictions, [values, w][: len(inputs.names)], upstream.to(queries))
    return [gradient.double().cpu() for gradient in found]


def _orders_of_summation(inputs: Inputs) -> list[torch.Tensor]:
    """Draw orders of the keys. Predictions may all be one number, whose error in a single order is a matter of luck."""
    generator = torch.Generator().manual_seed(len(inputs.keys))
    return [torch.randperm(len(inputs.keys), generator=generator).to(inputs.keys.device) for _ in range(ORDERS)]


def _worst(tried: torch.Tensor, *, exact: torch.Tensor) -> torch.Tensor:
    """Keep, element by element, the value among [orders, ...] that errs most."""
    chosen = (tried - exact).abs().argmax(0, keepdim=True)
    return tried.gather(0, chosen).squeeze(0)


def plain(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, w: torch.Tensor, *, kernel: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute predictions and weights by the formula, in the inputs' dtype; a query with no key in reach gives 0."""
    u = (queries.unsqueeze(-1) - keys) * w  # [n_q, n_k]
    if kernel == "gaussian":
        weights = torch.softmax(-(u * u) / 2, -1)
        return weights @ values, weights
    heights = _heights(u, kernel=kernel)
    total = heights.sum(-1, keepdim=True)
    weights = heights / total.masked_fill(total == 0, 1.0)
    return weights @ values, weights


def error_bounds(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    w: torch.Tensor,
    *,
    kernel: str,
    unit: Units,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bound the rounding errors of predictions and weights to first order; every tensor is float64.

    u = (x - x_i) w has relative error 2 units. A Gaussian's exponent u^2 / 2 has 6; an Epanechnikov height 1 - u^2 has
    6 u^2 + 1 absolute, a boxcar's may flip where |u| is within 2 units of 1.
    """
    u = (queries.unsqueeze(-1) - keys) * w
    predictions, weights = plain(queries, keys, values, w, kernel=kernel)
    heights = _heights(u, kernel=kernel)
    total = heights.sum(-1, keepdim=True)
    height_error = {
        "gaussian": heights
        * (6 * unit.store * u.square() / 2 + 4 * unit.accumulate + unit.store * (u.square().amin(-1, keepdim=True))),
        "epanechnikov": unit.store * (6 * u.square() + 1) * (u.abs() <= 1 + 4 * unit.store),
        "boxcar": ((u.abs() - 1).abs() <= 4 * unit.store).to(u.dtype),
        "constant": torch.zeros_like(u),
    }[kernel]
    safe = total.masked_fill(total == 0, 1.0)
    relative_total = height_error.sum(-1, keepdim=True) / safe
    summing = LAMBDA * math.sqrt(keys.shape[0] + 2) * unit.accumulate
    weight_error = height_error / safe + weights * (relative_total + summing + 2 * unit.store)
    spread = (weight_error @ values.abs()) + summing * (weights @ values.abs()) + 2 * unit.store * predictions.abs()
    # Heights may be stored in the dtype before they are summed and weighed.
    return spread + unit.store * (weights @ values.abs()), weight_error + unit.store * weights


def _heights(u: torch.Tensor, *, kernel: str) -> torch.Tensor:
    if kernel == "gaussian":
        return torch.exp(-(u.square() - u.square().amin(-1, keepdim=True)) / 2)
    if kernel == "epanechnikov":
        return (1 - u.square()).clamp(min=0)
    return (u.abs() <= 1).to(u.dtype) if kernel == "boxcar" else torch.ones_like(u)


def cost(point: Point, *, itemsize: int, direction: str) -> Cost:
    """Count operations of weights and weighted means, O(n_q n_k), and the bytes of inputs and outputs."""
    pairs = point.n_q * point.n_k
    phases = {"weights": OPERATIONS_PER_WEIGHT * pairs, "weighted sum": 2 * pairs}
    forward = sum(phases.values())
    read, written = (point.n_q + 2 * point.n_k + 1) * itemsize, (point.n_q + pairs) * itemsize
    factor = {"forward": 1, "backward": 2, "forward+backward": 3}[direction]
    return Cost(
        operations=factor * forward,
        attended=pairs,
        score_elements=pairs,
        query_rows=point.n_q,
        input_bytes=read,
        output_bytes=written,
        ideal_bytes=factor * (read + written),
        phases=phases,
        # Weights that are no exponential need no evaluation each, but each is written.
        required=None if point.kernel == "gaussian" else pairs,
    )


PROBES = (
    Probe("the tutorial's sizes", {"n_q": 100, "n_k": 50}, quick=True),
    Probe("one query", {"n_q": 1, "n_k": 50}),
    Probe("one key", {"n_q": 7, "n_k": 1}),
    Probe("narrow", {"n_q": 33, "n_k": 257, "w": 30.0}, quick=True),
    Probe("boxcar", {"n_q": 33, "n_k": 257, "kernel": "boxcar"}, quick=True),
    Probe("epanechnikov", {"n_q": 33, "n_k": 257, "kernel": "epanechnikov"}, quick=True),
    Probe("strided gradient", {"n_q": 33, "n_k": 20}, upstream="strided"),
    Probe("expanded gradient", {"n_q": 33, "n_k": 20}, upstream="expanded"),
    Probe("no key in reach", {"n_q": 33, "n_k": 20, "kernel": "boxcar", "w": 2.0}, kind="gaps"),
)
REPEATED = Probe("tiny", {"n_q": 6, "n_k": 8})
