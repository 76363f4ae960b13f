"""SageAttention, whose products are of 8-bit integers: approximate by intent, so that its errors are data.

Zhang et al., arXiv 2410.02367 and 2411.10958. Built from its repository; it chooses a kernel by the GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from impls.attention.cuda._layout import HALF, decline_head_sizes
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


def load() -> Callable[..., Any]:
    """Import the function."""
    from sageattention import sageattn

    return sageattn  # type: ignore[no-any-return]


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
    untried=True,
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
