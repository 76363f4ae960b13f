"""Wrong implementations that err where two things meet: values and shapes, a rare feature and a common one."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from impls.attention._masks import adjusted, allowed, repeat_heads
from tests.support.mutants import mutant, scale_of
from tests.support.wrong_in_rare import honest

RARE = ("window", "softcap", "bias")


def asked(q, k, v, options):
    """Give the arguments of a call by name; those not given are None."""
    given = dict.fromkeys(("causal", "scale", "valid_lens", *RARE)) | options
    return SimpleNamespace(
        q=q, k=k, v=v, rows=getattr(given["valid_lens"], "ndim", 0) > 1, grouped=k.shape[1] < q.shape[1],
        square=q.shape[2] == k.shape[2], **given,
    )  # fmt: skip


# Right on ordinary values


def without_maximum(q, k, v, *, causal=False, scale=None, valid_lens=None, window=None, softcap=None, bias=None):
    """Attend with exponentials of whole scores, which overflow where scores are large."""
    scores = adjusted((q * scale_of(q, scale)) @ repeat_heads(k, q.shape[1]).mT, softcap=softcap, bias=bias)
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens, window=window)
    weights = scores.exp() if mask is None else scores.exp() * mask
    total = weights.sum(-1, keepdim=True)
    return (weights / total.masked_fill(total == 0.0, 1.0)) @ repeat_heads(v, q.shape[1])


def overflows(name, met, *, claims=()):
    """Add a mutant that subtracts no maximum where `met` holds of its arguments."""

    @mutant(f"maximum not subtracted {name}", claims=claims)
    def _(q, k, v, **options):
        return (without_maximum if met(asked(q, k, v, options)) else honest)(q, k, v, **options)


overflows("for lengths by row", lambda call: call.rows)
overflows("for grouped heads", lambda call: call.grouped)
overflows("for a single query", lambda call: call.q.shape[2] == 1)
overflows("for fewer queries than keys", lambda call: call.q.shape[2] < call.k.shape[2])
overflows("for values of another size", lambda call: call.v.shape[3] != call.q.shape[3])
overflows("for keys out of order", lambda call: not call.k.is_contiguous())
overflows("at head sizes from 64 on", lambda call: call.q.shape[3] >= 64)
overflows("for a batch of one", lambda call: call.q.shape[0] == 1)
overflows("in a window", lambda call: call.window is not None, claims=("window",))
overflows("under a bias", lambda call: call.bias is not None, claims=("bias",))


# Right by themselves


def together(name, met, *, claims=()):
    """Add a mutant that is 5 % too large where `met` holds of its arguments."""

    @mutant(name, claims=claims)
    def _(q, k, v, **options):
        out = honest(q, k, v, **options)
        return out * 1.05 if met(asked(q, k, v, options)) else out


together("a scale of one's own for grouped heads", lambda call: call.scale is not None and call.grouped)
together("a scale of one's own with lengths", lambda call: call.scale is not None and call.valid_lens is not None)
together("a scale of one's own out of order", lambda call: call.scale is not None and not call.q.is_contiguous())
together("groups of four", lambda call: call.q.shape[1] // call.k.shape[1] >= 4)
together("eight heads", lambda call: call.q.shape[1] >= 8)
together("head size 128 under the causal mask", lambda call: call.causal and call.q.shape[3] == 128)
together("head size 64 with lengths", lambda call: call.valid_lens is not None and call.q.shape[3] == 64)
together("whole blocks of 64 alone", lambda call: call.square and call.q.shape[2] == 64)
together("whole blocks of 128 alone", lambda call: call.square and call.q.shape[2] == 128)
together("every second number of memory", lambda call: call.q.stride(-1) == 2)
together("values alone out of order", lambda call: call.k.is_contiguous() and not call.v.is_contiguous())
together("a window of grouped heads", lambda call: call.window and call.grouped and not call.causal, claims=RARE)
together("a window and lengths by row", lambda call: call.window and call.rows, claims=RARE)
together("a window of a scale of one's own", lambda call: call.window and call.scale is not None, claims=RARE)
together("a cap for a single query", lambda call: call.softcap and call.q.shape[2] == 1, claims=RARE)
together("a cap and values of another size", lambda call: call.softcap and call.v.shape[3] < 16, claims=RARE)
together("a cap out of order", lambda call: call.softcap and not call.q.is_contiguous(), claims=RARE)
together("a bias of a scale of one's own", lambda call: call.bias is not None and call.scale is not None, claims=RARE)
together("a bias out of order", lambda call: call.bias is not None and not call.q.is_contiguous(), claims=RARE)
together(
    "a bias for more queries than keys",
    lambda call: call.bias is not None and call.q.shape[2] > call.k.shape[2],
    claims=RARE,
)


# Values that are no numbers


@mutant("NaN hidden where there are lengths")
def _(q, k, v, *, valid_lens=None, **options):
    out = honest(q, k, v, valid_lens=valid_lens, **options)
    return out if valid_lens is None else out.nan_to_num()


@mutant("NaN hidden in a single query")
def _(q, k, v, **options):
    out = honest(q, k, v, **options)
    return out.nan_to_num() if q.shape[2] == 1 else out


# How the gradient lies that is handed in


class Upstream(torch.autograd.Function):
    """Copy; the gradient is half as large again where `met` holds of it."""

    @staticmethod
    def forward(context, out, met):
        context.met = met
        return out.clone()

    @staticmethod
    def backward(context, upstream):
        return upstream * 1.5 if context.met(upstream) else upstream, None


def wrong_upstream(name, met):
    @mutant(f"upstream gradient {name}", backward_only=True)
    def _(q, k, v, **options):
        return Upstream.apply(honest(q, k, v, **options), met)


wrong_upstream("with its last axis outermost", lambda given: given.stride(-1) > 1)
wrong_upstream("that is a part of another", lambda given: given.storage_offset() > 0)
wrong_upstream(
    "that the batch shares", lambda given: given.shape[0] > 1 and given.stride(0) == 0 and given.stride(-1) > 0
)
