"""The problem `attention`: q, k, v -> out, with its inputs, float64 oracle and exact cost model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from impls.attention._probes import KINDS, LAYOUTS, PROBES, REPEATED
from impls.numerics import errors
from impls.registry import Cost, Implementation, Output, Witness, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["AXES", "PROBES", "REPEATED"]

AXES = ("n", "n_q", "n_k", "d", "d_v", "heads", "kv_heads", "batch", "causal", "valid_lens", "scale")
# Scores that the oracle holds at once: 8 MiB in float64, which stays near a core's cache.
BLOCK_ELEMENTS = 2**20
# Matrix products with fewer rows run at a tenth of their rate or less.
BLOCK_ROWS = 32
# Fractional part of the golden ratio: multiples of it spread evenly over [0, 1), so lengths vary without a seed.
GOLDEN = 0.6180339887498949
# Fused backward recomputes the scores: five products where forward has two (FlashAttention-2, section 3.1).
BACKWARD_FACTOR = 2.5
ValidLens = int | Literal["batch", "rows"] | None


@dataclass(frozen=True)
class Point:
    """One combination of sizes; `d` and `d_v` are per head.

    `valid_lens` is None, one length for all, or how lengths vary: per `batch` element, shape [batch], or over its
    `rows`, shape [batch, n_q].
    """

    n_q: int
    n_k: int
    d: int
    d_v: int
    heads: int
    kv_heads: int
    batch: int
    causal: bool
    valid_lens: ValidLens
    scale: float | None


@dataclass(frozen=True)
class Inputs:
    """q `[batch, heads, n_q, d]`, k `[batch, kv_heads, n_k, d]`, v `[batch, kv_heads, n_k, d_v]` and the options."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    causal: bool = False
    scale: float | None = None
    valid_lens: torch.Tensor | None = None
    names: tuple[str, ...] = field(default=("q", "k", "v"), repr=False)

    @property
    def differentiable(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors that gradients are taken for, in the order of `names`."""
        return (self.q, self.k, self.v)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return every tensor of the call."""
        return (self.q, self.k, self.v) if self.valid_lens is None else (self.q, self.k, self.v, self.valid_lens)

    @property
    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the call."""
        return {"causal": self.causal, "scale": self.scale, "valid_lens": self.valid_lens}


def parse(point: Mapping[str, Any]) -> Point:
    """Validate a mapping of axes; `n` sets n_q and n_k, d_v follows d and kv_heads follows heads where absent."""
    mistakes = [unknown("axis", name, AXES) for name in point if name not in AXES]
    sizes: dict[str, int] = {}
    defaults = {
        "n_q": point.get("n"),
        "n_k": point.get("n"),
        "d": 64,
        "d_v": point.get("d", 64),
        "heads": 1,
        "kv_heads": point.get("heads", 1),
        "batch": 1,
    }
    for name, default in defaults.items():
        value = point.get(name, default)
        if value is None:
            mistakes.append(f"{name} is missing: give n, or n_q and n_k")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            mistakes.append(f"{name} must be a positive integer, not {value!r}")
        else:
            sizes[name] = value
    if sizes.get("heads", 1) % sizes.get("kv_heads", 1):
        mistakes.append(f"heads {sizes['heads']} must be a multiple of kv_heads {sizes['kv_heads']}")
    causal, valid_lens, scale = point.get("causal", False), point.get("valid_lens"), point.get("scale")
    if not isinstance(causal, bool):
        mistakes.append(f"causal must be true or false, not {causal!r}")
    mistakes += _valid_lens_mistakes(valid_lens, sizes.get("n_k"))
    if scale is not None and (
        isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale)
    ):
        mistakes.append(f"scale must be a finite number, not {scale!r}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Point(causal=causal, valid_lens=valid_lens, scale=scale, **sizes)


def _valid_lens_mistakes(valid_lens: object, n_k: int | None) -> list[str]:
    if valid_lens is None or valid_lens in ("batch", "rows"):
        return []
    if isinstance(valid_lens, bool) or not isinstance(valid_lens, int) or valid_lens < 0:
        return [f"valid_lens must be a length, 'batch' or 'rows', not {valid_lens!r}"]
    return [f"valid_lens {valid_lens} exceeds n_k {n_k}"] if n_k is not None and valid_lens > n_k else []


def features(point: Point, *, direction: str) -> frozenset[str]:
    """Name what an implementation must support to run the point."""
    dead = point.valid_lens == 0 or (point.causal and point.n_q > point.n_k)
    needed = {
        "causal": point.causal,
        "valid_lens": point.valid_lens is not None,
        "gqa": point.kv_heads != point.heads,
        "d_v": point.d_v != point.d,
        "dead_rows": dead,
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


def inputs(point: Point, *, dtype: torch.dtype, device: torch.device, seed: int, kind: str = "normal") -> Inputs:
    """Draw q, k, v; the same seed gives the same values on the same kind of device.

    Values are drawn in float32, changed as the kind says, then rounded. Raises KeyError for an unknown kind.
    """
    generator = torch.Generator(device=device).manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32, device=device)

    q = normal(point.batch, point.heads, point.n_q, point.d)
    k = normal(point.batch, point.kv_heads, point.n_k, point.d)
    v = normal(point.batch, point.kv_heads, point.n_k, point.d_v)
    changed = KINDS[kind](q, k, v, dtype)
    lay_out = LAYOUTS.get(kind, torch.Tensor.contiguous)
    q, k, v = (lay_out(tensor.to(dtype)) for tensor in changed)
    valid_lens = lengths(point)
    return Inputs(
        q=q,
        k=k,
        v=v,
        causal=point.causal,
        scale=point.scale,
        valid_lens=None if valid_lens is None else valid_lens.to(device),
    )


def outputs(point: Point) -> tuple[Output, ...]:
    """Describe the one output, [batch, heads, n_q, d_v]."""
    return (Output("out", (point.batch, point.heads, point.n_q, point.d_v), row_axis=2),)


def bind(implementation: Implementation, inputs: Inputs) -> Callable[[], Any]:
    """Return the call to measure; what `prepare` does happens here, outside it."""
    if implementation.prepare is not None:
        return implementation.prepare(inputs.q, inputs.k, inputs.v, **inputs.options)
    function, q, k, v, options = implementation.function, inputs.q, inputs.k, inputs.v, inputs.options
    return lambda: function(q, k, v, **options)


def sample_rows(point: Point, *, count: int, seed: int) -> torch.Tensor:
    """Choose query rows: all if they fit, else the ends, block edges, rows at the mask's border and a random rest."""
    n = point.n_q
    if n <= count:
        return torch.arange(n)
    edges = {0, 1, n - 1, n - 2}
    for block in (16, 32, 64, 128, 256):
        edges |= {block - 1, block, n // block * block - 1, n // block * block, n // 2 // block * block}
    if point.causal:
        border = n - point.n_k
        edges |= {border - 1, border, border + 1}
    chosen = sorted(row for row in edges if 0 <= row < n)[: count // 2]
    generator = torch.Generator().manual_seed(seed)
    rest = torch.randperm(n, generator=generator)
    taken = torch.zeros(n, dtype=torch.bool)
    taken[chosen] = True
    rest = rest[~taken[rest]][: count - len(chosen)]
    return torch.cat([torch.tensor(chosen), rest]).sort().values


def cost(point: Point, *, itemsize: int, direction: str) -> Cost:
    """Count operations by attended pairs, 2 * pairs * (d + d_v) forward, and the bytes a fused kernel must move.

    Backward alone is 2.5 times forward (five products, the scores recomputed), the convention of published figures.
    """
    pairs = attended_pairs(point)
    scores, weighted_sum = 2 * pairs * point.d, 2 * pairs * point.d_v
    forward = scores + weighted_sum
    q_bytes = itemsize * point.batch * point.heads * point.n_q * point.d
    kv_bytes = itemsize * point.batch * point.kv_heads * point.n_k * (point.d + point.d_v)
    out_bytes = itemsize * point.batch * point.heads * point.n_q * point.d_v
    forward_bytes = q_bytes + kv_bytes + out_bytes
    # Backward reads q, k, v, out, its gradient and one float32 statistic a row; it writes dq, dk, dv.
    backward_bytes = 2 * (q_bytes + kv_bytes) + 2 * out_bytes + 4 * point.batch * point.heads * point.n_q
    operations = {
        "forward": forward,
        "backward": round(BACKWARD_FACTOR * forward),
        "forward+backward": round((1 + BACKWARD_FACTOR) * forward),
    }[direction]
    ideal = {
        "forward": forward_bytes,
        "backward": backward_bytes,
        "forward+backward": forward_bytes + backward_bytes,
    }[direction]
    return Cost(
        operations=operations,
        attended=pairs,
        score_elements=point.batch * point.heads * point.n_q * point.n_k,
        query_rows=point.batch * point.heads * point.n_q,
        input_bytes=q_bytes + kv_bytes,
        output_bytes=out_bytes,
        ideal_bytes=ideal,
        phases={"scores": scores, "weighted sum": weighted_sum},
    )


def attended_pairs(point: Point) -> int:
    """Count the (query, key) pairs that the mask allows, over batch and heads."""
    per_row = allowed_keys(point)
    return int(per_row.sum().item()) * point.heads


def allowed_keys(point: Point) -> torch.Tensor:
    """Return how many leading keys each query row may attend to, int64 [batch, n_q]."""
    limit = torch.full((point.batch, point.n_q), point.n_k, dtype=torch.int64)
    valid_lens = lengths(point)
    if valid_lens is not None:
        limit = torch.minimum(limit, valid_lens.reshape(point.batch, -1))
    if point.causal:
        limit = torch.minimum(limit, (torch.arange(point.n_q) + point.n_k - point.n_q + 1).clamp(min=0))
    return limit


def witness(inputs: Inputs, rows: torch.Tensor) -> tuple[Witness]:
    """Return oracle, reference and error bound of the output's sampled rows, each [batch, heads, rows, d_v].

    Work is O(rows * n_k * d) and memory O(n_k): blocks of rows see all keys.
    """
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
    group = inputs.q.shape[1] // inputs.k.shape[1]
    exact = [torch.zeros(tensor.shape, dtype=torch.float64) for tensor in inputs.differentiable]
    bounds = [torch.zeros_like(tensor) for tensor in exact]
    deviations = [torch.zeros_like(tensor) for tensor in exact]
    references = [
        [torch.zeros_like(tensor, requires_grad=False) for tensor in inputs.differentiable]
        for _ in ("scores scaled", "queries scaled", "flash")
    ]
    unit = errors.units(inputs.q.dtype, inputs.q.device)
    sums = [
        [
            errors.KeySums.zeros(n_k=inputs.k.shape[2], d=inputs.k.shape[3], d_v=inputs.v.shape[3])
            for _ in range(inputs.k.shape[1])
        ]
        for _ in range(inputs.k.shape[0])
    ]
    scale = abs(_scale(inputs))
    flushed = [
        errors.flushed_gradient(inputs.k.shape[2], float(inputs.k.detach().abs().amax()) * scale, unit),
        *[errors.flushed_gradient(len(rows) * group, float(inputs.q.detach().abs().amax()) * scale, unit)] * 2,
    ]
    for batch, head in _heads(inputs):
        kv, of_head = (batch, head // group), sums[batch][head // group]
        whole = _head(inputs, batch, head, rows)
        wide = whole.to(torch.float64)
        for block in _row_blocks(inputs, rows):
            place = (batch, head, rows[block])
            gradient = upstream[batch, head, block].to(inputs.q.device)
            part, precise = whole[block], wide[block]
            out = errors.textbook_gradients(precise, gradient.double())
            exact[0][place] = out.dq.cpu()
            exact[1][kv] += (out.scores.mT @ precise.q).cpu()
            exact[2][kv] += (out.weights.mT @ gradient.double()).cpu()
            bound, deviation = errors.query_gradient_errors(precise, gradient.double(), out, of_head, unit)
            bounds[0][place], deviations[0][place] = bound.cpu(), deviation.cpu()
            for (dq, dk, dv), scale_first in zip(references[:2], (False, True), strict=True):
                textbook = errors.textbook_gradients(part, gradient, scale_first=scale_first)
                dq[place] = textbook.dq
                errors.add_rows(dk[kv], textbook.scores, part.q)
                errors.add_rows(dv[kv], textbook.weights, gradient)
            flash = errors.flash_gradients(part, gradient)
            references[2][0][place] = flash.dq
            references[2][1][kv] += errors.product(flash.scores.mT, part.q)
            references[2][2][kv] += errors.product(flash.weights.mT, gradient)
    for batch, of_batch in enumerate(sums):
        for kv_head, of_head in enumerate(of_batch):
            kv = (batch, kv_head)
            bounds[1][kv], bounds[2][kv] = errors.key_gradient_bounds(
                of_head, exact[1][kv], exact[2][kv], unit, flushed=flushed[1]
            )
            deviations[1][kv] = of_head.dk_variance.sqrt()
    return tuple(
        Witness(oracle=oracle, reference=_farther(oracle, *forms, oracle + _drawn(deviation)), bound=bound, flush=flush)
        for oracle, bound, deviation, flush, *forms in zip(exact, bounds, deviations, flushed, *references, strict=True)
    )


def _drawn(deviation: torch.Tensor) -> torch.Tensor:
    """Draw normal errors of given standard deviations."""
    generator = torch.Generator().manual_seed(0)
    return deviation * torch.randn(deviation.shape, generator=generator, dtype=torch.float64)


def _farther(oracle: torch.Tensor, *forms: torch.Tensor) -> torch.Tensor:
    """Return, element by element, the form that is farthest from the oracle."""
    stacked = torch.stack([form.cpu().double() for form in forms])
    farthest = (stacked - oracle).abs().argmax(0, keepdim=True)
    return stacked.gather(0, farthest).squeeze(0)


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
