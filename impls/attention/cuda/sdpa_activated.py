"""PyTorch's flash backend with FlashAttention-3 or 4 put in its place, by torch.nn.attention's own switch.

The switch is the process's: it is turned around calls of these implementations alone, and back after them.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from impls.attention.cuda._layout import HALF, decline_head_sizes
from impls.attention.sdpa import attend
from impls.contract import Expected
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


@contextlib.contextmanager
def activated(name: str) -> Iterator[None]:
    """Put an implementation behind PyTorch's flash backend, which alone may be chosen, and take it away again.

    Raises NotImplementedError where this PyTorch has no such switch.
    """
    if not hasattr(nn.attention, "restore_flash_attention_impl"):
        raise NotImplementedError("this PyTorch can't put another FlashAttention behind its own")
    nn.attention.activate_flash_attention_impl(name)
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            yield
    finally:
        nn.attention.restore_flash_attention_impl()


@register(
    problem="attention",
    name="sdpa-fa3",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "backward"),
    requires=("flash_attn_interface",),
    expects=Expected(("_flash_attention",), kernels=("flashattnfwd", "flashattnbwd")),
    deterministic=False,
    within=functools.partial(activated, "FA3"),
    on_request=True,
    untried=True,
)
def sdpa_fa3(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Call SDPA; a causal rectangle would need a mask, which the flash backend takes none of."""
    decline_head_sizes(q.shape[-1], multiple=8)
    _decline_rectangles(q, k, causal=causal)
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


@register(
    problem="attention",
    name="sdpa-fa4",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa", "backward"),
    requires=("flash_attn.cute",),
    expects=Expected(("_flash_attention",), kernels=("flash",)),
    deterministic=False,
    within=functools.partial(activated, "FA4"),
    on_request=True,
    untried=True,
)
def sdpa_fa4(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Call SDPA; a causal rectangle would need a mask, which the flash backend takes none of."""
    decline_head_sizes(q.shape[-1], multiple=8, at_most=128)
    _decline_rectangles(q, k, causal=causal)
    return attend(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)


def _decline_rectangles(q: torch.Tensor, k: torch.Tensor, *, causal: bool) -> None:
    if causal and q.shape[2] not in {1, k.shape[2]}:
        raise NotImplementedError("causal takes as many queries as keys, or one")
