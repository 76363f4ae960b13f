"""Average pooling: every prediction is the mean of the values, whatever the query."""

from __future__ import annotations

import torch

from impls.registry import register


@register(problem="pooling", name="average", fixes={"kernel": "constant"})
def average(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    kernel: str = "constant",
    w: torch.Tensor | None = None,  # noqa: ARG001
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions [n_q], all alike, and weights [n_q, n_k], each 1 / n_k."""
    if kernel != "constant":
        raise NotImplementedError(f"average pooling has no kernel {kernel!r}")
    weights = torch.full((len(queries), len(keys)), 1.0 / len(keys), dtype=values.dtype, device=values.device)
    return values.mean().repeat(len(queries)), weights
