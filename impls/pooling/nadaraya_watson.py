"""Nadaraya-Watson kernel regression without parameters: attention pooling by distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


def gaussian(u: torch.Tensor) -> torch.Tensor:
    """Return weights proportional to exp(-u^2 / 2): a softmax."""
    return (-(u**2) / 2).softmax(-1)


def boxcar(u: torch.Tensor) -> torch.Tensor:
    """Weigh keys within distance 1 alike."""
    return _normalised((u.abs() <= 1).to(u.dtype))


def epanechnikov(u: torch.Tensor) -> torch.Tensor:
    """Return weights proportional to 1 - u^2 within distance 1."""
    return _normalised((1 - u**2).clamp(min=0))


def constant(u: torch.Tensor) -> torch.Tensor:
    """Weigh all keys alike."""
    return _normalised(u.new_ones(u.shape))


KERNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gaussian": gaussian,
    "boxcar": boxcar,
    "epanechnikov": epanechnikov,
    "constant": constant,
}


def _normalised(heights: torch.Tensor) -> torch.Tensor:
    """Divide by the sum along keys; a query with no key in reach has weights zero."""
    total = heights.sum(-1, keepdim=True)
    return heights / total.masked_fill(total == 0, 1.0)


@register(problem="pooling", name="nadaraya-watson", supports=("backward",), score_buffers=2.0)
def nadaraya_watson(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    kernel: str = "gaussian",
    w: float | torch.Tensor = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions [n_q] and weights [n_q, n_k], which sum to one along the keys."""
    weights = KERNELS[kernel]((queries.unsqueeze(-1) - keys) * w)
    return weights @ values, weights
