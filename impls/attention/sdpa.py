"""PyTorch's scaled_dot_product_attention, each backend pinned, and what a user gets by default."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from impls.attention._masks import allowed
from impls.registry import register

if TYPE_CHECKING:
    import torch

HALF = ("bfloat16", "float16")
EVERYTHING = ("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward")


@functools.cache
def lower_right(n_q: int, n_k: int) -> Any:
    """Return PyTorch's bottom-right causal bias, whose module brings the compiler: seconds, for whoever needs none."""
    from torch.nn.attention.bias import causal_lower_right

    return causal_lower_right(n_q, n_k)


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool,
    scale: float | None,
    valid_lens: torch.Tensor | None,
) -> torch.Tensor:
    """Call SDPA under the contract; its own is_causal is top left, which is bottom right only where n_q = n_k."""
    causal = causal and q.shape[2] > 1  # a single last query sees every key
    explicit = valid_lens is not None or (causal and q.shape[2] != k.shape[2])
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens) if explicit else None
    return scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        is_causal=causal and not explicit,
        scale=scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )


@register(
    problem="attention", name="sdpa-math", supports=EVERYTHING, expects=("attention_math", "bmm"), score_buffers=2.25
)
def sdpa_math(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the math backend, which materialises the scores."""
    with sdpa_kernel(SDPBackend.MATH):
        return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(
    problem="attention",
    name="sdpa-flash",
    devices=("cpu",),
    supports=("causal", "valid_lens", "gqa", "dead_rows", "backward"),
    expects=("flash_attention_for_cpu",),
)
@register(
    problem="attention",
    name="sdpa-flash",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "backward"),
    expects=("flash",),
)
def sdpa_flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the flash backend; on CUDA it takes no mask, so bottom-right causal goes through PyTorch's bias subclass."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        if q.is_cuda and causal and 1 < q.shape[2] != k.shape[2]:
            return scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=lower_right(q.shape[2], k.shape[2]),
                scale=scale,
                enable_gqa=q.shape[1] != k.shape[1],
            )
        return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(
    problem="attention",
    name="sdpa-efficient",
    devices=("cuda",),
    dtypes=("float32", *HALF),
    supports=("causal", "valid_lens", "backward"),
    expects=("fmha", "efficient", "cutlass"),
    deterministic=False,
)
def sdpa_efficient(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the memory-efficient backend (CUTLASS)."""
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(
    problem="attention",
    name="sdpa-cudnn",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "valid_lens", "gqa", "backward"),
    expects=("cudnn",),
    deterministic=False,
)
def sdpa_cudnn(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the cuDNN backend."""
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(problem="attention", name="sdpa-auto", supports=EVERYTHING, deterministic=False)
def sdpa_auto(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Let PyTorch choose, as a user gets by default."""
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)
