"""What tests of single attention implementations start from: small odd inputs, the formula, the operators that ran."""

from __future__ import annotations

import contextlib
import math

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from impls.attention import problem as attention

CPU = torch.device("cpu")
# Odd everywhere: three of six heads share a key head, values are narrower, keys outnumber queries, lengths vary.
SIZES = {"n_q": 5, "n_k": 7, "d": 3, "d_v": 2, "heads": 6, "kv_heads": 2, "batch": 2}
# Points of what few implementations know, to be joined with sizes.
RARE = (
    {"window": 2, "causal": True},
    {"window": 3, "valid_lens": "rows"},
    {"softcap": 0.7, "scale": 1.0},
    {"bias": "batch", "softcap": 1.5, "causal": True, "window": 4},
)
ODD = {**SIZES, "causal": True, "valid_lens": "rows"}


def drawn(point=None, *, dtype=torch.float64, seed=0, kind="normal"):
    """Draw the inputs of a point, the odd one if none is given."""
    return attention.inputs(
        attention.parse(ODD if point is None else point), dtype=dtype, device=CPU, seed=seed, kind=kind
    )


def called(function, inputs):
    """Call an implementation's function on inputs."""
    return function(inputs.q, inputs.k, inputs.v, **inputs.options)


def by_formula(inputs):
    """Compute what is right, one weight after another in Python's floats: [batch, heads, n_q, d_v] of float64."""
    q, k, v = (tensor.double().tolist() for tensor in (inputs.q, inputs.k, inputs.v))
    n_q, n_k, d = inputs.q.shape[2], inputs.k.shape[2], inputs.q.shape[3]
    scale = 1 / math.sqrt(d) if inputs.scale is None else inputs.scale
    group = inputs.q.shape[1] // inputs.k.shape[1]
    out = torch.zeros(*inputs.q.shape[:3], inputs.v.shape[3], dtype=torch.float64)
    for b, h, i in torch.cartesian_prod(*map(torch.arange, out.shape[:3])).tolist():
        limit = i + n_k - n_q + 1 if inputs.causal else n_k
        if inputs.valid_lens is not None:
            of_batch = inputs.valid_lens[b]
            limit = min(limit, int(of_batch if of_batch.ndim == 0 else of_batch[i]))
        own, away = i + n_k - n_q, inputs.window or n_q + n_k
        seen = [j for j in range(max(limit, 0)) if own - away < j < own + away]
        scores = [scale * sum(map(math.prod, zip(q[b][h][i], k[b][h // group][j], strict=True))) for j in seen]
        if inputs.softcap is not None:
            scores = [inputs.softcap * math.tanh(score / inputs.softcap) for score in scores]
        if inputs.bias is not None:
            scores = [
                score + inputs.bias[b % len(inputs.bias), h, i, j].item() for score, j in zip(scores, seen, strict=True)
            ]
        heights, values = [math.exp(score) for score in scores], [v[b][h // group][j] for j in seen]
        for height, value in zip(heights, values, strict=True):
            out[b, h, i] += torch.tensor(value, dtype=torch.float64) * (height / sum(heights))
    return out


class Watched(TorchDispatchMode):
    """Note the operators that run inside, and how many elements the largest result has that is no view."""

    def __init__(self):
        super().__init__()
        self.operators, self.largest = [], 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **(options or {}))
        self.operators.append(function._schema.name.removeprefix("aten::"))
        if all(returned.alias_info is None for returned in function._schema.returns):
            results = [one for one in torch.utils._pytree.tree_leaves(out) if isinstance(one, torch.Tensor)]
            self.largest = max([self.largest, *(one.numel() for one in results)])
        return out


def watched(function, inputs, *, within=None):
    """Call a function under `Watched`, inside of a context if one is given, and return what was noted."""
    with torch.no_grad(), within or contextlib.nullcontext(), Watched() as noted:
        called(function, inputs)
    return noted
