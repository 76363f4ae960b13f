"""FlashAttention-4, for Hopper and Blackwell: `pip install flash-attn-4`; its kernels are compiled when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from impls.attention.cuda._layout import HALF, call_swapped, decline_head_sizes
from impls.contract import Expected
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


def load() -> Callable[..., Any]:
    """Import the function."""
    from flash_attn.cute import flash_attn_func

    return flash_attn_func  # type: ignore[no-any-return]


@register(
    problem="attention",
    name="flash-attn-4",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "backward"),
    requires=("flash_attn.cute",),
    expects=Expected((), kernels=("flash",)),
    # Gradients of queries are summed in no fixed order.
    deterministic=False,
    load=load,
    on_request=True,
    untried=True,
)
def flash_attn_4(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Call flash_attn_func, which may return the logarithms of the sums beside the output."""
    decline_head_sizes(q.shape[-1], multiple=8, at_most=128)
    return call_swapped(load(), q, k, v, causal=causal, softmax_scale=scale)
