"""The problem `attention`: q, k, v -> out, with its inputs, float64 oracle and exact cost model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from impls.attention import _points
from impls.attention._points import AXES, Inputs, Point, attended_pairs, features, lengths, parse
from impls.attention._probes import KINDS, LAYOUTS, PADDING, PROBES, REPEATED, fill_padding, parts
from impls.attention._witness import gradient_witness, witness
from impls.contract import Cost, Implementation, Output

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AXES", "PROBES", "REPEATED", "Inputs", "Point", "features", "gradient_witness", "parse", "witness"]

# Fused backward recomputes the scores: five products where forward has two (FlashAttention-2, section 3.1).
BACKWARD_FACTOR = 2.5


def inputs(point: Point, *, dtype: torch.dtype, device: torch.device, seed: int, kind: str = "normal") -> Inputs:
    """Draw q, k, v; the same seed gives the same values on the same kind of device.

    Values are drawn in float32, changed as the kind says, else as the point does, then rounded. Raises KeyError for an
    unknown kind.
    """
    generator = torch.Generator(device=device).manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32, device=device)

    q = normal(point.batch, point.heads, point.n_q, point.d)
    k = normal(point.batch, point.kv_heads, point.n_k, point.d)
    v = normal(point.batch, point.kv_heads, point.n_k, point.d_v)
    if kind == "normal" and point.values is not None:
        kind = _points.VALUES[point.values]
    values, layout = parts(kind)
    changed = KINDS[values](q, k, v, dtype)
    q, k, v = (tensor.to(dtype).contiguous() for tensor in changed)
    # Drawn last, so that q, k and v are those of a point without.
    shape = (1 if point.bias == "heads" else point.batch, point.heads, point.n_q, point.n_k)
    bias = None if point.bias is None else normal(*shape).to(dtype)
    valid_lens = lengths(point)
    if kind in PADDING and valid_lens is not None:
        fill_padding(k, v, valid_lens.to(device), PADDING[kind](dtype))
    laid_out = LAYOUTS.get(layout) or LAYOUTS.get(_points.LAYOUTS.get(point.layout or "", ""))
    if laid_out is not None:
        q, k, v = laid_out(q, k, v)
    return Inputs(
        q=q,
        k=k,
        v=v,
        causal=point.causal,
        scale=point.scale,
        valid_lens=None if valid_lens is None else valid_lens.to(device),
        window=point.window,
        softcap=point.softcap,
        bias=bias,
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
    if point.window is not None:
        edge = n - point.n_k + point.window
        edges |= {edge - 1, edge, edge + 1}
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
    bias_bytes = itemsize * _bias_elements(point)
    forward_bytes = q_bytes + kv_bytes + bias_bytes + out_bytes
    # Backward reads q, k, v, out, its gradient and one float32 statistic a row; it writes dq, dk, dv.
    backward_bytes = 2 * (q_bytes + kv_bytes) + bias_bytes + 2 * out_bytes + 4 * point.batch * point.heads * point.n_q
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
        input_bytes=q_bytes + kv_bytes + bias_bytes,
        output_bytes=out_bytes,
        ideal_bytes=ideal,
        mask_elements=_mask_elements(point),
        triangle_elements=point.n_q * point.n_k if point.causal and point.n_q > 1 and not _mask_elements(point) else 0,
        bias_elements=_bias_elements(point),
        changed=point.softcap is not None or point.bias is not None,
        matrices=point.batch * point.heads,
        phases={"scores": scores, "weighted sum": weighted_sum},
    )


def _bias_elements(point: Point) -> int:
    """Count the elements of the additive bias."""
    batch = {None: 0, "heads": 1, "batch": point.batch}[point.bias]
    return batch * point.heads * point.n_q * point.n_k


def _mask_elements(point: Point) -> int:
    """Count a written mask's elements where it says more than a square's lower triangle, which kernels know.

    One length for a batch element is a row of n_k, whatever n_q is. A bias becomes part of the mask.
    """
    triangle = point.causal and point.n_q > 1
    if point.valid_lens is None and point.window is None and not (triangle and point.n_q != point.n_k):
        return point.n_q * point.n_k if triangle and point.bias else 0
    by_row = triangle or point.window is not None or str(point.valid_lens).startswith("rows")
    batch = 1 if point.valid_lens is None else point.batch
    return batch * (point.n_q if by_row else 1) * point.n_k
