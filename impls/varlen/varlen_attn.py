"""PyTorch's torch.nn.attention.varlen, FlashAttention or cuDNN on packed sequences; it has no kernel for a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from impls.contract import Expected
from impls.registry import register

if TYPE_CHECKING:
    import torch

HEAD_SIZE_AT_MOST = 256


@register(
    problem="varlen",
    name="varlen-attn",
    devices=("cuda",),
    dtypes=("bfloat16", "float16"),
    supports=("causal", "gqa", "backward"),
    requires=("torch.nn.attention.varlen",),
    expects=Expected(("_varlen_attn",), kernels=("flash_fwd", "flash_bwd", "flashattn", "cudnn")),
    # Gradients of queries are summed in no fixed order.
    deterministic=False,
    on_request=True,
    untried=True,
)
def varlen_attn(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,
    causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """Call varlen_attn, which takes causal as a window that ends at the query."""
    from torch.nn.attention import varlen

    if q.shape[-1] > HEAD_SIZE_AT_MOST or q.shape[-1] % 8:
        raise NotImplementedError(f"head size must be a multiple of 8, at most {HEAD_SIZE_AT_MOST}, not {q.shape[-1]}")
    out = varlen.varlen_attn(
        q,
        k,
        v,
        cu_seqlens,
        cu_seqlens,
        max_seqlen,
        max_seqlen,
        scale=scale,
        window_size=(-1, 0) if causal else (-1, -1),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    # With no auxiliary output asked for, it returns the tensor alone.
    assert not isinstance(out, tuple)
    return out
