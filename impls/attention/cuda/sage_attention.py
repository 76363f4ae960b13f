"""SageAttention, whose products are of 8-bit integers: approximate by intent, so that its errors are data.

Zhang et al., arXiv 2410.02367 and 2411.10958. Version 2 is built from its repository and chooses a kernel by the GPU;
version 1, which `pip install sageattention` gives, has kernels in Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from impls.attention.cuda._layout import HALF, decline_head_sizes
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


HEAD_SIZES_OF_1 = (64, 96, 128)


def load() -> Callable[..., Any]:
    """Import the function; version 1's subtracts the keys' mean in the caller's tensor, here in one of its own."""
    import sageattention

    if hasattr(sageattention, "sageattn_qk_int8_pv_fp16_cuda"):
        return sageattention.sageattn  # type: ignore[no-any-return]

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any) -> torch.Tensor:
        if q.shape[-1] not in HEAD_SIZES_OF_1:
            sizes = ", ".join(map(str, HEAD_SIZES_OF_1))
            raise NotImplementedError(f"head size must be one of {sizes} for version 1, not {q.shape[-1]}")
        if any(x.stride(-1) != 1 for x in (q, k, v)):
            raise NotImplementedError("version 1 takes elements of a head one after another in memory")
        # What moves all scores of a row alike leaves its weights as they are.
        centred = k - k.mean(dim=2, keepdim=True)
        out: torch.Tensor = sageattention.sageattn(q, centred, v, smooth_k=False, **options)
        return out

    return attend


@register(
    problem="attention",
    name="sageattention",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa"),
    requires=("sageattention",),
    approximate=True,
    load=load,
    on_request=True,
)
def sage_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Call sageattn on [batch, heads, n, d]; it pads smaller heads to 64 or 128."""
    decline_head_sizes(q.shape[-1], at_most=128)
    causal = causal and q.shape[2] > 1
    if causal and q.shape[2] != k.shape[2]:
        raise NotImplementedError(
            "causal takes as many queries as keys, or one: no document says where else its diagonal lies"
        )
    out: torch.Tensor = load()(q, k, v, tensor_layout="HND", is_causal=causal, sm_scale=scale)
    return out
