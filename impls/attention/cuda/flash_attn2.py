"""FlashAttention-2, for Ampere and later: `pip install flash-attn --no-build-isolation`, which compiles it.

Dao, arXiv 2307.08691. From version 2.1 on causal is bottom right, and a row without a key is zeros.
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
    from flash_attn import flash_attn_func

    return flash_attn_func  # type: ignore[no-any-return]


@register(
    problem="attention",
    name="flash-attn-2",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "dead_rows", "backward", "window"),
    # FlashAttention-4 alone brings a folder of the same name.
    requires=("flash_attn.flash_attn_interface",),
    expects=Expected(("flash_attn",), kernels=("flash_fwd", "flash_bwd")),
    # Gradients of queries are summed in no fixed order.
    deterministic=False,
    load=load,
    on_request=True,
    untried=True,
)
def flash_attn_2(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
    window: int | None = None,
) -> torch.Tensor:
    """Call flash_attn_func; it pads heads whose size is no multiple of 8 by itself.

    Its window counts the keys on either side of a row's own, -1 for all of them.
    """
    decline_head_sizes(q.shape[-1])
    sides = (-1, -1) if window is None else (window - 1, 0 if causal else window - 1)
    return call_swapped(load(), q, k, v, causal=causal, softmax_scale=scale, window_size=sides)
