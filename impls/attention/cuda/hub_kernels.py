"""FlashAttention as the Hub has it compiled: the package `kernels` fetches what fits this torch and this GPU.

The first call downloads it from huggingface.co, unless HF_HUB_OFFLINE is set and it was fetched before; nobody but who
names these implementations causes that.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from impls.attention.cuda._layout import HALF, call_swapped, decline_head_sizes
from impls.contract import Expected
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

# The version of a kernel's interface: 1 has flash_attn_func in both.
INTERFACE = 1


@functools.cache
def fetched(name: str) -> Callable[..., Any]:
    """Return a kernel's flash_attn_func, from the network where it is not in the cache."""
    from kernels import get_kernel

    return get_kernel(f"kernels-community/{name}", version=INTERFACE).flash_attn_func  # type: ignore[no-any-return]


def load_2() -> None:
    """Fetch and import FlashAttention-2."""
    fetched("flash-attn2")


def load_3() -> None:
    """Fetch and import FlashAttention-3."""
    fetched("flash-attn3")


@register(
    problem="attention",
    name="hub-flash-attn2",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "dead_rows", "backward"),
    requires=("kernels",),
    expects=Expected(("flash_attn",), kernels=("flash_fwd", "flash_bwd")),
    deterministic=False,
    load=load_2,
    on_request=True,
    untried=True,
)
def hub_flash_attn2(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Call flash_attn_func of kernels-community/flash-attn2."""
    decline_head_sizes(q.shape[-1])
    return call_swapped(fetched("flash-attn2"), q, k, v, causal=causal, softmax_scale=scale)


@register(
    problem="attention",
    name="hub-flash-attn3",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "dead_rows", "backward"),
    requires=("kernels",),
    expects=Expected(("flash_attn",), kernels=("flashattnfwd", "flashattnbwd", "flash_fwd", "flash_bwd")),
    deterministic=False,
    load=load_3,
    on_request=True,
    untried=True,
)
def hub_flash_attn3(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Call flash_attn_func of kernels-community/flash-attn3."""
    decline_head_sizes(q.shape[-1], multiple=8)
    return call_swapped(fetched("flash-attn3"), q, k, v, causal=causal, softmax_scale=scale)
