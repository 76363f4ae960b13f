"""The plain form that a result is measured by: of several honest ones, element by element the worst."""

from __future__ import annotations

import torch


def has_reference(dtype: torch.dtype) -> bool:
    """Tell whether a plain form says something beside the bound: not in float64, which the oracle is no better than."""
    return dtype != torch.float64


def drawn(deviation: torch.Tensor) -> torch.Tensor:
    """Draw normal errors of given standard deviations, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return deviation * torch.randn(deviation.shape, generator=generator, dtype=torch.float64)


def farther(oracle: torch.Tensor, *forms: torch.Tensor) -> torch.Tensor:
    """Return, element by element, the form that is farthest from the oracle, of those that did not overflow."""
    stacked = torch.stack([form.cpu().double() for form in forms])
    # `argmax` takes twenty times as long along the first axis.
    farthest = (stacked - oracle).abs().nan_to_num(nan=-1.0, posinf=-1.0).max(0, keepdim=True).indices
    return stacked.gather(0, farthest).squeeze(0)
