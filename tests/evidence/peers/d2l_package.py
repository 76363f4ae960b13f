"""The package d2l's own multi-head module, as an implementation to measure ours against.

`attnbench run multihead --impl d2l --impl d2l-package --impl-file tests/evidence/peers/d2l_package.py`
"""

from __future__ import annotations

import torch

from impls.registry import register


def build(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    """Make the package's module and give it our weights; return its call."""
    from d2l.torch import MultiHeadAttention

    width = weights.w_o.shape[0]
    module = MultiHeadAttention(width, heads, dropout, bias=weights.b_q is not None).train(dropout > 0)
    with torch.no_grad():
        # Its layers are lazy: the first call makes them.
        module.to(device=x_q.device, dtype=x_q.dtype)(x_q, x_k, x_v, valid_lens)
    layers = {"W_q": (weights.w_q, weights.b_q), "W_k": (weights.w_k, weights.b_k), "W_v": (weights.w_v, weights.b_v)}
    layers["W_o"] = (weights.w_o, weights.b_o)
    parameters = {f"{name}.weight": w for name, (w, _) in layers.items()}
    parameters |= {f"{name}.bias": b for name, (_, b) in layers.items() if b is not None}
    return lambda: torch.func.functional_call(module, parameters, (x_q, x_k, x_v, valid_lens), strict=True)


@register(
    problem="multihead",
    name="d2l-package",
    supports=("valid_lens", "backward", "dropout", "cross_attention", "query_size", "odd_heads"),
    requires=("d2l",),
    prepare=build,
    expects=("bmm",),
    score_buffers=3.0,
)
def d2l_package(x_q, x_k, x_v, weights, **options):
    """Call the package's module."""
    return build(x_q, x_k, x_v, weights, **options)()
