"""PyTorch's own nn.MultiheadAttention with our weights, with its fused fast path and without.

The fast path takes self-attention with an even number of heads and biases, where no gradients are recorded.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call

from impls.multihead.steps import Weights, folded_lengths
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def build(
    x_q: torch.Tensor,
    x_k: torch.Tensor,
    x_v: torch.Tensor,
    weights: Weights,
    *,
    heads: int,
    valid_lens: torch.Tensor | None = None,
    dropout: float = 0.0,
) -> Callable[[], torch.Tensor]:
    """Make a module and map our weights to its parameters; return its call without the fast path."""
    return _call(x_q, x_k, x_v, weights, heads=heads, valid_lens=valid_lens, dropout=dropout, fast=False)


def build_fast(
    x_q: torch.Tensor,
    x_k: torch.Tensor,
    x_v: torch.Tensor,
    weights: Weights,
    *,
    heads: int,
    valid_lens: torch.Tensor | None = None,
    dropout: float = 0.0,
) -> Callable[[], torch.Tensor]:
    """Make a module and map our weights to its parameters; return its call with the fast path allowed."""
    return _call(x_q, x_k, x_v, weights, heads=heads, valid_lens=valid_lens, dropout=dropout, fast=True)


@register(
    problem="multihead",
    name="torch-module",
    supports=("valid_lens", "backward", "dropout", "cross_attention", "odd_heads"),
    prepare=build,
    score_buffers=2.25,
)
def torch_module(x_q: torch.Tensor, x_k: torch.Tensor, x_v: torch.Tensor, weights: Weights, **options: Any) -> Any:
    """Call the module without its fast path, which is what training runs."""
    return build(x_q, x_k, x_v, weights, **options)()


@register(
    problem="multihead",
    name="torch-module-fast",
    devices=("cpu", "cuda"),
    dtypes=("float32", "bfloat16", "float16"),
    prepare=build_fast,
    expects=("_native_multi_head_attention",),
    score_buffers=2.0,
)
def torch_module_fast(x_q: torch.Tensor, x_k: torch.Tensor, x_v: torch.Tensor, weights: Weights, **options: Any) -> Any:
    """Call the module's fused fast path, which is what inference runs."""
    return build_fast(x_q, x_k, x_v, weights, **options)()


def _call(
    x_q: torch.Tensor,
    x_k: torch.Tensor,
    x_v: torch.Tensor,
    weights: Weights,
    *,
    heads: int,
    valid_lens: torch.Tensor | None,
    dropout: float,
    fast: bool,
) -> Callable[[], torch.Tensor]:
    width = weights.w_o.shape[0]
    # On the meta device the module's own weights cost nothing; ours take their place in each call.
    module = nn.MultiheadAttention(
        width,
        heads,
        dropout=dropout,
        bias=True,
        kdim=weights.w_k.shape[1],
        vdim=weights.w_v.shape[1],
        batch_first=True,
        device="meta",
        dtype=x_q.dtype,
    ).train(dropout > 0.0)
    parameters = _parameters(weights, packed=module.in_proj_weight is not None)
    blocked = None
    if valid_lens is not None:
        blocked = torch.arange(x_k.shape[1], device=x_k.device) >= folded_lengths(valid_lens, heads)
        blocked = blocked.expand(-1, x_q.shape[1], -1)  # [batch * heads, n_q, n_k]

    def call() -> torch.Tensor:
        with _fast_path(fast):
            out, _ = functional_call(
                module, parameters, (x_q, x_k, x_v), {"need_weights": False, "attn_mask": blocked}, strict=True
            )
        return out  # type: ignore[no-any-return]

    return call


def _parameters(weights: Weights, *, packed: bool) -> dict[str, torch.Tensor]:
    """Name our weights as the module does; absent biases are zeros, without which there is no fast path."""
    absent = weights.w_o.new_zeros(weights.w_o.shape[0])
    b_q, b_k, b_v, b_o = (absent if b is None else b for b in (weights.b_q, weights.b_k, weights.b_v, weights.b_o))
    shared = {
        "in_proj_bias": torch.cat([b_q, b_k, b_v]),
        "out_proj.weight": weights.w_o,
        "out_proj.bias": b_o,
    }
    if packed:
        return {**shared, "in_proj_weight": torch.cat([weights.w_q, weights.w_k, weights.w_v])}
    separate = {"q_proj_weight": weights.w_q, "k_proj_weight": weights.w_k, "v_proj_weight": weights.w_v}
    return {**shared, **separate}


@contextmanager
def _fast_path(allowed: bool) -> Iterator[None]:  # noqa: FBT001
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(allowed)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
