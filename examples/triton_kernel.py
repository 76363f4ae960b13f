"""Attention in Triton: one program per block of queries, an online softmax over blocks of keys, and its gradients.

    attnbench check --quick --impl-file examples/triton_kernel.py
    attnbench run sequence-length --impl-file examples/triton_kernel.py --impl triton-flash --impl sdpa-auto

On a GPU it is compiled. With TRITON_INTERPRET=1 Triton's interpreter runs it on a CPU, slowly, so that a mistake is
found on a laptop. The algorithms are those of Dao, arXiv 2307.08691, sections 3.1 and 3.2: the gradients need the
logarithm of each row's sum, from which weights are computed again, and one number a row beside it.
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
# Gradients hold more at a time: two inputs, two results.
BLOCK_BACK = 32
# Products are of blocks whose sides are powers of two, from 16 on; wider heads would not fit a multiprocessor's memory.
NARROWEST, WIDEST = 16, 128


@triton.jit
def flash(  # noqa: PLR0913, PLR0917
    q, k, v, out, logs,
    q_batch, q_head, q_row, q_column,
    k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    heads, shared, n_q, n_k, d, scale,
    IS_CAUSAL: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Attend with one block of queries of one head; `out` is [batch, heads, n_q, d] in order, others have strides.

    `logs`, [batch, heads, n_q], gets the logarithm of each row's sum of exponentials, infinity where there is no key.
    """
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
    log = tl.where(total == 0.0, float("inf"), top + tl.log(tl.where(total == 0.0, 1.0, total)))
    tl.store(logs + pair * n_q + rows, log, mask=is_row)


@triton.jit
def weights_again(queries, keys, upstream, values, log, drift, rows, indices, n_q, n_k, scale, IS_CAUSAL: tl.constexpr):
    """Return the weights of a block, [queries, keys], and the gradients of its scores.

    Rows outside have an infinite `log`, hence no weight; `drift` is each row's upstream times its output.
    """
    scores = tl.dot(queries, tl.trans(keys), input_precision="ieee", out_dtype=tl.float32) * scale
    allowed = (indices < n_k)[None, :]
    if IS_CAUSAL:
        allowed = allowed & (indices[None, :] <= rows[:, None] + n_k - n_q)
    weights = tl.where(allowed, tl.exp(scores - log[:, None]), 0.0)
    towards = tl.dot(upstream, tl.trans(values), input_precision="ieee", out_dtype=tl.float32)
    return weights, weights * (towards - drift[:, None])


@triton.jit
def gradient_of_queries(  # noqa: PLR0913, PLR0917
    q, k, v, upstream, logs, drifts, d_q,
    q_batch, q_head, q_row, q_column,
    k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    u_batch, u_head, u_row, u_column,
    heads, shared, n_q, n_k, d, scale,
    IS_CAUSAL: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Sum over the keys for one block of queries of one head; `d_q` is [batch, heads, n_q, d] in order."""
    block, pair = tl.program_id(0), tl.program_id(1)
    batch, head = (pair // heads).to(tl.int64), (pair % heads).to(tl.int64)
    rows, columns = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, BLOCK_D)
    is_row, is_column = rows < n_q, columns < d
    here = is_row[:, None] & is_column[None, :]
    places = q + batch * q_batch + head * q_head + rows[:, None] * q_row + columns[None, :] * q_column
    queries = tl.load(places, mask=here, other=0.0)
    places = upstream + batch * u_batch + head * u_head + rows[:, None] * u_row + columns[None, :] * u_column
    towards = tl.load(places, mask=here, other=0.0)
    log = tl.load(logs + pair * n_q + rows, mask=is_row, other=float("inf"))
    drift = tl.load(drifts + pair * n_q + rows, mask=is_row, other=0.0)
    summed = tl.zeros((BLOCK, BLOCK_D), tl.float32)
    end = n_k
    if IS_CAUSAL:
        end = tl.minimum(n_k, (block + 1) * BLOCK + n_k - n_q)
    keys_of = k + batch * k_batch + head // shared * k_head
    values_of = v + batch * v_batch + head // shared * v_head
    for start in range(0, end, BLOCK):
        indices = start + tl.arange(0, BLOCK)
        inside = (indices < n_k)[:, None] & is_column[None, :]
        keys = tl.load(keys_of + indices[:, None] * k_row + columns[None, :] * k_column, mask=inside, other=0.0)
        values = tl.load(values_of + indices[:, None] * v_row + columns[None, :] * v_column, mask=inside, other=0.0)
        _, slope = weights_again(
            queries, keys, towards, values, log, drift, rows, indices, n_q, n_k, scale, IS_CAUSAL
        )  # fmt: skip
        summed += tl.dot(slope.to(keys.dtype), keys, input_precision="ieee", out_dtype=tl.float32)
    places = d_q + (pair.to(tl.int64) * n_q + rows[:, None]) * d + columns[None, :]
    tl.store(places, (summed * scale).to(d_q.dtype.element_ty), mask=here)


@triton.jit
def gradient_of_keys(  # noqa: PLR0913, PLR0917
    q, k, v, upstream, logs, drifts, d_k, d_v,
    q_batch, q_head, q_row, q_column,
    k_batch, k_head, k_row, k_column,
    v_batch, v_head, v_row, v_column,
    u_batch, u_head, u_row, u_column,
    heads, shared, n_q, n_k, d, scale,
    IS_CAUSAL: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Sum over the queries of all heads that share one block of keys and values, in a fixed order.

    `d_k` and `d_v` are [batch, kv_heads, n_k, d] in order.
    """
    block, pair = tl.program_id(0), tl.program_id(1)
    kv_heads = heads // shared
    batch, kv_head = (pair // kv_heads).to(tl.int64), (pair % kv_heads).to(tl.int64)
    indices, columns = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, BLOCK_D)
    is_key, is_column = indices < n_k, columns < d
    here = is_key[:, None] & is_column[None, :]
    places = k + batch * k_batch + kv_head * k_head + indices[:, None] * k_row + columns[None, :] * k_column
    keys = tl.load(places, mask=here, other=0.0)
    places = v + batch * v_batch + kv_head * v_head + indices[:, None] * v_row + columns[None, :] * v_column
    values = tl.load(places, mask=here, other=0.0)
    of_keys = tl.zeros((BLOCK, BLOCK_D), tl.float32)
    of_values = tl.zeros((BLOCK, BLOCK_D), tl.float32)
    begin = 0
    if IS_CAUSAL:
        # Earlier rows look at none of these keys.
        begin = tl.maximum(block * BLOCK - (n_k - n_q), 0)
    for number in range(shared):
        head = kv_head * shared + number
        queries_of = q + batch * q_batch + head * q_head
        upstream_of = upstream + batch * u_batch + head * u_head
        first = (batch * heads + head) * n_q
        for start in range(begin, n_q, BLOCK):
            rows = start + tl.arange(0, BLOCK)
            is_row = rows < n_q
            inside = is_row[:, None] & is_column[None, :]
            queries = tl.load(queries_of + rows[:, None] * q_row + columns[None, :] * q_column, mask=inside, other=0.0)
            towards = tl.load(upstream_of + rows[:, None] * u_row + columns[None, :] * u_column, mask=inside, other=0.0)
            log = tl.load(logs + first + rows, mask=is_row, other=float("inf"))
            drift = tl.load(drifts + first + rows, mask=is_row, other=0.0)
            weights, slope = weights_again(
                queries, keys, towards, values, log, drift, rows, indices, n_q, n_k, scale, IS_CAUSAL
            )  # fmt: skip
            of_values += tl.dot(
                tl.trans(weights.to(towards.dtype)), towards, input_precision="ieee", out_dtype=tl.float32
            )  # fmt: skip
            of_keys += tl.dot(
                tl.trans(slope.to(queries.dtype)), queries, input_precision="ieee", out_dtype=tl.float32
            )  # fmt: skip
    offsets = (pair.to(tl.int64) * n_k + indices[:, None]) * d + columns[None, :]
    tl.store(d_k + offsets, (of_keys * scale).to(d_k.dtype.element_ty), mask=here)
    tl.store(d_v + offsets, of_values.to(d_v.dtype.element_ty), mask=here)


class Flash(torch.autograd.Function):
    """The kernels as one differentiable function of q, k and v."""

    @staticmethod
    def forward(ctx, q, k, v, causal, scale):  # noqa: ANN205
        """Launch a program for each block of queries of each head, and keep what the gradients need."""
        batch, heads, n_q, d = q.shape
        out = torch.empty((batch, heads, n_q, d), dtype=q.dtype, device=q.device)
        logs = torch.empty((batch, heads, n_q), dtype=torch.float32, device=q.device)
        flash[triton.cdiv(n_q, BLOCK_Q), batch * heads](
            q, k, v, out, logs, *q.stride(), *k.stride(), *v.stride(),
            heads, heads // k.shape[1], n_q, k.shape[2], d, scale,
            IS_CAUSAL=causal, BLOCK_Q=BLOCK_Q, BLOCK_K=BLOCK_K, BLOCK_D=padded(d),
        )  # fmt: skip
        ctx.save_for_backward(q, k, v, out, logs)
        ctx.causal, ctx.scale = causal, scale
        return out

    @staticmethod
    def backward(ctx, upstream):  # noqa: ANN205
        """Return the gradients of q, k and v."""
        q, k, v, out, logs = ctx.saved_tensors
        batch, heads, n_q, d = q.shape
        kv_heads, n_k = k.shape[1], k.shape[2]
        drifts = (out.float() * upstream.float()).sum(-1).contiguous()
        d_q = torch.empty((batch, heads, n_q, d), dtype=q.dtype, device=q.device)
        d_k, d_v = (torch.empty((batch, kv_heads, n_k, d), dtype=q.dtype, device=q.device) for _ in range(2))
        strides = (*q.stride(), *k.stride(), *v.stride(), *upstream.stride())
        sizes = (heads, heads // kv_heads, n_q, n_k, d, ctx.scale)
        blocks = {"IS_CAUSAL": ctx.causal, "BLOCK": BLOCK_BACK, "BLOCK_D": padded(d)}
        gradient_of_queries[triton.cdiv(n_q, BLOCK_BACK), batch * heads](
            q, k, v, upstream, logs, drifts, d_q, *strides, *sizes, **blocks
        )  # fmt: skip
        gradient_of_keys[triton.cdiv(n_k, BLOCK_BACK), batch * kv_heads](
            q, k, v, upstream, logs, drifts, d_k, d_v, *strides, *sizes, **blocks
        )  # fmt: skip
        return d_q, d_k, d_v, None, None


def padded(d: int) -> int:
    """Return the columns of a block that holds so many features."""
    return max(NARROWEST, triton.next_power_of_2(d))


@register(
    problem="attention",
    name="triton-flash",
    devices=("cpu",) if IS_INTERPRETED else ("cuda",),
    # The interpreter computes in NumPy, which takes the bits of a bfloat16 for an integer: `check` refuses it there.
    dtypes=("float32", "float16") if IS_INTERPRETED else ("float32", "bfloat16", "float16"),
    supports=("causal", "gqa", "dead_rows", "backward"),
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
    """Attend with keys and values that may have fewer heads than queries."""
    d = q.shape[-1]
    if d > WIDEST:
        raise NotImplementedError(f"head size must be at most {WIDEST}")
    return Flash.apply(q, k, v, causal, d**-0.5 if scale is None else scale)
