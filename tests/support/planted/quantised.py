"""Attention that is approximate by intent, queries and keys rounded to eight bits, and two that break the contract."""

from __future__ import annotations

import torch

from attnbench import register
from impls.attention.batched import batched

FORWARD = ("causal", "valid_lens", "gqa", "d_v", "dead_rows")


def rounded(tensor):
    """Round each row to 255 steps of its largest value."""
    step = tensor.float().abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127
    return ((tensor.float() / step).round() * step).to(tensor.dtype)


@register(problem="attention", name="planted-int8", supports=(*FORWARD, "backward"), approximate=True)
def int8(q, k, v, **options):
    """Round queries and keys; a gradient passes as if they had not been rounded."""
    q, k = (tensor + (rounded(tensor.detach()) - tensor.detach()) for tensor in (q, k))
    return batched(q, k, v, **options)


@register(problem="attention", name="planted-int8-nan", supports=FORWARD, approximate=True)
def int8_nan(q, k, v, **options):
    """Leave NaN in the last feature."""
    out = batched(rounded(q), rounded(k), v, **options)
    out[..., -1] = torch.nan
    return out


@register(problem="attention", name="planted-int8-cut", supports=FORWARD, approximate=True)
def int8_cut(q, k, v, **options):
    """Return a row too few."""
    return batched(rounded(q), rounded(k), v, **options)[:, :, 1:].clone()
