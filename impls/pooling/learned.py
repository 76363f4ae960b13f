"""Attention pooling with one learned parameter: a scalar w that narrows or widens the Gaussian kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from impls.registry import register

# The tutorial's training: plain SGD at this rate, this many epochs, the loss summed over the training points.
LEARNING_RATE = 0.5
EPOCHS = 100


@register(
    problem="pooling",
    name="learned",
    fixes={"kernel": "gaussian"},
    supports=("backward",),
    expects=("bmm",),
    score_buffers=2.0,
)
def learned(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    w: float | torch.Tensor,
    kernel: str = "gaussian",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions [n_q] and weights [n_q, n_k] in the batched form of training.

    Keys and values may be [n_k], or [n_q, n_k] where each query has its own; products are one batched matmul.
    """
    if kernel != "gaussian":
        raise NotImplementedError(f"learned pooling has no kernel {kernel!r}")
    weights = (-(((queries.unsqueeze(-1) - keys) * w) ** 2) / 2).softmax(-1)  # [n_q, n_k]
    own = values.expand(weights.shape).unsqueeze(-1)  # [n_q, n_k, 1]
    return torch.bmm(weights.unsqueeze(1), own).flatten(), weights


@dataclass(frozen=True)
class Training:
    """The course of a training: `losses` before each epoch's step, `scales` the w after it."""

    losses: tuple[float, ...]
    scales: tuple[float, ...]


def leave_one_out(values: torch.Tensor) -> torch.Tensor:
    """Give each of n points the n - 1 others, [n, n - 1], in order."""
    n = len(values)
    others = ~torch.eye(n, dtype=torch.bool, device=values.device)
    return values.expand(n, n)[others].reshape(n, n - 1)


def summed_loss(w: float | torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the sum of squared errors over the points, each predicted from the others alone."""
    predictions, _ = learned(x, leave_one_out(x), leave_one_out(y), w=w)
    return ((predictions - y) ** 2).sum()


def train(
    x: torch.Tensor, y: torch.Tensor, *, start: float, rate: float = LEARNING_RATE, epochs: int = EPOCHS
) -> Training:
    """Train w by gradient descent on the whole data each epoch."""
    w = torch.tensor(start, dtype=x.dtype, requires_grad=True)
    losses, scales = [], []
    for _ in range(epochs):
        loss = summed_loss(w, x, y)
        (slope,) = torch.autograd.grad(loss, w)
        # The step of torch.optim.SGD, to the bit; making one imports PyTorch's compiler, which takes a second.
        with torch.no_grad():
            w.add_(slope, alpha=-rate)
        losses.append(loss.item())
        scales.append(w.item())
    return Training(tuple(losses), tuple(scales))
