"""Sizes and lengths of sequences, which problems read from a point alike and draw without a seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

# Fractional part of the golden ratio: multiples of it spread evenly over [0, 1), so lengths vary without a seed.
GOLDEN = 0.6180339887498949
# Scores that an oracle holds at once: 8 MiB in float64, which stays near a core's cache.
BLOCK_ELEMENTS = 2**20
# None, one length for all, or how lengths vary: per batch element, or over its rows.
ValidLens = int | Literal["batch", "rows"] | None


def parse_sizes(point: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
    """Read the sizes that `defaults` names from a point; return those that are right, and what is wrong with others."""
    sizes: dict[str, int] = {}
    mistakes = []
    for name, default in defaults.items():
        value = point.get(name, default)
        if value is None:
            mistakes.append(f"{name} is missing: give n, or n_q and n_k")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            mistakes.append(f"{name} must be a positive integer, not {value!r}")
        else:
            sizes[name] = value
    return sizes, mistakes


def valid_lens_mistakes(valid_lens: object, n_k: int | None) -> list[str]:
    """Say what is wrong with a point's `valid_lens`; `n_k` is None if it is unknown."""
    if valid_lens is None or valid_lens in ("batch", "rows"):
        return []
    if isinstance(valid_lens, bool) or not isinstance(valid_lens, int) or valid_lens < 0:
        return [f"valid_lens must be a length, 'batch' or 'rows', not {valid_lens!r}"]
    return [f"valid_lens {valid_lens} exceeds n_k {n_k}"] if n_k is not None and valid_lens > n_k else []


def key_lengths(valid_lens: ValidLens, *, batch: int, n_q: int, n_k: int) -> torch.Tensor | None:
    """Return the number of leading keys each row may attend to: None, [batch] or [batch, n_q]; same at every seed."""
    if valid_lens is None:
        return None
    if isinstance(valid_lens, int):
        return torch.full((batch,), valid_lens, dtype=torch.int64)
    shape = (batch,) if valid_lens == "batch" else (batch, n_q)
    spread = (torch.arange(1, math.prod(shape) + 1, dtype=torch.float64) * GOLDEN) % 1.0
    return (1 + (spread * n_k).to(torch.int64)).clamp(max=n_k).reshape(shape)
