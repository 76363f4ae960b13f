"""PyTorch's scaled_dot_product_attention, each backend pinned, and what a user gets by default."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from impls.attention._masks import allowed
from impls.contract import Expected
from impls.registry import register

if TYPE_CHECKING:
    import torch

HALF, HALF_BYTES = ("bfloat16", "float16"), 2
# Kernels load so much at once, from addresses that are multiples of it.
ALIGNED_BYTES = 16
# A window and a bias are told by a mask that is written out; no kernel of PyTorch's own skips what a window hides.
MASKED = ("window", "bias")
# Seen with torch 2.11 and cuDNN 9 on an H100, in bfloat16 and float16, where rows without a key come out as means of
# values, too.
CUDNN_FAULTS = {
    "huge padding": "cuDNN gives a hidden key all the weight where its score is huge",
    "strided gradient": "gradients by cuDNN are wrong where what comes from above lies otherwise than the output",
    "sliced gradient": "cuDNN reads what comes from above at addresses that it does not take, and the context is lost",
}
EVERYTHING = ("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward", *MASKED)


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
    window: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Call SDPA under the contract; its own is_causal is top left, which is bottom right only where n_q = n_k."""
    causal = causal and q.shape[2] > 1  # a single last query sees every key
    explicit = (
        valid_lens is not None or window is not None or (causal and (q.shape[2] != k.shape[2] or bias is not None))
    )
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens, window=window) if explicit else None
    if bias is not None:
        mask = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
    return scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        is_causal=causal and not explicit,
        scale=scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )


def _decline_scales(q: torch.Tensor, scale: float | None, *, of: str) -> None:
    """Decline what is answered with NaN: seen with torch 2.11 on an H200 and an H100, in bfloat16 and float16."""
    if scale is not None and scale <= 0 and q.is_cuda:
        raise NotImplementedError(f"{of} on CUDA gives NaN for a scale of 0 or less")


def _decline_addresses(*tensors: torch.Tensor) -> None:
    """Decline what ends a process: seen with torch 2.11 on an H100, in bfloat16 and float16, for slices of n_q = 1."""
    if any(one.is_cuda and one.data_ptr() % ALIGNED_BYTES for one in tensors):
        raise NotImplementedError(
            "the kernel that PyTorch chooses on CUDA for a bias dies of a misaligned address where queries, keys or "
            f"values do not begin at a multiple of {ALIGNED_BYTES} bytes"
        )


@register(
    problem="attention",
    name="sdpa-math",
    supports=EVERYTHING,
    expects=("attention_math",),
    # 16-bit inputs are computed in float32 (PyTorch issue 128922): twice the inputs' bytes for each score.
    score_buffers={"float32": 2.25, "float64": 2.25, "bfloat16": 4.5, "float16": 4.5},
    writes_mask=True,
    writes_triangle=True,
    within=functools.partial(sdpa_kernel, SDPBackend.MATH),
)
def sdpa_math(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
    window: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the math backend, which materialises the scores."""
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens, window=window, bias=bias)


@register(
    problem="attention",
    name="sdpa-flash",
    devices=("cpu",),
    supports=("causal", "valid_lens", "gqa", "dead_rows", "backward", *MASKED),
    expects=("flash_attention_for_cpu",),
    writes_mask=True,
    within=functools.partial(sdpa_kernel, SDPBackend.FLASH_ATTENTION),
)
@register(
    problem="attention",
    name="sdpa-flash",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "backward"),
    # cuDNN's kernels are called flash_fprop: no "flash" alone. FlashAttention-3 may be put in the built-in one's place.
    expects=Expected(("_flash_attention",), kernels=("flash_fwd", "flash_bwd", "flashattn")),
    within=functools.partial(sdpa_kernel, SDPBackend.FLASH_ATTENTION),
)
def sdpa_flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
    window: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the flash backend; on CUDA it takes no mask, so bottom-right causal goes through PyTorch's bias subclass."""
    _decline_scales(q, scale, of="PyTorch's flash kernel")
    if q.is_cuda and causal and 1 < q.shape[2] != k.shape[2]:
        return scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=lower_right(q.shape[2], k.shape[2]),
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens, window=window, bias=bias)


@register(
    problem="attention",
    name="sdpa-efficient",
    devices=("cuda",),
    dtypes=("float32", *HALF),
    supports=("causal", "valid_lens", "backward"),
    expects=Expected(("_efficient_attention",), kernels=("fmha_cutlass",)),
    deterministic=False,
    within=functools.partial(sdpa_kernel, SDPBackend.EFFICIENT_ATTENTION),
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
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(
    problem="attention",
    name="sdpa-cudnn",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "valid_lens", "gqa", "backward"),
    expects=Expected(("_cudnn_attention",), kernels=("cudnn_generated", "sdpa_sm")),
    deterministic=False,
    faults=CUDNN_FAULTS,
    within=functools.partial(sdpa_kernel, SDPBackend.CUDNN_ATTENTION),
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
    _decline_scales(q, scale, of="PyTorch's cuDNN kernel")
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(
    problem="attention",
    name="sdpa-auto",
    devices=("cpu", "mps"),
    supports=EVERYTHING,
    deterministic=False,
    writes_mask=True,
)
# In 16 bit on Hopper and later it chooses cuDNN.
@register(
    problem="attention",
    name="sdpa-auto",
    devices=("cuda",),
    supports=tuple(feature for feature in EVERYTHING if feature != "dead_rows"),
    faults=CUDNN_FAULTS,
    deterministic=False,
    writes_mask=True,
)
def sdpa_auto(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
    window: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Let PyTorch choose, as a user gets by default."""
    if q.element_size() == HALF_BYTES:
        _decline_scales(q, scale, of="cuDNN's kernel, which PyTorch chooses where it can,")
        if bias is not None:
            _decline_addresses(q, k, v)
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens, window=window, bias=bias)
