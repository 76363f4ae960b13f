"""Wrong implementations of packed sequences: borders, masks, and what is done for some lengths alone."""

from __future__ import annotations

import itertools

import torch

from tests.support.mutants import mutant


def honest(q, k, v, *, cu_seqlens, max_seqlen, causal=False, scale=None, change=None, keys=None):
    """What these mutants spoil: each sequence by the formula; `keys` are borders of keys in place of the queries'."""
    group = q.shape[1] // k.shape[1]
    k, v = (x.repeat(1, group, 1) if change == "groups tiled" else x.repeat_interleave(group, 1) for x in (k, v))
    edges = cu_seqlens.tolist()
    keys = edges if keys is None else keys
    outs = [
        one(*(x.transpose(0, 1) for x in (q[a:b], k[c:d], v[c:d])), causal=causal, scale=scale, change=change)
        for a, b, c, d in zip(edges, edges[1:], keys, keys[1:], strict=False)
    ]
    return torch.cat(outs).contiguous()


def one(q, k, v, *, causal, scale, change):
    """Attend within one sequence of [heads, length, d]."""
    n_q, n_k = q.shape[1], k.shape[1]
    scores = (q * (q.shape[-1] ** -0.5 if scale is None or change == "scale ignored" else scale)) @ k.mT
    if causal and change != "causal ignored":
        mask = torch.ones(n_q, n_k, dtype=torch.bool).tril(1 if change == "one token ahead" else 0)
        mask = mask.mT if change == "causal upside down" else mask
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1).nan_to_num() if change == "causal upside down" else scores.softmax(-1)
    if change == "keys beyond 256" and n_k > 256:
        weights = torch.cat([weights[..., :256], weights[..., 256:] * 0], -1)
    if change == "one token gives nothing" and n_k == 1:
        weights = weights * 0
    return (weights @ v).transpose(0, 1) * (1.01 if change == "one percent too large" else 1.0)


def spoiled(change):
    return lambda *tensors, **options: honest(*tensors, **options, change=change)


def packs(name, **declared):
    return mutant(f"varlen: {name}", problem="varlen", **declared)


for fault in (
    "groups tiled",
    "scale ignored",
    "causal ignored",
    "one token ahead",
    "causal upside down",
    "keys beyond 256",
    "one token gives nothing",
    "one percent too large",
):
    packs(fault)(spoiled(fault))


@packs("borders one token late")
def _(q, k, v, *, cu_seqlens, **options):
    late = (cu_seqlens + 1).clamp(max=len(q))
    late[0] = 0
    return honest(q, k, v, cu_seqlens=late, **options)


@packs("keys begin one token early")
def _(q, k, v, *, cu_seqlens, **options):
    if options.get("causal"):
        return honest(q, k, v, cu_seqlens=cu_seqlens, **options)
    edges = cu_seqlens.tolist()
    group = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(group, 1) for x in (k, v))
    outs = [
        one(*(x.transpose(0, 1) for x in (q[a:b], k[max(0, a - 1) : b], v[max(0, a - 1) : b])), causal=False,
            scale=options.get("scale"), change=None)
        for a, b in itertools.pairwise(edges)
    ]  # fmt: skip
    return torch.cat(outs).contiguous()


@packs("last sequence dropped")
def _(q, k, v, *, cu_seqlens, **options):
    out = honest(q, k, v, cu_seqlens=cu_seqlens, **options)
    begins = cu_seqlens[-2] if cu_seqlens[-2] < len(q) else len(q) - 1
    return torch.cat([out[:begins], out[begins:] * 0])


@packs("attends across sequences")
def _(q, k, v, *, cu_seqlens, causal=False, **options):
    if causal:
        return honest(q, k, v, cu_seqlens=cu_seqlens, causal=True, **options)
    return honest(q, k, v, cu_seqlens=cu_seqlens[[0, -1]], **options)


@packs("causal in the pack")
def _(q, k, v, *, cu_seqlens, causal=False, **options):
    return honest(q, k, v, cu_seqlens=cu_seqlens[[0, -1]] if causal else cu_seqlens, causal=causal, **options)


@packs("an empty sequence shifts the rest")
def _(q, k, v, *, cu_seqlens, **options):
    lengths = cu_seqlens.diff().tolist()
    if 0 not in lengths or options.get("causal"):
        return honest(q, k, v, cu_seqlens=cu_seqlens, **options)
    # Keys of the sequence before it: as if the empty one had the next one's keys.
    keys = cu_seqlens.tolist()
    keys = [0, *(max(1, edge - 1) for edge in keys[1:])]
    return honest(q, k, v, cu_seqlens=cu_seqlens, keys=keys, **options)


@packs("beyond 32 sequences the first one's values")
def _(q, k, v, *, cu_seqlens, **options):
    if len(cu_seqlens) > 33:
        v = torch.cat([v[: cu_seqlens[32]], v[:1].expand_as(v[cu_seqlens[32] :])])
    return honest(q, k, v, cu_seqlens=cu_seqlens, **options)


@packs("padding weighs")
def _(q, k, v, *, cu_seqlens, max_seqlen, causal=False, **options):
    out = honest(q, k, v, cu_seqlens=cu_seqlens, max_seqlen=max_seqlen, causal=causal, **options)
    if causal:
        return out
    # Zeros behind a sequence score 0: their share of the weights is lost.
    lengths = cu_seqlens.diff()
    share = (lengths / max_seqlen).repeat_interleave(lengths.long())
    return out * share.to(out.dtype)[:, None, None]


@packs("strides ignored")
def _(q, k, v, **options):
    dense = (
        torch.as_strided(x, x.shape, torch.empty_like(x, memory_format=torch.contiguous_format).stride())
        for x in (q, k, v)
    )
    return honest(*dense, **options)


@packs("keys of the first sequence get no gradient", backward_only=True)
def _(q, k, v, *, cu_seqlens, **options):
    first = int(cu_seqlens[cu_seqlens > 0][0])
    return honest(q, torch.cat([k[:first].detach(), k[first:]]), v, cu_seqlens=cu_seqlens, **options)


@packs("values have gradients of a neighbour", backward_only=True)
def _(q, k, v, *, cu_seqlens, **options):
    rolled = v.roll(1, 0)
    return honest(q, k, v.detach() + (rolled - rolled.detach()), cu_seqlens=cu_seqlens, **options)
