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


def held(witness, out):
    """Return the error of a result over the bound, at its worst."""
    return ((out.double() - witness.oracle).abs() / witness.bound).max().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_honest_arithmetic_is_within_the_bound_and_a_mistake_of_a_tenth_is_not(dtype):
    problem, inputs, rows, _ = drawn({"n": 40, "d": 16, "heads": 2}, dtype=dtype, count=40)
    (found,) = problem.witness(inputs, rows)
    out = batched(inputs.q, inputs.k, inputs.v)
    assert held(found, out) < 1
    assert held(found, 1.1 * out) > 1


def test_rows_that_are_not_sampled_have_no_say_in_the_witness():
    problem, inputs, rows, _ = drawn({"n": 30, "d": 4, "valid_lens": "rows"}, count=5)
    (found,) = problem.witness(inputs, rows)
    others = [row for row in range(30) if row not in rows.tolist()]
    inputs.q[:, :, others] = 1e3
    (again,) = problem.witness(inputs, rows)
    assert torch.equal(found.oracle, again.oracle)
    assert torch.equal(found.bound, again.bound)


def test_what_lies_beyond_the_lengths_has_no_say_in_what_is_right():
    point = {"n": 12, "d": 4, "batch": 2, "valid_lens": "batch"}
    (plain,), (dirty,) = (
        problem.witness(inputs, rows) for problem, inputs, rows, _ in (drawn(point), drawn(point, kind="NaN padding"))
    )
    for name in ("oracle", "reference", "bound"):
        assert torch.equal(getattr(plain, name), getattr(dirty, name))


def test_a_row_without_keys_is_zero_and_its_bound_is_what_flushing_costs():
    problem, inputs, rows, upstream = drawn({"n_q": 5, "n_k": 2, "d": 4, "causal": True}, dtype=torch.float32)
    (found,) = problem.witness(inputs, rows)
    assert found.oracle[:, :, :3].eq(0).all()
    assert found.bound[:, :, :3].max() <= found.flush < 1e-30
    dq, *_ = problem.gradient_witness(inputs, rows, upstream[:, :, rows])
    assert dq.oracle[:, :, :3].eq(0).all()


def test_key_heads_gather_the_gradients_of_their_query_heads():
    point = {"n": 6, "d": 4, "heads": 4, "kv_heads": 2}
    problem, inputs, rows, upstream = drawn(point)
    _, dk, dv = problem.gradient_witness(inputs, rows, upstream)
    alone = []
    for head in range(4):
        only = torch.zeros_like(upstream)
        only[:, head] = upstream[:, head]
        alone.append(problem.gradient_witness(inputs, rows, only)[2].oracle)
    torch.testing.assert_close(sum(alone), dv.oracle)
    assert alone[0][:, 1].eq(0).all()
    assert alone[3][:, 0].eq(0).all()
    assert dk.oracle.shape == inputs.k.shape


def test_a_reference_errs_in_its_dtype_and_no_less_than_either_way_to_scale():
    problem, inputs, rows, _ = drawn({"n": 40, "d": 16, "heads": 2}, dtype=torch.float16, count=40)
    (found,) = problem.witness(inputs, rows)
    error = (found.reference - found.oracle).abs()
    assert error.max() > torch.finfo(torch.float16).eps / 8
    for scaled in (inputs.q * 0.25 @ inputs.k.mT, inputs.q @ inputs.k.mT * 0.25):
        assert ((scaled.softmax(-1) @ inputs.v).double() - found.oracle).abs().mean() < 2 * error.mean()


def test_in_float64_the_oracle_stands_for_what_is_no_less_precise():
    problem, inputs, rows, upstream = drawn({"n": 20, "d": 4})
    for found in problem.witness(inputs, rows) + problem.gradient_witness(inputs, rows, upstream[:, :, rows]):
        assert torch.equal(found.reference, found.oracle)
