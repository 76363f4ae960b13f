"""What defines right for attention: float64 on sampled rows, and bounds that honest arithmetic stays within."""

from __future__ import annotations

import pytest
import torch

from harness.gate.call import upstream_gradient
from impls import registry
from impls.attention._probes import KINDS
from impls.attention.batched import batched

CPU = torch.device("cpu")


def drawn(point, *, dtype=torch.float64, kind="normal", count=20):
    """Return a problem's inputs, sampled rows and an upstream gradient on them."""
    problem = registry.problem("attention")
    parsed = problem.parse(point)
    inputs = problem.inputs(parsed, dtype=dtype, device=CPU, seed=3, kind=kind)
    rows = problem.sample_rows(parsed, count=count, seed=3)
    return problem, inputs, rows, upstream_gradient(problem.outputs(parsed)[0], rows=rows, like=inputs.q, seed=3)


@pytest.mark.parametrize(
    "point",
    [
        {"n": 50, "d": 8, "heads": 4, "kv_heads": 2, "batch": 2, "causal": True, "valid_lens": "rows"},
        {"n_q": 40, "n_k": 30, "d": 5, "d_v": 7, "causal": True, "scale": 0.7},
    ],
)
def test_the_oracle_on_sampled_rows_is_full_float64_autograd(point):
    problem, inputs, rows, upstream = drawn(point)
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    out = batched(inputs.q, inputs.k, inputs.v, **inputs.options)
    gradients = torch.autograd.grad(out, inputs.differentiable, upstream)
    (forward,) = problem.witness(inputs, rows)
    torch.testing.assert_close(forward.oracle, out.detach()[:, :, rows], atol=1e-14, rtol=1e-12)
    for gradient, found in zip(gradients, problem.gradient_witness(inputs, rows, upstream[:, :, rows]), strict=True):
        torch.testing.assert_close(found.oracle, gradient, atol=1e-13, rtol=1e-12)


# A row of NaN has no error to bound: the gate looks at the other rows.
FINITE = [kind for kind in KINDS if kind != "NaN query"]


@pytest.mark.parametrize("kind", FINITE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_references_stay_within_the_bound(kind, dtype):
    problem, inputs, rows, upstream = drawn({"n": 60, "d": 16, "heads": 2, "causal": True}, dtype=dtype, kind=kind)
    found = problem.witness(inputs, rows) + problem.gradient_witness(inputs, rows, upstream[:, :, rows])
    for one in found:
        assert ((one.reference - one.oracle).abs() <= one.bound).all()
