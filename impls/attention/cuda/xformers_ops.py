"""The memory-efficient attention of xformers, which chooses among its kernels: `pip install xformers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from impls.attention.cuda._layout import HALF
from impls.registry import register

if TYPE_CHECKING:
    import torch


def load() -> Any:
    """Import its operators."""
    from xformers import ops

    return ops


@register(
    problem="attention",
    name="xformers",
    devices=("cuda",),
    dtypes=("float32", *HALF),
    supports=("causal", "gqa", "backward"),
    requires=("xformers",),
    deterministic=False,
    load=load,
    on_request=True,
    untried=True,
)
def xformers(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Call memory_efficient_attention; groups of heads are an axis of their own, keys being seen by each of a group.

    It declines what none of its kernels takes with NotImplementedError. Its plain causal mask is top left.
    """
    ops = load()
    mask = ops.fmha.attn_bias.LowerTriangularFromBottomRightMask() if causal else None
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [batch, n, heads, d]
    heads, kv_heads = q.shape[2], k.shape[2]
    if heads == kv_heads:
        out: torch.Tensor = ops.memory_efficient_attention(q, k, v, attn_bias=mask, scale=scale)
        return out.transpose(1, 2)
    group = heads // kv_heads
    q = q.reshape(*q.shape[:2], kv_heads, group, -1)
    k, v = (x.unsqueeze(3).expand(-1, -1, -1, group, -1) for x in (k, v))
    out = ops.memory_efficient_attention(q, k, v, attn_bias=mask, scale=scale)
    return out.flatten(2, 3).transpose(1, 2)
