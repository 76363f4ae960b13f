"""The masks of the attention contract, shared by the implementations that materialise scores."""

from __future__ import annotations

import torch


def allowed(
    q: torch.Tensor,
    k: torch.Tensor,
    *,
    causal: bool,
    valid_lens: torch.Tensor | None,
    window: int | None = None,
) -> torch.Tensor | None:
    """Return which keys each query may attend to, None if all: bool, broadcastable to [batch, heads, n_q, n_k].

    Causal aligns the last query with the last key; valid_lens is [batch] or [batch, n_q]. A window leaves the keys less
    than so far from the query's own.
    """
    n_q, n_k = q.shape[2], k.shape[2]
    mask = None
    if causal:
        mask = torch.ones(n_q, n_k, dtype=torch.bool, device=q.device).tril(n_k - n_q)[None, None]
    if window is not None:
        around = torch.ones(n_q, n_k, dtype=torch.bool, device=q.device) if mask is None else mask
        mask = around.tril(n_k - n_q + window - 1).triu(n_k - n_q - window + 1).reshape(1, 1, n_q, n_k)
    if valid_lens is not None:
        keys = torch.arange(n_k, device=q.device)
        inside = keys < valid_lens.reshape(valid_lens.shape[0], 1, -1, 1)  # [batch, 1, 1 or n_q, n_k]
        mask = inside if mask is None else mask & inside
    return mask


def adjusted(scores: torch.Tensor, *, softcap: float | None, bias: torch.Tensor | None) -> torch.Tensor:
    """Cap scaled scores [batch, heads, n_q, n_k] by softcap tanh(scores / softcap), then add the bias."""
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    return scores if bias is None else scores + bias


def softmax(scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return softmax over the last axis of allowed scores; a row without any gives zeros."""
    if mask is None:
        return scores.softmax(-1)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)


def without_padding(x: torch.Tensor, valid_lens: torch.Tensor) -> torch.Tensor:
    """Copy keys or values [batch, kv_heads, n_k, ...] with zeros where no row of the batch element may look."""
    longest = valid_lens.reshape(len(x), -1).amax(-1).reshape(-1, 1, 1, 1)
    return x.masked_fill(torch.arange(x.shape[2], device=x.device).reshape(-1, 1) >= longest, 0.0)


def repeat_heads(k: torch.Tensor, heads: int) -> torch.Tensor:
    """Repeat [batch, kv_heads, n, d] to [batch, heads, n, d]; query head h reads key head h // (heads / kv_heads)."""
    return k if k.shape[1] == heads else k.repeat_interleave(heads // k.shape[1], dim=1)
