"""Every implementation of attention placed in the same multi-head module: `mha/<name>`."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from impls.contract import Implementation, Limits
from impls.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from impls.multihead.steps import Weights

# What a core lends to the module around it, and what the module itself can do with any core.
LENT = frozenset({"valid_lens", "dead_rows", "backward"})
OWN = frozenset({"cross_attention", "query_size", "odd_heads"})


def split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """View [batch, n, width] as [batch, heads, n, width / heads]."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def place(core: Implementation) -> Implementation:
    """Put an implementation of attention between the projections, under its limits."""
    function = module_around(core.function, name=core.name)
    return Implementation(
        problem="multihead",
        name=f"mha/{core.name}",
        function=function,
        limits=tuple(_limits(limits) for limits in core.limits),
        # What a core plans for its own tensors ends with this call's projections; what it compiles, it keeps.
        prepare=functools.partial(call_once, function) if core.prepare is not None else None,
        deterministic=core.deterministic,
        approximate=core.approximate,
        score_buffers=core.score_buffers,
        call_seconds_per_row=core.call_seconds_per_row,
        source=core.source,
        within=core.within,
        on_request=core.on_request,
        load=core.load,
        outside_torch=core.outside_torch,
    )


def call_once(
    mha: Callable[..., torch.Tensor],
    x_q: torch.Tensor,
    x_k: torch.Tensor,
    x_v: torch.Tensor,
    weights: Weights,
    **options: Any,
) -> Callable[[], torch.Tensor]:
    """Make a first call, in which the core compiles, and return the next."""
    call = functools.partial(mha, x_q, x_k, x_v, weights, **options)
    call()
    return call


def module_around(attend: Callable[..., torch.Tensor], *, name: str) -> Callable[..., torch.Tensor]:
    """Return a function under the contract of `multihead` that calls `attend` between the projections."""

    def mha(
        x_q: torch.Tensor,
        x_k: torch.Tensor,
        x_v: torch.Tensor,
        weights: Weights,
        *,
        heads: int,
        valid_lens: torch.Tensor | None = None,
        dropout: float = 0.0,
    ) -> torch.Tensor:
        if dropout:
            raise NotImplementedError(f"attention {name!r} has no dropout")
        q = split(functional.linear(x_q, weights.w_q, weights.b_q), heads)  # [batch, heads, n_q, d]
        k = split(functional.linear(x_k, weights.w_k, weights.b_k), heads)
        v = split(functional.linear(x_v, weights.w_v, weights.b_v), heads)
        out = attend(q, k, v, causal=False, scale=None, valid_lens=valid_lens)
        return functional.linear(out.transpose(1, 2).flatten(2), weights.w_o, weights.b_o)

    return mha


def _limits(limits: Limits) -> Limits:
    return replace(limits, supports=(limits.supports & LENT) | OWN)


REGISTRY.derive("attention", place)
