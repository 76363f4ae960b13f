"""The problem `varlen`: sequences of unequal length packed one after another, each attending to itself alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from impls.contract import Cost, Implementation, Output, Probe
from impls.varlen._points import AXES, Inputs, Point, attended_pairs, ends, features, parse
from impls.varlen._witness import gradient_witness, witness

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AXES", "PROBES", "REPEATED", "Inputs", "Point", "features", "gradient_witness", "parse", "witness"]

# Fused backward recomputes the scores: five products where forward has two (FlashAttention-2, section 3.1).
BACKWARD_FACTOR = 2.5
Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(point: Point, *, dtype: torch.dtype, device: torch.device, seed: int, kind: str = "normal") -> Inputs:
    """Draw q, k, v; the same seed gives the same values on the same kind of device.

    Values are drawn in float32, changed as the kind says, then rounded. Raises KeyError for an unknown kind.
    """
    generator = torch.Generator(device=device).manual_seed(seed)

    def normal(heads: int, size: int) -> torch.Tensor:
        return torch.randn(point.tokens, heads, size, generator=generator, dtype=torch.float32, device=device)

    q, k, v = normal(point.heads, point.d), normal(point.kv_heads, point.d), normal(point.kv_heads, point.d_v)
    q, k, v = KINDS[kind](q, k, v)
    q, k, v = (tensor.to(dtype).contiguous() for tensor in (q, k, v))
    if kind == "one buffer":
        q, k, v = _packed(q, k, v)
    cu_seqlens = ends(point.lengths).to(device=device, dtype=torch.int32)
    return Inputs(q, k, v, cu_seqlens, max(point.lengths), causal=point.causal, scale=point.scale)


def _unchanged(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    return q, k, v


def _next_key(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Make the strongest key of each query the next one in the pack, which a causal mask or a border forbids."""
    return _aimed(q, k, by=-1), torch.nn.functional.normalize(k, dim=-1), v


def _previous_key(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Make the strongest key of each query the one before it in the pack, across a border for each first token."""
    return _aimed(q, k, by=1), torch.nn.functional.normalize(k, dim=-1), v


def _aimed(q: torch.Tensor, k: torch.Tensor, *, by: int) -> torch.Tensor:
    """Return 12 sqrt(d) times the key that stands `by` before each query, with half as much of its own."""
    unit = torch.nn.functional.normalize(k, dim=-1).repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    return (unit.roll(by, 0) + 0.5 * unit) * (12.0 * math.sqrt(q.shape[-1]))


def _shifted_values(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Give values a mean of 10: weights that don't sum to one show."""
    return q, k, v + 10


def _nan_row(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Put NaN into the last head's query of the token in the middle."""
    q[len(q) // 2, -1] = math.nan
    return q, k, v


def _packed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Lay all three out as heads of one buffer [tokens, heads + 2 kv_heads, d], as one projection gives them."""
    width = max(q.shape[2], v.shape[2])
    whole = torch.cat([torch.nn.functional.pad(x, (0, width - x.shape[2])) for x in (q, k, v)], dim=1)
    views = torch.split(whole, [x.shape[1] for x in (q, k, v)], dim=1)
    packed_q, packed_k, packed_v = (view[..., : x.shape[2]] for view, x in zip(views, (q, k, v), strict=True))
    return packed_q, packed_k, packed_v


# What inputs hold; "one buffer" is a layout of normal ones.
KINDS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Triple]] = {
    "normal": _unchanged,
    "one buffer": _unchanged,
    "next key": _next_key,
    "previous key": _previous_key,
    "shifted values": _shifted_values,
    "NaN row": _nan_row,
}


def outputs(point: Point) -> tuple[Output, ...]:
    """Describe the one output, [tokens, heads, d_v]."""
    return (Output("out", (point.tokens, point.heads, point.d_v), row_axis=0),)


def bind(implementation: Implementation, inputs: Inputs) -> Callable[[], Any]:
    """Return the call to measure; what `prepare` does happens here, outside it."""
    function, q, k, v, options = implementation.function, inputs.q, inputs.k, inputs.v, inputs.options
    if implementation.prepare is not None:
        return implementation.prepare(q, k, v, **options)
    return lambda: function(q, k, v, **options)


def sample_rows(point: Point, *, count: int, seed: int) -> torch.Tensor:
    """Choose tokens: all if they fit, else the ends of the pack and of sequences, longest first, and a random rest."""
    if point.tokens <= count:
        return torch.arange(point.tokens)
    edges = ends(point.lengths).tolist()
    longest = sorted(range(len(point.lengths)), key=lambda i: -point.lengths[i])[:count]
    wanted = [0, point.tokens - 1]
    wanted += [token for i in longest if point.lengths[i] for token in (edges[i], edges[i + 1] - 1)]
    chosen = torch.tensor(list(dict.fromkeys(wanted))[: count // 2])
    rest = torch.randperm(point.tokens, generator=torch.Generator().manual_seed(seed))
    rest = rest[~torch.isin(rest, chosen)][: count - len(chosen)]
    return torch.cat([chosen, rest]).sort().values


def cost(point: Point, *, itemsize: int, direction: str) -> Cost:
    """Count operations by attended pairs, 2 * pairs * (d + d_v) forward, and the bytes a fused kernel must move.

    Pairs are the sum of squares of lengths. Backward alone is 2.5 times forward (five products, the scores recomputed).
    """
    pairs = attended_pairs(point)
    scores, weighted_sum = 2 * pairs * point.d, 2 * pairs * point.d_v
    forward = scores + weighted_sum
    edges = 4 * (len(point.lengths) + 1)
    read = itemsize * point.tokens * (point.heads * point.d + point.kv_heads * (point.d + point.d_v)) + edges
    written = itemsize * point.tokens * point.heads * point.d_v
    # Backward reads q, k, v, out, its gradient and one float32 statistic a row; it writes dq, dk, dv.
    backward = 2 * read + 2 * written + 4 * point.tokens * point.heads
    factor = {"forward": 1.0, "backward": BACKWARD_FACTOR, "forward+backward": 1 + BACKWARD_FACTOR}[direction]
    return Cost(
        operations=round(factor * forward),
        attended=pairs,
        score_elements=point.heads * sum(n * n for n in point.lengths),
        query_rows=point.heads * point.tokens,
        input_bytes=read,
        output_bytes=written,
        ideal_bytes={
            "forward": read + written,
            "backward": backward,
            "forward+backward": read + written + backward,
        }[direction],
        # Who pads to the longest tells lengths by a mask; under a causal one, padding at the end is never looked at.
        mask_elements=0 if point.causal else len(point.lengths) * max(point.lengths),
        phases={"scores": scores, "weighted sum": weighted_sum},
    )


UNEQUAL = [3, 17, 1, 40]
EMPTY = [0, 5, 0, 0, 33, 1, 0]
PROBES = (
    Probe("unequal", {"lengths": UNEQUAL, "heads": 2, "d": 32}, quick=True),
    Probe("empty sequences", {"lengths": EMPTY, "heads": 2, "d": 16}, quick=True),
    Probe("causal, grouped, empty", {"lengths": EMPTY, "heads": 4, "kv_heads": 2, "d": 16, "causal": True}, quick=True),
    Probe("causal", {"lengths": UNEQUAL, "heads": 2, "d": 32, "causal": True}, quick=True),
    Probe("equal", {"n": 24, "batch": 3, "heads": 2, "d": 16}),
    Probe("equal, causal", {"n": 24, "batch": 3, "heads": 2, "d": 16, "causal": True}),
    Probe("one sequence", {"lengths": [65], "heads": 2, "d": 16}),
    Probe("one sequence, causal", {"lengths": [65], "heads": 2, "d": 16, "causal": True}),
    Probe("one token", {"lengths": [1], "heads": 2, "d": 16}),
    Probe("sequences of one token", {"lengths": [1] * 9, "heads": 2, "d": 16, "causal": True}),
    Probe("one very long", {"lengths": [2, 257, 1, 3], "d": 16}),
    Probe("one very long, causal", {"lengths": [2, 1, 257, 3], "d": 16, "causal": True}),
    Probe("many", {"n": 5, "batch": 40, "lengths": "uniform", "heads": 2, "d": 16}),
    Probe("many, long-tailed, causal", {"n": 6, "batch": 40, "lengths": "long_tailed", "d": 16, "causal": True}),
    Probe("one key head", {"lengths": UNEQUAL, "heads": 6, "kv_heads": 1, "d": 16}),
    Probe("grouped", {"lengths": UNEQUAL, "heads": 4, "kv_heads": 2, "d": 16}),
    Probe("other value size", {"lengths": UNEQUAL, "heads": 2, "d": 32, "d_v": 16}),
    Probe("scale", {"lengths": UNEQUAL, "heads": 2, "d": 16, "scale": 0.5, "causal": True}),
    Probe("the strongest key comes next", {"lengths": UNEQUAL, "heads": 2, "d": 16, "causal": True}, kind="next key"),
    Probe("the strongest key is the neighbour's", {"lengths": UNEQUAL, "heads": 2, "d": 16}, kind="previous key"),
    Probe("shifted values", {"lengths": UNEQUAL, "heads": 2, "d": 16}, kind="shifted values"),
    Probe("one buffer", {"lengths": UNEQUAL, "heads": 4, "kv_heads": 2, "d": 16}, kind="one buffer", quick=True),
    Probe("one buffer, causal", {"lengths": UNEQUAL, "heads": 2, "d": 16, "causal": True}, kind="one buffer"),
    Probe("strided gradient", {"lengths": UNEQUAL, "heads": 2, "d": 16}, upstream="strided"),
    Probe("expanded gradient", {"lengths": UNEQUAL, "heads": 2, "d": 16, "causal": True}, upstream="expanded"),
    Probe("NaN in a row", {"lengths": UNEQUAL, "heads": 2, "d": 16}, kind="NaN row", spoils_row=True),
)
REPEATED = Probe("tiny", {"lengths": [3, 0, 6, 1], "heads": 2, "d": 8})
