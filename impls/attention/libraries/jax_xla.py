"""JAX's dot_product_attention under jit, as XLA compiles it for a CPU: the scores are materialised, in float32."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.dlpack import from_dlpack

from impls.attention._masks import allowed
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

# How many threads XLA makes for a CPU, read once, before its first computation; else it takes all cores.
THREADS_VARIABLE = "PJRT_NPROC"


def load() -> None:
    """Import JAX and make its threads, as many as torch has."""
    os.environ.setdefault(THREADS_VARIABLE, str(torch.get_num_threads()))
    import jax

    jax.block_until_ready(jax.numpy.zeros(1) + 1)


@functools.cache
def compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the jitted function, and what lends a tensor to it."""
    import jax
    import jax.numpy as jnp

    def attend(q: Any, k: Any, v: Any, mask: Any, *, scale: float | None, causal: bool) -> Any:
        """Swap the axes inside, where the compiler sees it; a row without a key gives zeros, not the mean."""
        q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
        out = jax.nn.dot_product_attention(q, k, v, mask=mask, scale=scale, is_causal=causal, implementation="xla")
        out = out.swapaxes(1, 2)
        return out if mask is None else jnp.where(mask.any(-1, keepdims=True), out, 0)

    return jax.jit(attend, static_argnames=("scale", "causal")), jax.dlpack.from_dlpack


def build(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any) -> Callable[[], torch.Tensor]:
    """Compile for these shapes by calling once."""
    call = functools.partial(jax_attention, q, k, v, **options)
    call()
    return call


@register(
    problem="attention",
    name="jax",
    devices=("cpu",),
    # Under jit float16 is refused: F16_F16_F32 is not supported by dot_general on a CPU (0.10.2).
    dtypes=("float32", "bfloat16"),
    supports=("causal", "valid_lens", "gqa", "dead_rows"),
    requires=("jax",),
    prepare=build,
    # Scores and weights, in float32 whatever the dtype is.
    score_buffers={"float32": 2.0, "bfloat16": 4.0},
    load=load,
    on_request=True,
    outside_torch=True,
)
def jax_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Lend the tensors, wait for the result and take it over, none of it copied; JAX's is_causal is top left."""
    if q.dtype == torch.bfloat16 and q.shape[:3].numel() == k.shape[2] == 1:
        raise NotImplementedError("XLA on a CPU has no bfloat16 product that gives a single score")
    causal = causal and q.shape[2] > 1
    explicit = valid_lens is not None or (causal and q.shape[2] != k.shape[2])
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens) if explicit else None
    attend, lend = compiled()
    lent = [None if x is None else lend(x.contiguous()) for x in (q, k, v, mask)]
    out = attend(*lent, scale=scale, causal=causal and not explicit)
    return from_dlpack(out.block_until_ready())
