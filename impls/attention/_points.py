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

AXES = ("n", "n_q", "n_k", "d", "d_v", "heads", "kv_heads", "batch", "causal", "valid_lens", "scale")


@dataclass(frozen=True)
class Point:
    """One combination of sizes; `d` and `d_v` are per head.

    `valid_lens` is None, one length for all, or how lengths vary: per `batch` element, shape [batch], or over its
    `rows`, shape [batch, n_q]; `_ends` has n_k and 1 among them, `_empty` 0 too.
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
    if scale is not None and (
        isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale)
    ):
        mistakes.append(f"scale must be a finite number, not {scale!r}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return Point(causal=causal, valid_lens=valid_lens, scale=scale, **sizes)


def features(point: Point, *, direction: str) -> frozenset[str]:
    """Name what an implementation must support to run the point."""
    dead = has_empty(point.valid_lens) or (point.causal and point.n_q > point.n_k)
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
    if not point.causal:
        return point.n_q * keys
    # Row i sees i + offset keys, from 0 to `keys`: none at first, then one more in each row, at last all.
    offset = point.n_k - point.n_q + 1
    first, last = max(0, -offset), min(point.n_q, max(0, keys - offset))
    rising = max(0, last - first)
    return rising * (2 * (first + offset) + rising - 1) // 2 + max(0, point.n_q - max(first, last)) * keys


def allowed_keys(point: Point) -> torch.Tensor:
    """Return how many leading keys each query row may attend to, int64 [batch, n_q]."""
    limit = torch.full((point.batch, point.n_q), point.n_k, dtype=torch.int64)
    valid_lens = lengths(point)
    if valid_lens is not None:
        limit = torch.minimum(limit, valid_lens.reshape(point.batch, -1))
    if point.causal:
        limit = torch.minimum(limit, (torch.arange(point.n_q) + point.n_k - point.n_q + 1).clamp(min=0))
    return limit
