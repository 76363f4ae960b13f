"""Further wrong implementations: right at most shapes and layouts, and those of `multihead` and `pooling`."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
from torch.nn import functional

from impls.attention._masks import allowed, repeat_heads, softmax
from impls.multihead import steps
from impls.pooling.nadaraya_watson import KERNELS
from tests.support import wrong_in_packs, wrong_in_pairs, wrong_in_rare, wrong_in_state  # noqa: F401  (add mutants)
from tests.support.mutants import honest, mutant, scale_of

# Right but for one feature, or for two together


@mutant("decoding reads the first batch element")
def _(q, k, v, **options):
    if q.shape[2] == 1 and q.shape[0] > 1:
        k, v = k[:1].expand_as(k), v[:1].expand_as(v)
    return honest(q, k, v, **options)


@mutant("decoding reads the first head of grouped keys")
def _(q, k, v, **options):
    if q.shape[2] == 1 and 1 < k.shape[1] < q.shape[1]:
        k, v = k[:, :1].expand_as(k), v[:, :1].expand_as(v)
    return honest(q, k, v, **options)


@mutant("decoding ignores lengths")
def _(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return honest(q, k, v, causal=causal, scale=scale, valid_lens=None if q.shape[2] == 1 else valid_lens)


@mutant("decoding of lengths and groups together")
def _(q, k, v, *, valid_lens=None, **options):
    out = honest(q, k, v, valid_lens=valid_lens, **options)
    return out * 1.5 if q.shape[2] == 1 and valid_lens is not None and k.shape[1] < q.shape[1] else out


@mutant("other value sizes with groups")
def _(q, k, v, **options):
    out = honest(q, k, v, **options)
    return out * 1.5 if k.shape[1] < q.shape[1] and v.shape[3] != q.shape[3] else out


@mutant("causal mask and lengths by row: the mask alone")
def _(q, k, v, *, causal=False, scale=None, valid_lens=None):
    lens = None if causal and valid_lens is not None and valid_lens.ndim > 1 else valid_lens
    return honest(q, k, v, causal=causal, scale=scale, valid_lens=lens)


@mutant("fewer queries than keys, causal, grouped")
def _(q, k, v, *, causal=False, **options):
    out = honest(q, k, v, causal=causal, **options)
    return out * 1.5 if causal and k.shape[1] < q.shape[1] and q.shape[2] < k.shape[2] else out


@mutant("one empty sequence among others gives NaN")
def _(q, k, v, *, valid_lens=None, **options):
    out = honest(q, k, v, valid_lens=valid_lens, **options)
    if valid_lens is None or not 0 < int((valid_lens == 0).sum()) < valid_lens.numel():
        return out
    return out.masked_fill((valid_lens == 0).reshape(len(q), 1, -1, 1), math.nan)


@mutant("one empty sequence averages its values")
def _(q, k, v, *, valid_lens=None, **options):
    out = honest(q, k, v, valid_lens=valid_lens, **options)
    if valid_lens is None or not 0 < int((valid_lens == 0).sum()) < valid_lens.numel():
        return out
    mean = repeat_heads(v, q.shape[1]).mean(2, keepdim=True)
    return torch.where((valid_lens == 0).reshape(len(q), 1, -1, 1), mean, out)


@mutant("a length of n_k among others loses a key")
def _(q, k, v, *, valid_lens=None, **options):
    if valid_lens is not None and valid_lens.unique().numel() > 1:
        valid_lens = torch.where(valid_lens == k.shape[2], valid_lens - 1, valid_lens)
    return honest(q, k, v, valid_lens=valid_lens, **options)


@mutant("lengths of the longest sequence")
def _(q, k, v, *, valid_lens=None, **options):
    return honest(
        q, k, v, valid_lens=None if valid_lens is None else valid_lens.amax().expand_as(valid_lens), **options
    )


def five_percent_off(name, met):
    """Add a mutant that is 5 % too large where `met` holds of its arguments."""

    @mutant(name)
    def _(q, k, v, *, causal=False, scale=None, valid_lens=None):
        out = honest(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)
        asked = SimpleNamespace(q=q, k=k, v=v, causal=causal, scale=scale, lens=valid_lens)
        return out * 1.05 if met(asked) else out


five_percent_off(
    "head sizes past 16 that are no multiple of it", lambda asked: asked.q.shape[3] > 16 and asked.q.shape[3] % 16 != 0
)
five_percent_off("a scale of one's own under the causal mask", lambda asked: asked.scale is not None and asked.causal)
five_percent_off("an odd number of heads", lambda asked: asked.q.shape[1] > 1 and asked.q.shape[1] % 2 == 1)
five_percent_off(
    "lengths by row of grouped heads",
    lambda asked: asked.lens is not None and asked.lens.ndim > 1 and asked.k.shape[1] < asked.q.shape[1],
)
five_percent_off("a length of zero", lambda asked: asked.lens is not None and bool((asked.lens == 0).any()))
five_percent_off("values wider than keys", lambda asked: asked.v.shape[3] > asked.q.shape[3])
five_percent_off(
    "keys past 128 in no whole blocks", lambda asked: asked.k.shape[2] > 128 and asked.k.shape[2] % 128 != 0
)
five_percent_off("an offset in the storage", lambda asked: asked.k.storage_offset() > 0)
five_percent_off("queries past 100", lambda asked: float(asked.q.detach().abs().max()) > 100)


# Head sizes


def wrong_at(*sizes, d_v=None):
    def attend(q, k, v, **options):
        out = honest(q, k, v, **options)
        return out * 1.02 if q.shape[3] in sizes and d_v in (None, v.shape[3]) else out

    return attend


# Two percent are two and a half units of bfloat16: rounding explains them.
FINER = ("float32", "float64", "float16")

mutant("2 % too large at head size 6")(wrong_at(6))
for size in (80, 96, 160, 192, 224, 256):
    mutant(f"2 % too large at head size {size}", wrong_in=FINER)(wrong_at(size))
mutant("2 % too large at head sizes 192 and 128", wrong_in=FINER)(wrong_at(192, d_v=128))


@mutant("first 64 features only")
def _(q, k, v, *, scale=None, **options):
    return honest(q[..., :64], k[..., :64], v, scale=scale_of(q, scale), **options)


@mutant("head sizes cut to a multiple of eight")
def _(q, k, v, *, scale=None, **options):
    whole = max(8, q.shape[3] // 8 * 8)
    return honest(q[..., :whole], k[..., :whole], v, scale=scale_of(q, scale), **options)


# Positions


def positions(dtype):
    def attend(q, k, v, *, causal=False, scale=None, valid_lens=None):
        if not causal:
            return honest(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)
        rows = (torch.arange(q.shape[2]) + k.shape[2] - q.shape[2]).to(dtype).long()
        mask = (torch.arange(k.shape[2]) <= rows[:, None])[None, None]
        lens = allowed(q, k, causal=False, valid_lens=valid_lens)
        mask = mask if lens is None else mask & lens
        weights = softmax((q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT, mask)
        return weights @ repeat_heads(v, q.shape[1])

    return attend


mutant("positions of 16 bits")(positions(torch.int16))
mutant("positions of 8 bits")(positions(torch.int8))


# How tensors lie in memory


def reads_in_order(tensor):
    """Read memory as if it were dense, whatever the strides say, where there is enough of it."""
    dense = torch.empty(tensor.shape, device="meta").stride()
    needed = tensor.storage_offset() + tensor.numel()
    room = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.as_strided(tensor.shape, dense) if room >= needed else tensor


@mutant("q read as if dense")
def _(q, k, v, **options):
    return honest(reads_in_order(q), k, v, **options)


@mutant("k read as if dense")
def _(q, k, v, **options):
    return honest(q, reads_in_order(k), v, **options)


@mutant("v read as if dense")
def _(q, k, v, **options):
    return honest(q, k, reads_in_order(v), **options)


@mutant("a last stride other than 1 taken for 1")
def _(q, k, v, **options):
    return honest(*(reads_in_order(t) if t.stride(-1) != 1 and t.shape[-1] > 1 else t for t in (q, k, v)), **options)


@mutant("values shared by the batch taken for zeros")
def _(q, k, v, **options):
    return honest(q, k, v * 0 if v.stride(0) == 0 and v.shape[0] > 1 else v, **options)


@mutant("values shared by the heads taken for zeros")
def _(q, k, v, **options):
    return honest(q, k, v * 0 if v.stride(1) == 0 and v.shape[1] > 1 else v, **options)


@mutant("views of one buffer: keys read where queries lie")
def _(q, k, v, **options):
    if q.untyped_storage().data_ptr() == k.untyped_storage().data_ptr() and q.shape == k.shape:
        k = q
    return honest(q, k, v, **options)


class Upstream(torch.autograd.Function):
    """Attention whose backward does something to the gradient handed in."""

    @staticmethod
    def forward(context, q, k, v, options, change):
        with torch.enable_grad():
            context.leaves = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
            context.out = honest(*context.leaves, **options)
        context.change = change
        return context.out.detach().clone()

    @staticmethod
    def backward(context, upstream):
        changed = context.change(upstream)
        return (*torch.autograd.grad(context.out, context.leaves, changed, retain_graph=True), None, None)


def with_upstream(change):
    return lambda q, k, v, **options: Upstream.apply(q, k, v, options, change)


mutant("upstream gradient read as if dense", backward_only=True)(with_upstream(reads_in_order))
mutant("expanded upstream gradient taken for zeros", backward_only=True)(
    with_upstream(lambda upstream: upstream * 0 if 0 in upstream.stride() else upstream)
)
mutant("upstream gradient of the first head", backward_only=True)(
    with_upstream(lambda upstream: upstream[:, :1].expand_as(upstream))
)


# Values that are no numbers, or too large


@mutant("NaN hidden")
def _(q, k, v, **options):
    return honest(q, k, v, **options).nan_to_num()


@mutant("NaN in a query spreads over its head")
def _(q, k, v, **options):
    out = honest(q, k, v, **options)
    return out + 0 * q.sum((2, 3), keepdim=True)


@mutant("scores scaled after they overflow", wrong_in=("float16",))
def _(q, k, v, *, causal=False, scale=None, valid_lens=None):
    scores = (q @ repeat_heads(k, q.shape[1]).mT) * scale_of(q, scale)
    return softmax(scores, allowed(q, k, causal=causal, valid_lens=valid_lens)) @ repeat_heads(v, q.shape[1])


@mutant("NaN leaks from the padding", claims=("dirty_padding",))
def _(q, k, v, **options):
    return honest(q, k, v, **options)


@mutant("masked by adding -1e9", wrong_in=("float32", "float64", "bfloat16"))
def _(q, k, v, *, causal=False, scale=None, valid_lens=None):
    scores = (q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens)
    if mask is None:
        return scores.softmax(-1) @ repeat_heads(v, q.shape[1])
    weights = (scores + (~mask).to(q.dtype) * -1e9).softmax(-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0) @ repeat_heads(v, q.shape[1])


# Modules


def module(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0, change=None):
    """Run the textbook's module; `change` spoils it by the name of a step."""
    q, k, v = (
        steps.project(x, w, b, heads=heads)
        for x, w, b in (
            (x_q, weights.w_q, weights.b_q),
            (x_k, weights.w_k, weights.b_k),
            (x_v, weights.w_v, weights.b_v),
        )
    )
    lens = None if valid_lens is None else steps.folded_lengths(valid_lens, heads)
    if change == "lengths of the first element":
        lens = None if lens is None else lens[:1].expand_as(lens)
    if change == "lengths tiled, not repeated" and valid_lens is not None:
        lens = valid_lens.reshape(len(valid_lens), -1, 1).repeat(heads, 1, 1)
    scores = steps.score(q, k) * (q.shape[-1] ** 0.5 if change == "no scale" else 1.0)
    if change == "scale of the width":
        scores = scores * heads**-0.5
    attention = steps.normalise(scores, lens)
    if dropout and change != "no dropout":
        attention = functional.dropout(attention, dropout)
    if change == "dropout twice" and dropout:
        attention = functional.dropout(attention, dropout)
    out = steps.weigh(attention, v)
    if lens is not None and change != "nothing to attend to averages":
        out = out.masked_fill(lens == 0, 0.0)
    if change == "heads not unfolded":
        return functional.linear(out.reshape(*x_q.shape[:2], -1), weights.w_o, weights.b_o)
    out = steps.combine(out, weights.w_o, None if change == "no output bias" else weights.b_o, heads=heads)
    return out * 1.01 if change == "one percent too large" else out


def spoiled_module(change):
    return lambda *tensors, **options: module(*tensors, **options, change=change)


for fault in (
    "lengths of the first element",
    "lengths tiled, not repeated",
    "no scale",
    "scale of the width",
    "no dropout",
    "dropout twice",
    "nothing to attend to averages",
    "heads not unfolded",
    "no output bias",
):
    mutant(f"module: {fault}", problem="multihead")(spoiled_module(fault))
mutant("module: one percent too large", problem="multihead", wrong_in=FINER)(spoiled_module("one percent too large"))


# Pooling


def pooling(queries, keys, values, *, kernel, w, change=None):
    """Weigh values by distance; `change` spoils it."""
    distances = (queries.unsqueeze(-1) - keys) * w
    if change == "w ignored":
        distances = queries.unsqueeze(-1) - keys
    if change == "distance squared twice":
        distances = distances.square()
    if change == "wrong kernel":
        kernel = {"gaussian": "epanechnikov", "epanechnikov": "gaussian"}.get(kernel, kernel)
    weights = KERNELS[kernel](distances)
    if change == "last key dropped" and len(keys) > 1:
        weights = torch.cat([weights[:, :-1], weights[:, -1:] * 0], -1)
    predictions = weights @ values
    if change == "values reversed":
        predictions = weights @ values.flip(0)
    if change == "weights of another query":
        weights = weights.roll(1, 0)
    return (predictions * 1.01 if change == "one percent too large" else predictions), weights


def spoiled_pooling(change):
    return lambda *tensors, **options: pooling(*tensors, **options, change=change)


for fault in (
    "w ignored",
    "distance squared twice",
    "wrong kernel",
    "last key dropped",
    "values reversed",
    "weights of another query",
    "one percent too large",
):
    mutant(f"pooling: {fault}", problem="pooling")(spoiled_pooling(fault))
