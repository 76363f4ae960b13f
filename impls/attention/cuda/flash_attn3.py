"""FlashAttention-3, for Hopper: built from the folder hopper/ of its repository, or a wheel of flash_attn_3.

Shah et al., arXiv 2407.08608.
"""

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
    from flash_attn_interface import flash_attn_func

    return flash_attn_func  # type: ignore[no-any-return]


@register(
    problem="attention",
    name="flash-attn-3",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "dead_rows", "backward"),
    requires=("flash_attn_interface",),
    expects=Expected(("flash_attn_3",), kernels=("flashattnfwd", "flashattnbwd", "flash_fwd", "flash_bwd")),
    # Gradients of queries are summed in no fixed order.
    deterministic=False,
    load=load,
    on_request=True,
    untried=True,
    # The keys of a row shared out, for few rows against many keys.
    options={"num_splits": (2, 4, 8, 16)},
)
def flash_attn_3(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
    num_splits: int = 1,
) -> torch.Tensor:
    """Call flash_attn_func; early versions return the logarithms of the sums beside the output."""
    decline_head_sizes(q.shape[-1], multiple=8)
    # Early versions don't know the argument.
    splits = {} if num_splits == 1 else {"num_splits": num_splits}
    return call_swapped(load(), q, k, v, causal=causal, softmax_scale=scale, **splits)
