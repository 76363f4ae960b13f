"""Implementations that are wrong by what they remember, and in their gradients alone."""

from __future__ import annotations

import math

import torch

from impls.attention._masks import allowed, repeat_heads, softmax
from tests.support.mutants import honest, mutant, scale_of, scores_of, stateful

# State


@stateful("one output buffer for all calls")
def _():
    buffers = {}

    def attend(q, k, v, **options):
        out = honest(q, k, v, **options)
        if out.requires_grad:
            return out
        return buffers.setdefault((out.shape, out.dtype), torch.empty_like(out)).copy_(out)

    return attend


@stateful("cached by shape")
def _():
    cache = {}

    def attend(q, k, v, **options):
        out = honest(q, k, v, **options)
        return out if out.requires_grad else cache.setdefault((q.shape, k.shape), out).clone()

    return attend


@stateful("cached by address")
def _():
    cache = {}

    def attend(q, k, v, **options):
        out = honest(q, k, v, **options)
        return out if out.requires_grad else cache.setdefault((q.data_ptr(), q.shape, k.shape), out).clone()

    return attend


@stateful("last tile left from the call before")
def _():
    last = {}

    def attend(q, k, v, **options):
        out = honest(q, k, v, **options)
        key = (out.shape, out.dtype)
        before, last[key] = last.get(key, out.detach()), out.detach()
        return torch.cat([out[:, :, :-1], before[:, :, -1:]], 2)

    return attend


@stateful("right on the first call only")
def _():
    calls = []

    def attend(q, k, v, **options):
        calls.append(1)
        return honest(q, k, v, **options) * (1.0 if len(calls) == 1 else 1.5)

    return attend


@stateful("wrong on every hundredth call")
def _():
    calls = []

    def attend(q, k, v, **options):
        calls.append(1)
        return honest(q, k, v, **options) * (1.5 if len(calls) % 100 == 0 else 1.0)

    return attend


@stateful("a last bit at random")
def _():
    def attend(q, k, v, **options):
        out = honest(q, k, v, **options)
        noise = torch.randint(-1, 2, out.shape) * (torch.finfo(out.dtype).eps / 2)
        return out * (1 + noise.to(out.dtype) * 2)

    return attend


# Gradients


@mutant("dk of half its size", backward_only=True)
def _(q, k, v, **options):
    return honest(q, 0.5 * k + (0.5 * k).detach(), v, **options)


@mutant("dv one percent too small", backward_only=True)
def _(q, k, v, **options):
    return honest(q, k, 0.99 * v + (v - 0.99 * v).detach(), **options)


class WrongBackward(torch.autograd.Function):
    """Softmax attention over a mask, with a fault in its backward."""

    @staticmethod
    def forward(context, q, k, v, mask, scale, fault):
        k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
        weights = softmax((q @ k.mT) * scale, mask)
        context.save_for_backward(q, k, v, weights)
        context.scale, context.fault = scale, fault
        return weights @ v

    @staticmethod
    def backward(context, upstream):
        q, k, v, weights = context.saved_tensors
        dweights = upstream @ v.mT
        mean = (weights * dweights).sum(-1, keepdim=True)
        mean = 0 * mean if context.fault == "mean" else mean
        dscores = weights * (dweights - mean)
        dq, dk, dv = dscores @ k * context.scale, dscores.mT @ q * context.scale, weights.mT @ upstream
        if context.fault == "scale":
            dk = dk / context.scale
        if context.fault == "last":
            dk = torch.cat([dk[:, :, :-1], 0 * dk[:, :, -1:]], 2)
        if context.fault == "row":
            dq = torch.cat([0 * dq[:, :, :1], dq[:, :, 1:]], 2)
        return dq, dk, dv, None, None, None


def faulty(fault):
    def attend(q, k, v, *, causal=False, scale=None, valid_lens=None):
        mask = allowed(q, k, causal=causal, valid_lens=valid_lens)
        if k.shape[1] != q.shape[1]:
            return honest(q, k, v, causal=causal, scale=scale, valid_lens=valid_lens)
        return WrongBackward.apply(q, k, v, mask, scale_of(q, scale), fault)

    return attend


mutant("softmax backward without its mean", backward_only=True)(faulty("mean"))
mutant("dk without the scale", backward_only=True)(faulty("scale"))
mutant("dk of the last key is zero", backward_only=True)(faulty("last"))
mutant("dq of the first row is zero", backward_only=True)(faulty("row"))


@mutant("gradient stops at the normaliser", backward_only=True)
def _(q, k, v, *, causal=False, scale=None, valid_lens=None):
    mask, scores = allowed(q, k, causal=causal, valid_lens=valid_lens), scores_of(q, k, scale)
    scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    top = scores.detach().amax(-1, keepdim=True)
    weights = torch.exp(scores - top.masked_fill(top == -math.inf, 0.0))
    total = weights.sum(-1, keepdim=True).detach()
    return (weights / total.masked_fill(total == 0.0, 1.0)) @ repeat_heads(v, q.shape[1])


@mutant("gradient of one head of each group", backward_only=True)
def _(q, k, v, **options):
    group = q.shape[1] // k.shape[1]
    first = (torch.arange(q.shape[1]) % group == 0)[:, None, None]

    def spread(x):
        whole = repeat_heads(x, q.shape[1])
        return torch.where(first, whole, whole.detach())

    return honest(q, spread(k), spread(v), **options)


@mutant("no gradient for q", backward_only=True)
def _(q, k, v, **options):
    return honest(q.detach(), k, v, **options)
