"""FlashInfer's kernels for serving: one call for a single sequence, a planned one for a batch of equal lengths.

Ye et al., arXiv 2501.01005. `pip install flashinfer-python`; kernels are compiled, or fetched, when first called.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from impls.attention.cuda._layout import HALF
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

# What its documentation advises for the plan of a batch, in bytes.
WORKSPACE_BYTES = 128 * 2**20
HEAD_SIZES = (64, 128, 256)


def load() -> Any:
    """Import the package."""
    import flashinfer

    return flashinfer


def build(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> Callable[[], torch.Tensor]:
    """Plan for these shapes outside of the call; kernels are compiled by a first one."""
    (batch, heads, n_q, d), (_, kv_heads, n_k, _) = q.shape, k.shape
    if d not in HEAD_SIZES:
        raise NotImplementedError(f"head size must be one of {', '.join(map(str, HEAD_SIZES))}, not {d}")
    flashinfer = load()
    if batch == 1:
        attend = functools.partial(
            flashinfer.single_prefill_with_kv_cache, causal=causal, sm_scale=scale, kv_layout="NHD"
        )
    else:
        workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device=q.device)
        wrapper = flashinfer.BatchPrefillWithRaggedKVCacheWrapper(workspace, "NHD")
        ends = torch.arange(batch + 1, dtype=torch.int32, device=q.device)
        wrapper.plan(
            ends * n_q,
            ends * n_k,
            heads,
            kv_heads,
            d,
            causal=causal,
            sm_scale=scale,
            q_data_type=q.dtype,
            kv_data_type=k.dtype,
        )
        attend = wrapper.run

    def call() -> torch.Tensor:
        # One after another in memory, which copies where there are several sequences.
        rows = [x.transpose(1, 2).flatten(0, 1) for x in (q, k, v)]  # [batch * n, heads, d]
        out: torch.Tensor = attend(*rows)
        return out.reshape(batch, n_q, heads, -1).transpose(1, 2)

    call()
    return call


@register(
    problem="attention",
    name="flashinfer",
    devices=("cuda",),
    dtypes=HALF,
    supports=("causal", "gqa"),
    requires=("flashinfer",),
    prepare=build,
    load=load,
    on_request=True,
)
def flashinfer_prefill(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Plan and call; causal is bottom right."""
    return build(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)()
