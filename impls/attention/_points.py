"""The points of `attention`, what they ask of an implementation, and the tensors of one call."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from impls.numerics.lengths import ValidLens, has_empty, key_lengths, parse_sizes, valid_lens_mistakes
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

AXES = (
    *("n", "n_q", "n_k", "d", "d_v", "heads", "kv_heads", "batch", "causal", "valid_lens", "scale"),
    *("window", "softcap", "bias", "layout", "values"),
)
# What an additive bias differs by: heads alone, or batch elements too.
BIASES = ("heads", "batch")
# How q, k and v lie in memory, and what they hold: names for the kinds of inputs that the battery has.
LAYOUTS = {"bhnd": "in order", "bnhd": "transposed", "packed": "one buffer"}
VALUES = {"normal": "normal", "peaked": "sink", "long_tailed": "long tails", "denormal": "denormal queries"}


@dataclass(frozen=True)
class Point:
    """One combination of sizes; `d` and `d_v` are per head.

    `valid_lens` is None, one length for all, or how lengths vary: per `batch` element, shape [batch], or over its
    `rows`, shape [batch, n_q]; `_ends` has n_k and 1 among them, `_empty` 0 too. A row sees keys less than `window`
    from its own, which is the last key for the last row. `softcap` c turns a score s into c tanh(s / c). Then a `bias`
    is added, the same for all elements of the batch where it differs by `heads` alone. `layout` is how q, k and v lie
    in memory, None for in order; `values` what they hold, None for standard normal numbers.
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
    window: int | None = None
    softcap: float | None = None
    bias: str | None = None
    layout: str | None = None
    values: str | None = None


@dataclass(frozen=True)
class Inputs:
    """q `[batch, heads, n_q, d]`, k `[batch, kv_heads, n_k, d]`, v `[batch, kv_heads, n_k, d_v]` and the options.

    `bias` is [1 or batch, heads, n_q, n_k], in their dtype; no gradient is taken for it.
    """

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    causal: bool = False
    scale: float | None = None
    valid_lens: torch.Tensor | None = None
    window: int | None = None
    softcap: float | None = None
    bias: torch.Tensor | None = None
    names: tuple[str, ...] = field(default=("q", "k", "v"), repr=False)

    @property
    def differentiable(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors that gradients are taken for, in the order of `names`."""
        return (self.q, self.k, self.v)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return every tensor of the call."""
        return (self.q, self.k, self.v, *(tensor for tensor in (self.valid_lens, self.bias) if tensor is not None))

    @property
    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the call; those that few implementations know only where they are set."""
        rare = {"window": self.window, "softcap": self.softcap, "bias": self.bias}
        given = {name: value for name, value in rare.items() if value is not None}
        return {"causal": self.causal, "scale": self.scale, "valid_lens": self.valid_lens, **given}


def parse(point: Mapping[str, Any]) -> Point:
    """Validate a mapping of axes; `n` sets n_q and n_k, d_v follows d and kv_heads follows heads where absent."""
    mistakes = [unknown("axis", name, AXES) for name in point if name not in AXES]
    defaults = {
        "n_q": point.get("n"),
        "n_k": point.get("n"),
        "d": 64,
        "d_v": point.get("d", 64),
        "heads": 1,
        "kv_heads": point.get("heads", 1),
        "batch": 1,
    }
    sizes, wrong = parse_sizes(point, defaults)
    mistakes += wrong
    if sizes.get("heads", 1) % sizes.get("kv_heads", 1):
        mistakes.append(f"heads {sizes['heads']} must be a multiple of kv_heads {sizes['kv_heads']}")
    causal, valid_lens, scale = point.get("causal", False), point.get("valid_lens"), point.get("scale")
    if not isinstance(causal, bool):
        mistakes.append(f"causal must be true or false, not {causal!r}")
    mistakes += valid_lens_mistakes(valid_lens, sizes.get("n_k"))
    if scale is not None and not _is_finite(scale):
        mistakes.append(f"scale must be a finite number, not {scale!r}")
    window, softcap, bias = (point.get(name) for name in ("window", "softcap", "bias"))
    mistakes += _rare_mistakes(window=window, softcap=softcap)
    words = {"bias": BIASES, "layout": tuple(LAYOUTS), "values": tuple(VALUES)}
    mistakes += [
        f"{name} must be one of {', '.join(known)}, not {point[name]!r}"
        for name, known in words.items()
        if point.get(name) is not None and point[name] not in known
    ]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Point(
        causal=causal,
        valid_lens=valid_lens,
        scale=scale,
        window=window,
        softcap=softcap,
        bias=bias,
        layout=point.get("layout"),
        values=point.get("values"),
        **sizes,
    )


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rare_mistakes(*, window: Any, softcap: Any) -> list[str]:
    """Say what is wrong with what few implementations know."""
    mistakes = []
    if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 1):
        mistakes.append(f"window must be a positive integer, not {window!r}")
    if softcap is not None and not (_is_finite(softcap) and softcap > 0):
        mistakes.append(f"softcap must be a positive number, not {softcap!r}")
    return mistakes


def features(point: Point, *, direction: str) -> frozenset[str]:
    """Name what an implementation must support to run the point."""
    dead = has_empty(point.valid_lens) or (point.causal and point.n_q > point.n_k)
    if point.window is not None and not dead:
        dead = not bool(allowed_keys(point).all())
    needed = {
        "causal": point.causal,
        "valid_lens": point.valid_lens is not None,
        "gqa": point.kv_heads != point.heads,
        "d_v": point.d_v != point.d,
        "dead_rows": dead,
        "window": point.window is not None,
        "softcap": point.softcap is not None,
        "bias": point.bias is not None,
        "backward": direction != "forward",
    }
    return frozenset(name for name, is_needed in needed.items() if is_needed)


def lengths(point: Point) -> torch.Tensor | None:
    """Return the number of leading keys each row may attend to: None, [batch] or [batch, n_q]; same at every seed."""
    return key_lengths(point.valid_lens, batch=point.batch, n_q=point.n_q, n_k=point.n_k)


def attended_pairs(point: Point) -> int:
    """Count the (query, key) pairs that the mask allows, over batch and heads."""
    valid_lens = lengths(point)
    if valid_lens is not None and valid_lens.ndim > 1:
        return int(allowed_keys(point).sum().item()) * point.heads
    # No tensor has a row's element: of 2^30 rows it would take 8 GiB.
    by_element = [point.n_k] * point.batch if valid_lens is None else valid_lens.tolist()
    counts = Counter(by_element)
    return sum(times * _pairs(point, keys) for keys, times in counts.items()) * point.heads


def _pairs(point: Point, keys: int) -> int:
    """Count the pairs of one head of one batch element that has so many keys."""
    own = point.n_k - point.n_q
    if point.causal:
        upper = _below(own + 1, rows=point.n_q, keys=keys)
    elif point.window is None:
        upper = point.n_q * keys
    else:
        upper = _below(own + point.window, rows=point.n_q, keys=keys)
    return upper if point.window is None else upper - _below(own - point.window + 1, rows=point.n_q, keys=keys)


def _below(offset: int, *, rows: int, keys: int) -> int:
    """Sum i + offset over rows i, each held between 0 and `keys`."""
    first, last = min(rows, max(0, -offset)), min(rows, max(0, keys - offset))
    rising = max(0, last - first)
    return rising * (2 * (first + offset) + rising - 1) // 2 + max(0, rows - max(first, last)) * keys


def allowed_keys(point: Point) -> torch.Tensor:
    """Return how many keys each query row may attend to, int64 [batch, n_q]; without a window, the leading ones."""
    limit = torch.full((point.batch, point.n_q), point.n_k, dtype=torch.int64)
    valid_lens = lengths(point)
    if valid_lens is not None:
        limit = torch.minimum(limit, valid_lens.reshape(point.batch, -1))
    if point.causal:
        limit = torch.minimum(limit, (torch.arange(point.n_q) + point.n_k - point.n_q + 1).clamp(min=0))
    if point.window is None:
        return limit
    own = torch.arange(point.n_q) + point.n_k - point.n_q
    return (torch.minimum(limit, own + point.window) - (own - point.window + 1).clamp(min=0)).clamp(min=0)
