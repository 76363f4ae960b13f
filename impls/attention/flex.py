"""PyTorch's flex_attention, compiled: a mask written in Python becomes part of a fused kernel.

Dong et al., arXiv 2412.05496. A kernel is compiled for each shape, dtype and kind of mask, ahead of timing: three
seconds each on a CPU, fifteen for the first. On a CPU PyTorch compiles it for inference only, and not in float64. What
it does there uncompiled, with gradients, is a materialised softmax that is traced anew in each call: left out here.
"""

from __future__ import annotations

import functools
import os
import shutil
import types
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention.flex_attention import BlockMask, and_masks, create_block_mask, flex_attention

from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from impls.contract import Row

# Both of the compiler's backends write C++: the CPU's for kernels, Triton for what launches them.
COMPILER = os.environ.get("CXX", "g++")
if shutil.which(COMPILER) is None:
    raise ImportError(f"needs a C++ compiler: there is no {COMPILER!r} (set CXX to another)")

MASKS = ("causal", "valid_lens", "gqa", "dead_rows", "window")
# Kernels kept in a process; a run visits fewer points.
KERNELS_AT_MOST = 256
FLOAT32_BYTES = 4
# Of a side of a mask's block, which PyTorch sets.
BLOCK = 128


def row_bytes(row: Row) -> float:
    """Count a row's share of what a CPU's kernel allocates: copies of keys and values, and blocks for each thread.

    A block is one of the mask's. Without a mask that is the whole matrix, n_q x n_k: O(n) memory takes a mask there.
    """
    if row.device != "cpu":
        return 0.0
    queries, keys = (min(BLOCK, row.queries), min(BLOCK, row.keys)) if row.masked else (row.queries, row.keys)
    # Scores with maximum, sum and output in float32; weights, a turned block and a padded one in the dtype.
    block = FLOAT32_BYTES * queries * (keys + 2 + row.width) + row.itemsize * (queries * keys + row.width * keys)
    block += row.itemsize * row.width * queries
    copies = 2 * row.matrices * row.keys * row.width * row.itemsize
    return (copies + torch.get_num_threads() * block) / (row.matrices * row.queries)


def build(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
    window: int | None = None,
) -> Callable[[], torch.Tensor]:
    """Compile for these shapes and sort the mask into blocks; return the call."""
    if q.device.type == "cpu" and bool(q.isnan().any()):
        raise NotImplementedError("compiled for a CPU, a query that holds NaN gives a finite row")
    attend = kernel(q, k, v, causal=causal, valid_lens=valid_lens, window=window)
    block_mask = blocks(q, k, causal=causal, valid_lens=valid_lens, window=window)
    # The first call compiles.
    attend(q, k, v, block_mask, scale)
    return lambda: attend(q, k, v, block_mask, scale)


@register(
    problem="attention",
    name="flex",
    devices=("cpu",),
    # The CPU's template takes no gradients and no float64: "torch.compile on CPU only supports inference".
    dtypes=("float32", "bfloat16", "float16"),
    supports=(*MASKS, "d_v"),
    prepare=build,
    row_bytes=row_bytes,
    compiles=True,
)
@register(
    problem="attention",
    name="flex",
    devices=("cuda",),
    dtypes=("bfloat16", "float16"),
    supports=(*MASKS, "backward"),
    requires=("triton",),
    prepare=build,
    expects=("flex_attention",),
    row_bytes=row_bytes,
    compiles=True,
    deterministic=False,
)
def flex(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
    window: int | None = None,
) -> torch.Tensor:
    """Run the compiled kernel; the first call of a shape compiles it."""
    attend = kernel(q, k, v, causal=causal, valid_lens=valid_lens, window=window)
    return attend(q, k, v, blocks(q, k, causal=causal, valid_lens=valid_lens, window=window), scale)  # type: ignore[no-any-return]


def blocks(
    q: torch.Tensor, k: torch.Tensor, *, causal: bool, valid_lens: torch.Tensor | None, window: int | None
) -> BlockMask | None:
    """Sort the mask into blocks that are empty, full or mixed; None if there is no mask."""
    n_q, n_k = q.shape[2], k.shape[2]
    allowed = mask(n_q, n_k, causal=causal, valid_lens=valid_lens, window=window)
    if allowed is None:
        return None
    return create_block_mask(allowed, None if valid_lens is None else q.shape[0], None, n_q, n_k, device=q.device)


def mask(
    n_q: int, n_k: int, *, causal: bool, valid_lens: torch.Tensor | None, window: int | None
) -> Callable[..., torch.Tensor] | None:
    """Return which key a query may attend to, as a function of batch element, head, query and key."""
    shift, reach = n_k - n_q, window or 0

    def below_diagonal(batch: Any, head: Any, query: Any, key: Any) -> Any:  # noqa: ARG001
        return key <= query + shift

    def near(batch: Any, head: Any, query: Any, key: Any) -> Any:  # noqa: ARG001
        return (key > query + shift - reach) & (key < query + shift + reach)

    conditions: list[Callable[..., Any]] = [below_diagonal] * causal + [near] * (window is not None)
    if valid_lens is not None:
        # One form for both kinds of lengths: a column that broadcasts would be read at every query.
        lengths = valid_lens.reshape(len(valid_lens), -1).expand(-1, n_q).contiguous()

        def inside(batch: Any, head: Any, query: Any, key: Any) -> Any:  # noqa: ARG001
            return key < lengths[batch, query]

        conditions.append(inside)
    return and_masks(*conditions) if len(conditions) > 1 else next(iter(conditions), None)


def kernel(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool,
    valid_lens: torch.Tensor | None,
    window: int | None,
) -> Callable[..., Any]:
    """Return the compiled function of a shape, dtype, layout and kind of mask, made once."""
    tensors = tuple((tuple(x.shape), x.stride(), x.dtype, x.device) for x in (q, k, v))
    return _compiled(tensors, causal, valid_lens is not None, window)


@functools.lru_cache(maxsize=KERNELS_AT_MOST)
def _compiled(*_: object) -> Callable[..., Any]:
    """Compile anew, under a code object of its own.

    The compiler counts what it made of a code object and gives up after eight; a sweep has more shapes than that.
    """

    def attend(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, block_mask: BlockMask | None, scale: float | None
    ) -> torch.Tensor:
        out = flex_attention(q, k, v, block_mask=block_mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
        assert isinstance(out, torch.Tensor)
        return out

    own = types.FunctionType(attend.__code__.replace(), globals(), attend.__name__)
    return torch.compile(own, fullgraph=True, dynamic=False)
