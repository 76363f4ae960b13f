"""What libraries for CUDA share: their order of axes, [batch, n, heads, d], and sizes that they decline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

HALF = ("bfloat16", "float16")


def call_swapped(
    function: Callable[..., Any], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any
) -> torch.Tensor:
    """Call a function of [batch, n, heads, d] on views, and return a view of its output, the first where it gives more.

    No tensor is copied: these functions take any strides but the last axis's.
    """
    out = function(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), **options)
    first: torch.Tensor = out[0] if isinstance(out, tuple) else out
    return first.transpose(1, 2)


def decline_head_sizes(d: int, *, multiple: int = 1, at_most: int = 256) -> None:
    """Decline a head size that is no multiple of a number, or larger than the largest. Raises NotImplementedError."""
    if d % multiple or d > at_most:
        of = f"a multiple of {multiple}, " if multiple > 1 else ""
        raise NotImplementedError(f"head size must be {of}at most {at_most}, not {d}")
