"""What is checked, timed and counted: one implementation at one point of its problem, in one setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from impls.contract import Cost, Implementation, Inputs, Problem


@dataclass(frozen=True)
class Subject:
    """An implementation at a point, which is what the problem's `parse` returned."""

    problem: Problem
    implementation: Implementation
    point: Any
    dtype: torch.dtype
    device: torch.device
    direction: str = "forward"

    def inputs(self, *, seed: int, kind: str = "normal") -> Inputs:
        """Draw the point's inputs from a seed."""
        inputs: Inputs = self.problem.inputs(self.point, dtype=self.dtype, device=self.device, seed=seed, kind=kind)
        return inputs

    def bind(self, inputs: Inputs) -> Callable[[], Any]:
        """Return the implementation's call on inputs."""
        return self.problem.bind(self.implementation, inputs)

    def cost(self) -> Cost:
        """Return what the problem says that a call costs."""
        return self.problem.cost(self.point, itemsize=self.dtype.itemsize, direction=self.direction)
