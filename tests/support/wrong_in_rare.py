"""Wrong implementations of what few know: a sliding window, capped scores, an additive bias."""

from __future__ import annotations

import torch

from impls.attention._masks import adjusted, allowed, repeat_heads, softmax
from tests.support.mutants import mutant, scale_of

WINDOW, SOFTCAP, BIAS = ("window",), ("softcap",), ("bias",)


def honest(q, k, v, *, causal=False, scale=None, valid_lens=None, window=None, softcap=None, bias=None, mask=None):
    """What these mutants spoil; `mask` takes the place of the contract's own."""
    if mask is None:
        mask = allowed(q, k, causal=causal, valid_lens=valid_lens, window=window)
    scores = (q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT
    return softmax(adjusted(scores, softcap=softcap, bias=bias), mask) @ repeat_heads(v, q.shape[1])


# The window


@mutant("window one key wider", claims=WINDOW)
def _(q, k, v, *, window=None, **options):
    return honest(q, k, v, window=None if window is None else window + 1, **options)


@mutant("window one key narrower", claims=WINDOW)
def _(q, k, v, *, window=None, **options):
    return honest(q, k, v, window=None if window is None else max(1, window - 1), **options)


@mutant("window ignored", claims=WINDOW)
def _(q, k, v, *, window=None, **options):
    return honest(q, k, v, **options)


@mutant("window ignored for a single query", claims=WINDOW)
def _(q, k, v, *, window=None, **options):
    return honest(q, k, v, window=None if q.shape[2] == 1 else window, **options)


def beside(q, k, first, last):
    """Let each row see the keys from `first` to `last` away from its own."""
    n_q, n_k = q.shape[2], k.shape[2]
    near = torch.ones(n_q, n_k, dtype=torch.bool).triu(n_k - n_q + first).tril(n_k - n_q + last)
    return near[None, None]


def both(mask, q, k, *, causal, valid_lens):
    others = allowed(q, k, causal=causal, valid_lens=valid_lens)
    return mask if others is None else mask & others


@mutant("window on the wrong side", claims=WINDOW)
def _(q, k, v, *, causal=False, valid_lens=None, window=None, **options):
    if window is None or not causal:
        return honest(q, k, v, causal=causal, valid_lens=valid_lens, window=window, **options)
    mask = both(beside(q, k, 0, window - 1), q, k, causal=False, valid_lens=valid_lens)
    return honest(q, k, v, mask=mask, **options)


@mutant("window behind alone where there is no causal mask", claims=WINDOW)
def _(q, k, v, *, causal=False, valid_lens=None, window=None, **options):
    if window is None:
        return honest(q, k, v, causal=causal, valid_lens=valid_lens, **options)
    mask = both(beside(q, k, 1 - window, 0), q, k, causal=causal, valid_lens=valid_lens)
    return honest(q, k, v, mask=mask, **options)


@mutant("window aligned top left", claims=WINDOW)
def _(q, k, v, *, causal=False, valid_lens=None, window=None, **options):
    if window is None:
        return honest(q, k, v, causal=causal, valid_lens=valid_lens, **options)
    shift = q.shape[2] - k.shape[2]
    mask = beside(q, k, shift + 1 - window, shift + window - 1)
    return honest(q, k, v, mask=both(mask, q, k, causal=causal, valid_lens=valid_lens), **options)


@mutant("window rounded up to eight keys", claims=WINDOW)
def _(q, k, v, *, window=None, **options):
    return honest(q, k, v, window=None if window is None else -(-window // 8) * 8, **options)


# The cap


@mutant("softcap left out", claims=SOFTCAP)
def _(q, k, v, *, softcap=None, **options):
    return honest(q, k, v, **options)


@mutant("softcap before the scale", claims=SOFTCAP)
def _(q, k, v, *, scale=None, softcap=None, **options):
    if softcap is None:
        return honest(q, k, v, scale=scale, **options)
    # The cap of unscaled products is what a cap over the scale is of scaled ones.
    size = scale_of(q, scale)
    return honest(q, k, v, scale=scale, softcap=softcap * abs(size) or softcap, **options)


@mutant("softcap as a clamp", claims=SOFTCAP)
def _(q, k, v, *, causal=False, scale=None, valid_lens=None, softcap=None):
    scores = (q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT
    capped = scores if softcap is None else scores.clamp(-softcap, softcap)
    return softmax(capped, allowed(q, k, causal=causal, valid_lens=valid_lens)) @ repeat_heads(v, q.shape[1])


@mutant("softcap's tanh not multiplied back", claims=SOFTCAP)
def _(q, k, v, *, causal=False, scale=None, valid_lens=None, softcap=None):
    scores = (q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT
    capped = scores if softcap is None else torch.tanh(scores / softcap)
    return softmax(capped, allowed(q, k, causal=causal, valid_lens=valid_lens)) @ repeat_heads(v, q.shape[1])


@mutant("softcap without its slope in the gradient", claims=SOFTCAP, backward_only=True)
def _(q, k, v, *, causal=False, scale=None, valid_lens=None, softcap=None):
    scores = (q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT
    capped = scores + (adjusted(scores, softcap=softcap, bias=None) - scores).detach()
    return softmax(capped, allowed(q, k, causal=causal, valid_lens=valid_lens)) @ repeat_heads(v, q.shape[1])


# The bias


def spoils_bias(name, change, *, claims=BIAS):
    """Add a mutant that takes `change(bias)` for a bias."""

    def wrong(q, k, v, *, bias=None, **options):
        return honest(q, k, v, bias=None if bias is None else change(bias), **options)

    mutant(name, claims=claims)(wrong)


spoils_bias("bias ignored", lambda _: None)
spoils_bias("bias transposed", lambda bias: bias.mT if bias.shape[-1] == bias.shape[-2] else bias)
spoils_bias("bias of the first head", lambda bias: bias[:, :1].expand_as(bias))
spoils_bias("bias of the first batch element", lambda bias: bias[:1].expand_as(bias))
spoils_bias("bias of the first row", lambda bias: bias[:, :, :1].expand_as(bias))
spoils_bias("bias taken away", lambda bias: -bias)


@mutant("bias scaled as scores are", claims=BIAS)
def _(q, k, v, *, scale=None, bias=None, **options):
    return honest(q, k, v, scale=scale, bias=None if bias is None else bias * scale_of(q, scale), **options)


@mutant("bias under the cap", claims=("bias", "softcap"))
def _(q, k, v, *, causal=False, scale=None, valid_lens=None, softcap=None, bias=None):
    scores = (q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT
    capped = adjusted(adjusted(scores, softcap=None, bias=bias), softcap=softcap, bias=None)
    return softmax(capped, allowed(q, k, causal=causal, valid_lens=valid_lens)) @ repeat_heads(v, q.shape[1])
