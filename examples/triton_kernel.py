"""Attention in Triton, forward: one program per block of queries, an online softmax over blocks of keys.

    attnbench check --quick --impl-file examples/triton_kernel.py
    attnbench run sequence-length --impl-file examples/triton_kernel.py --impl triton-flash --impl sdpa-auto

On a GPU it is compiled. With TRITON_INTERPRET=1 Triton's interpreter runs it on a CPU, slowly, so that a mistake is
found on a laptop. The algorithm is that of Dao et al., arXiv 2205.14135, algorithm 1.
"""

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl

from attnbench import register

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# Rows of queries and of keys that a program holds at a time.
BLOCK_Q, BLOCK_K = 64, 32
# Products are of blocks whose sides are powers of two, from 16 on; wider heads would not fit a multiprocessor's memory.
NARROWEST, WIDEST = 16, 128


@triton.jit
def flash(  # noqa: PLR0913, PLR0917
    q, k, v, out,
    q_batch, q_head, q_row, q_column,
    k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    heads, shared, n_q, n_k, d, scale,
    IS_CAUSAL: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Attend with one block of queries of one head; `out` is [batch, heads, n_q, d] in order, others have strides."""
    block, pair = tl.program_id(0), tl.program_id(1)
    batch, head = (pair // heads).to(tl.int64), (pair % heads).to(tl.int64)
    rows = block * BLOCK_Q + tl.arange(0, BLOCK_Q)
    columns = tl.arange(0, BLOCK_D)
    is_row, is_column = rows < n_q, columns < d
    places = q + batch * q_batch + head * q_head + rows[:, None] * q_row + columns[None, :] * q_column
    queries = tl.load(places, mask=is_row[:, None] & is_column[None, :], other=0.0)
    keys_of = k + batch * k_batch + head // shared * k_head
    values_of = v + batch * v_batch + head // shared * v_head
    top = tl.full((BLOCK_Q,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_Q,), tl.float32)
    summed = tl.zeros((BLOCK_Q, BLOCK_D), tl.float32)
    end = n_k
    if IS_CAUSAL:
        # The last query looks at the last key; no row of this block looks further than its last row does.
        end = tl.minimum(n_k, (block + 1) * BLOCK_Q + n_k - n_q)
    for start in range(0, end, BLOCK_K):
        indices = start + tl.arange(0, BLOCK_K)
        inside = (indices < n_k)[:, None] & is_column[None, :]
        keys = tl.load(keys_of + indices[:, None] * k_row + columns[None, :] * k_column, mask=inside, other=0.0)
        values = tl.load(values_of + indices[:, None] * v_row + columns[None, :] * v_column, mask=inside, other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee", out_dtype=tl.float32) * scale
        allowed = (indices < n_k)[None, :]
        if IS_CAUSAL:
            allowed = allowed & (indices[None, :] <= rows[:, None] + n_k - n_q)
        scores = tl.where(allowed, scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        # A row that has met no key yet keeps its weights at zero: exp(-inf - 0).
        base = tl.where(higher == float("-inf"), 0.0, higher)
        weights = tl.exp(scores - base[:, None])
        shrink = tl.exp(top - base)
        total = total * shrink + tl.sum(weights, 1)
        summed = summed * shrink[:, None]
        summed += tl.dot(weights.to(values.dtype), values, input_precision="ieee", out_dtype=tl.float32)
        top = higher
    result = summed / tl.where(total == 0.0, 1.0, total)[:, None]
    places = out + ((batch * heads + head) * n_q + rows[:, None]) * d + columns[None, :]
    tl.store(places, result.to(out.dtype.element_ty), mask=is_row[:, None] & is_column[None, :])


@register(
    problem="attention",
    name="triton-flash",
    devices=("cpu",) if IS_INTERPRETED else ("cuda",),
    # The interpreter computes in NumPy, which takes the bits of a bfloat16 for an integer: `check` refuses it there.
    dtypes=("float32", "float16") if IS_INTERPRETED else ("float32", "bfloat16", "float16"),
    supports=("causal", "gqa", "dead_rows"),
    requires=("triton",),
)
def triton_flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,  # noqa: ARG001  # not in `supports`: never asked
) -> torch.Tensor:
    """Launch a program for each block of queries of each head; keys and values may have fewer heads than queries."""
    batch, heads, n_q, d = q.shape
    if d > WIDEST:
        raise NotImplementedError(f"head size must be at most {WIDEST}")
    out = torch.empty((batch, heads, n_q, d), dtype=q.dtype, device=q.device)
    flash[triton.cdiv(n_q, BLOCK_Q), batch * heads](
        q, k, v, out, *q.stride(), *k.stride(), *v.stride(),
        heads, heads // k.shape[1], n_q, k.shape[2], d, d**-0.5 if scale is None else scale,
        IS_CAUSAL=causal, BLOCK_Q=BLOCK_Q, BLOCK_K=BLOCK_K,
        BLOCK_D=max(NARROWEST, triton.next_power_of_2(d)),
    )  # fmt: skip
    return out
