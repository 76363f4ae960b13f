"""The points of `varlen`, how lengths are distributed, and the tensors of one call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from impls.numerics.lengths import GOLDEN, parse_sizes
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AXES = ("n", "batch", "lengths", "d", "d_v", "heads", "kv_heads", "causal", "scale")
# A point names the length of each.
SEQUENCES_AT_MOST = 2**20
# Shares of the tokens, from numbers spread evenly over (0, 1). Long-tailed ones are Pareto's, of index 1: of eight
# sequences the longest has half of all tokens.
SHARES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "equal": torch.ones_like,
    "uniform": lambda spread: spread,
    "long_tailed": lambda spread: 1.0 / (1.0 - spread),
}


@dataclass(frozen=True)
class Point:
    """One combination of sizes: the length of each sequence, 0 included; `d` and `d_v` are per head."""

    lengths: tuple[int, ...]
    d: int
    d_v: int
    heads: int
    kv_heads: int
    causal: bool
    scale: float | None

    @property
    def tokens(self) -> int:
        """Return the number of tokens of all sequences."""
        return sum(self.lengths)


@dataclass(frozen=True)
class Inputs:
    """q `[tokens, heads, d]`, k `[tokens, kv_heads, d]`, v `[tokens, kv_heads, d_v]`, one sequence after another.

    Sequence i has the tokens from `cu_seqlens[i]` up to `cu_seqlens[i + 1]`, int32 `[sequences + 1]` on the device;
    the longest has `max_seqlen`.
    """

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    cu_seqlens: torch.Tensor
    max_seqlen: int
    causal: bool = False
    scale: float | None = None
    names: tuple[str, ...] = field(default=("q", "k", "v"), repr=False)

    @property
    def differentiable(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors that gradients are taken for, in the order of `names`."""
        return (self.q, self.k, self.v)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return every tensor of the call."""
        return (self.q, self.k, self.v, self.cu_seqlens)

    @property
    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the call."""
        return {
            "cu_seqlens": self.cu_seqlens,
            "max_seqlen": self.max_seqlen,
            "causal": self.causal,
            "scale": self.scale,
        }


def parse(point: Mapping[str, Any]) -> Point:
    """Validate a mapping of axes: `batch` sequences of mean length `n`, or `lengths` as a list in place of both.

    Lengths are equal where nothing is said; d_v follows d and kv_heads follows heads where absent.
    """
    mistakes = [unknown("axis", name, AXES) for name in point if name not in AXES]
    lengths = point.get("lengths", "equal")
    listed = isinstance(lengths, list | tuple)
    defaults = {
        "d": 64,
        "d_v": point.get("d", 64),
        "heads": 1,
        "kv_heads": point.get("heads", 1),
        **({} if listed else {"n": point.get("n"), "batch": 1}),
    }
    sizes, wrong = parse_sizes(point, defaults)
    mistakes += [
        "n is missing: give n, or lengths as a list" if "is missing" in mistake else mistake for mistake in wrong
    ]
    mistakes += _lengths_mistakes(lengths)
    if listed:
        mistakes += [f"{name} has no say where lengths are a list" for name in ("n", "batch") if name in point]
    if sizes.get("batch", 1) > SEQUENCES_AT_MOST:
        mistakes.append(f"batch must be at most {SEQUENCES_AT_MOST}, not {sizes['batch']}")
    if sizes.get("heads", 1) % sizes.get("kv_heads", 1):
        mistakes.append(f"heads {sizes['heads']} must be a multiple of kv_heads {sizes['kv_heads']}")
    causal, scale = point.get("causal", False), point.get("scale")
    if not isinstance(causal, bool):
        mistakes.append(f"causal must be true or false, not {causal!r}")
    if scale is not None and (
        isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale)
    ):
        mistakes.append(f"scale must be a finite number, not {scale!r}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    drawn = tuple(lengths) if listed else distributed(lengths, mean=sizes.pop("n"), sequences=sizes.pop("batch"))
    return Point(lengths=drawn, causal=causal, scale=scale, **sizes)


def _lengths_mistakes(lengths: Any) -> list[str]:
    """Say what is wrong with a point's `lengths`."""
    if not isinstance(lengths, list | tuple):
        known = isinstance(lengths, str) and lengths in SHARES
        return [] if known else [f"lengths must be a list or one of {', '.join(SHARES)}, not {lengths!r}"]
    if len(lengths) > SEQUENCES_AT_MOST:
        return [f"lengths must be at most {SEQUENCES_AT_MOST}, not {len(lengths)}"]
    wrong = [one for one in lengths if isinstance(one, bool) or not isinstance(one, int) or one < 0]
    if wrong:
        return [f"each of lengths must be a whole number of at least 0, not {wrong[0]!r}"]
    return [] if any(lengths) else ["lengths have no token"]


def distributed(name: str, *, mean: int, sequences: int) -> tuple[int, ...]:
    """Return lengths of a distribution with exactly mean * sequences tokens; the same for the same sizes."""
    spread = (torch.arange(1, sequences + 1, dtype=torch.float64) * GOLDEN) % 1.0
    edges = SHARES[name](spread).cumsum(0)
    # Rounded ends, not lengths: their sum is exact.
    ends = [round(mean * sequences * share) for share in (edges / edges[-1]).tolist()]
    return tuple(end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True))


def ends(lengths: tuple[int, ...]) -> torch.Tensor:
    """Return where sequences begin and end, int64 [sequences + 1], from 0 on."""
    return torch.nn.functional.pad(torch.tensor(lengths, dtype=torch.int64).cumsum(0), (1, 0))


def features(point: Point, *, direction: str) -> frozenset[str]:
    """Name what an implementation must support to run the point."""
    needed = {
        "causal": point.causal,
        "gqa": point.kv_heads != point.heads,
        "d_v": point.d_v != point.d,
        "backward": direction != "forward",
    }
    return frozenset(name for name, is_needed in needed.items() if is_needed)


def attended_pairs(point: Point) -> int:
    """Count the (query, key) pairs over sequences and heads: squares of lengths, or their triangles."""
    return point.heads * sum(n * (n + 1) // 2 if point.causal else n * n for n in point.lengths)
