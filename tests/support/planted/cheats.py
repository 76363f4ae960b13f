"""Planted implementations that look right or fast without being it; used with --impl-file."""

import torch

from attnbench import register

FORWARD = ("causal", "valid_lens", "gqa", "d_v", "dead_rows")


def seen(q, k, causal, valid_lens):
    b, n_q, n_k = q.shape[0], q.shape[2], k.shape[2]
    keys = torch.arange(n_k)
    allowed = torch.ones(b, 1, n_q, n_k, dtype=torch.bool)
    if causal:
        allowed = allowed & (keys <= torch.arange(n_q)[:, None] + n_k - n_q)
    return allowed if valid_lens is None else allowed & (keys < valid_lens.reshape(b, 1, -1, 1))


@register(problem="attention", name="planted-honest", supports=FORWARD)
def honest(q, k, v, *, causal=False, scale=None, valid_lens=None):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    allowed = seen(q, k, causal, valid_lens)
    dead = ~allowed.any(-1, keepdim=True)
    s = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.mT
    w = s.masked_fill(~(allowed | dead), float("-inf")).softmax(-1)
    return w.masked_fill(dead, 0.0) @ v


@register(problem="attention", name="planted-lazy", supports=FORWARD)
def lazy(q, k, v, **options):
    out = q.new_zeros(*q.shape[:3], v.shape[-1])
    out.detach = lambda: honest(q, k, v, **options)
    return out


def replaying(name, mark_of):
    """Register a kernel that keeps its last answers by a mark of the inputs."""
    kept = {}

    @register(problem="attention", name=name, supports=FORWARD)
    def replay(q, k, v, **options):
        lens = options.get("valid_lens")
        rest = tuple(sorted((name, str(value)) for name, value in options.items() if value is not lens))
        mark = (
            mark_of(q, k, v),
            q.shape,
            k.shape,
            v.shape,
            q.dtype,
            rest,
            None if lens is None else str(lens.tolist()),
        )
        if mark not in kept:
            if len(kept) > 8:
                kept.clear()
            kept[mark] = honest(q, k, v, **options)
        return kept[mark].clone()

    return replay


by_content = replaying(
    "planted-by-content", lambda *tensors: tuple(float(t.reshape(-1)[i]) for t in tensors for i in (0, -1))
)
by_sums = replaying("planted-by-sums", lambda *tensors: tuple(round(float(t.double().sum()), 3) for t in tensors))
by_version = replaying("planted-by-version", lambda *tensors: tuple((t.data_ptr(), t._version) for t in tensors))
by_address = replaying("planted-by-address", lambda *tensors: tuple(t.data_ptr() for t in tensors))

state = {"mark": None, "calls": 0}


@register(problem="attention", name="planted-drifts", supports=FORWARD)
def drifts(q, k, v, **options):
    mark = (q.shape, float(q.reshape(-1)[0]))
    state["calls"] = state["calls"] + 1 if mark == state["mark"] else 0
    state["mark"] = mark
    out = honest(q, k, v, **options)
    return out * 1.5 if state["calls"] >= 8 else out


@register(problem="attention", name="planted-three-threads", supports=FORWARD)
def three_threads(q, k, v, **options):
    torch.set_num_threads(3)
    return honest(q, k, v, **options)


@register(problem="attention", name="planted-denormals", supports=FORWARD)
def denormals(q, k, v, **options):
    torch.set_flush_denormal(True)
    return honest(q, k, v, **options)
