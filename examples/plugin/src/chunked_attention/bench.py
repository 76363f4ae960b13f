"""What attnbench is told: the module that the entry point names, and the only one that imports attnbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnbench import register
from chunked_attention.attend import attend

if TYPE_CHECKING:
    import torch


@register(problem="attention", name="chunked", devices=("cpu", "cuda"), supports=("causal", "backward"))
def chunked(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Call the package's kernel as attnbench's contract has it."""
    return attend(q, k, v, causal=causal, scale=scale)
