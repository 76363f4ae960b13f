"""What kernels whose time hangs on the values of their inputs do is met by the axis `values`, and passes the gate."""

from __future__ import annotations

import pytest
import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import contract, registry
from impls.attention import problem as attention
from impls.attention._points import VALUES
from impls.attention.batched import batched
from impls.subject import Subject

CPU = torch.device("cpu")
# A block whose largest score lies this far below the row's maximum weighs less than float32 resolves.
FAR_BELOW = 20.0
BLOCK = 8


def skipping(weighed):
    """Build a kernel that leaves out, row by row, blocks of keys far below the maximum; `weighed` counts the others."""

    def attend(q, k, v, *, causal=False, scale=None, valid_lens=None):
        assert not causal
        assert valid_lens is None
        scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.mT  # [batch, heads, n_q, n_k]
        blocks = scores.unflatten(-1, (-1, BLOCK))
        near = blocks.amax(-1) > scores.amax(-1, keepdim=True) - FAR_BELOW
        weighed.append(int(near.sum()) / near.numel())
        return blocks.masked_fill(~near.unsqueeze(-1), -torch.inf).flatten(-2).softmax(-1) @ v

    return attend


def with_denormals(met):
    """Build a kernel that multiplies numbers below the smallest normal one; `met` counts those in the inputs too."""

    def attend(q, k, v, **options):
        nothing = 0 * (torch.full_like(q, 1e-41) @ k.mT).sum()
        tiny = (q != 0) & (q.abs() < torch.finfo(q.dtype).tiny)
        met.append(float(tiny.double().mean()))
        return batched(q, k, v, **options) + nothing

    return attend


def held(function, values):
    limits = contract.Limits(("cpu",), ("float32",), frozenset())
    planted = contract.Implementation("attention", "planted", function, (limits,))
    point = attention.parse({"n": 64, "d": 16, "heads": 2, "values": values})
    subject = Subject(registry.problem("attention"), planted, point, torch.float32, CPU, "forward")
    return agree(subject, seed=0, policy=GatePolicy())


def test_a_kernel_that_skips_far_blocks_is_right_and_has_little_to_do_on_peaked_values_alone():
    shares = {}
    for values in VALUES:
        weighed = []
        assert held(skipping(weighed), values).passed, values
        shares[values] = weighed[0]
    assert shares["normal"] == shares["denormal"] == 1.0
    assert shares["peaked"] <= 2 * BLOCK / 64


@pytest.mark.parametrize(("values", "share"), [("normal", 0.0), ("denormal", 0.9)])
def test_a_kernel_that_multiplies_denormals_is_right_and_inputs_hold_them_where_asked(values, share):
    met = []
    assert held(with_denormals(met), values).passed
    assert met[0] >= share
    assert (met[0] == 0.0) == (values == "normal")
