"""How far an approximate kernel is from the oracle: data that its user weighs, held against no budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.records import Approximation

if TYPE_CHECKING:
    from collections.abc import Iterable


def distance(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Approximation:
    """Measure tensors, all finite, against what they should be, float64 on the CPU; the worst of them counts."""
    found = [_distance(torch.Tensor.detach(value).cpu().double(), oracle) for value, oracle in pairs]
    return Approximation(
        cosine=min(one.cosine for one in found),
        relative_l1=max(one.relative_l1 for one in found),
        rmse=max(one.rmse for one in found),
        largest=max(one.largest for one in found),
    )


def _distance(got: torch.Tensor, oracle: torch.Tensor) -> Approximation:
    """Measure one tensor. Where the oracle is zero everywhere, whatever is not has nothing in common with it."""
    error = got - oracle
    largest = float(error.abs().max())
    size, wanted = float(got.norm()), float(oracle.norm())
    cosine = float((got * oracle).sum()) / (size * wanted) if size and wanted else float(size == wanted)
    total = float(oracle.abs().sum())
    return Approximation(
        cosine=max(-1.0, min(1.0, cosine)),
        relative_l1=float(error.abs().sum()) / total if total else float(largest > 0.0),
        rmse=float(error.square().mean().sqrt()),
        largest=largest,
    )
