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
# How lengths vary: per batch element or over its rows; "ends" has n_k and 1 among others, "empty" 0 as well.
VARIED = ("batch", "rows", "batch_ends", "rows_ends", "batch_empty", "rows_empty")
# None, one length for all, or how lengths vary.
ValidLens = int | Literal["batch", "rows", "batch_ends", "rows_ends", "batch_empty", "rows_empty"] | None


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
    if valid_lens is None or (isinstance(valid_lens, str) and valid_lens in VARIED):
        return []
    if isinstance(valid_lens, bool) or not isinstance(valid_lens, int) or valid_lens < 0:
        return [f"valid_lens must be a length or one of {', '.join(VARIED)}, not {valid_lens!r}"]
    return [f"valid_lens {valid_lens} exceeds n_k {n_k}"] if n_k is not None and valid_lens > n_k else []


def key_lengths(valid_lens: ValidLens, *, batch: int, n_q: int, n_k: int) -> torch.Tensor | None:
    """Return the number of leading keys each row may attend to: None, [batch] or [batch, n_q]; same at every seed."""
    if valid_lens is None:
        return None
    if isinstance(valid_lens, int):
        return torch.full((batch,), valid_lens, dtype=torch.int64)
    by, _, among = valid_lens.partition("_")
    shape = (batch,) if by == "batch" else (batch, n_q)
    spread = (torch.arange(1, math.prod(shape) + 1, dtype=torch.float64) * GOLDEN) % 1.0
    lengths = (1 + (spread * n_k).to(torch.int64)).clamp(max=n_k)
    for place, end in enumerate({"": (), "ends": (n_k, 1), "empty": (n_k, 0, 1)}[among]):
        lengths[place::5] = end
    return lengths.reshape(shape)


def has_empty(valid_lens: ValidLens) -> bool:
    """Tell whether some length is 0."""
    return valid_lens == 0 or valid_lens in ("batch_empty", "rows_empty")
