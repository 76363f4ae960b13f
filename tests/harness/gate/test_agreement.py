"""The gate accepts honest arithmetic, rejects wrong arithmetic, and says where."""

from __future__ import annotations

import pytest
import torch

from harness.gate.agreement import agree, describe
from harness.gate.call import upstream_gradient
from harness.policy import GatePolicy
from impls import contract, registry
from impls.attention._probes import KINDS
from impls.attention.batched import batched
from impls.subject import Subject

CPU = torch.device("cpu")


def gate(
    function, *, dtype=torch.float32, direction="forward", seed=0, point=None, name="planted", policy=None, **more
):
    """Hold a function that claims every feature against the oracle of `attention`."""
    problem = registry.problem("attention")
    limits = contract.Limits(registry.DEVICES, registry.DTYPES, frozenset(registry.FEATURES))
    planted = contract.Implementation(problem="attention", name=name, function=function, limits=(limits,))
    parsed = problem.parse(point or {"n": 40, "d": 16, "heads": 2, "batch": 2})
    subject = Subject(problem, planted, parsed, dtype, CPU, direction)
    return agree(subject, seed=seed, policy=policy or GatePolicy(), **more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("direction", ["forward", "backward", "forward+backward"])
def test_honest_arithmetic_agrees(dtype, direction):
    agreement = gate(batched, dtype=dtype, direction=direction)
    assert agreement.passed, [check for check in agreement.checks if not check.passed]
    assert agreement.rows_checked == 40
    assert 0 < agreement.ratio < 1


def test_the_worst_element_is_named_by_its_index_in_the_output():
    def wrong_in_one_place(q, k, v, **options):
        out = batched(q, k, v, **options)
        out[1, 0, 777, 3] += 0.5
        return out

    point = {"n": 1000, "d": 8, "heads": 2, "batch": 2}
    agreement = gate(wrong_in_one_place, point=point, policy=GatePolicy(rows=1000))
    assert not agreement.passed
    assert agreement.worst.startswith("out[1, 0, 777, 3] is ")


def test_large_outputs_are_checked_on_sampled_rows_with_the_ends_among_them():
    def last_row_wrong(q, k, v, **options):
        out = batched(q, k, v, **options)
        out[..., -1, :] *= 1.5
        return out

    agreement = gate(last_row_wrong, point={"n": 600, "d": 8})
    assert agreement.rows_checked == 128
    assert not agreement.passed


def test_zeros_are_rejected_however_small_the_output_is():
    point = {"n_q": 4, "n_k": 262144, "d": 16}
    agreement = gate(lambda q, *_, **__: torch.zeros_like(q), point=point, dtype=torch.bfloat16)
    assert not agreement.passed


def test_a_wrong_gradient_alone_is_rejected():
    def half_gradient(q, k, v, **options):
        return batched(q, k, 0.5 * v + 0.5 * v.detach(), **options)

    assert gate(half_gradient).passed
    agreement = gate(half_gradient, direction="backward")
    assert {check.name for check in agreement.checks if not check.passed} >= {"dv max", "dv rms"}


def test_what_an_implementation_raises_rises():
    def fails(q, k, v, **_):
        raise FloatingPointError("boom")

    with pytest.raises(FloatingPointError, match="boom"):
        gate(fails)


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


@pytest.mark.parametrize("kind", FINITE)
def test_a_kind_of_input_is_finite_and_drawn_again_from_its_seed(kind):
    point = {"n": 20, "d": 8, "heads": 2, "kv_heads": 1}
    _, first, _, _ = drawn(point, dtype=torch.float16, kind=kind)
    _, second, _, _ = drawn(point, dtype=torch.float16, kind=kind)
    assert all(tensor.isfinite().all() for tensor in first.tensors)
    assert all(torch.equal(a, b) for a, b in zip(first.tensors, second.tensors, strict=True))
    assert first.q.is_contiguous() == (kind not in {"transposed", "sliced", "columns", "one buffer"})


def test_a_tight_budget_rejects_what_a_loose_one_accepts():
    def slightly_wrong(q, k, v, **options):
        return batched(q, k, v, **options) * (1 + 2**-19)

    assert not gate(slightly_wrong).passed
    assert gate(slightly_wrong, policy=GatePolicy(factor=1e3)).passed


def test_sampled_rows_hold_the_ends_the_block_edges_and_the_border_of_the_mask():
    problem = registry.problem("attention")
    rows = problem.sample_rows(problem.parse({"n_q": 3000, "n_k": 2000, "causal": True}), count=128, seed=1)
    assert {0, 1, 2998, 2999, 63, 64, 127, 128, 999, 1000, 1001} <= set(rows.tolist())
    assert len(rows) == 128 == len(set(rows.tolist()))


def by_address():
    """Return honest arithmetic that keeps its results by the address of its inputs."""
    kept = {}

    def cached(q, k, v, **options):
        key = (q.data_ptr(), k.data_ptr(), v.data_ptr())
        if key not in kept:
            kept[key] = batched(q, k, v, **options)
        return kept[key].clone()

    return cached


def test_results_kept_by_address_are_wrong_once_the_inputs_change_in_place():
    assert gate(by_address()).passed
    found = gate(by_address(), second_seed=1)
    assert not found.passed
    failed = next(check for check in found.checks if not check.passed)
    assert failed.name.startswith("inputs changed in place, out")


def test_honest_arithmetic_agrees_on_inputs_changed_in_place():
    found = gate(batched, second_seed=1)
    assert found.passed
    assert len(found.checks) == 2 * len(gate(batched).checks)
    assert gate(batched, second_seed=1, direction="backward").passed


def test_what_defines_right_is_asked_for_by_the_seed_of_the_inputs():
    problem = registry.problem("attention")
    asked = []

    def witnesses(seed, inputs, rows):
        asked.append(seed)
        return problem.witness(inputs, rows)

    assert gate(batched, seed=3, second_seed=9, witnesses=witnesses).passed
    assert asked == [3, 9]


def test_the_sentence_names_the_check_that_failed_worst_by_how_much_and_where():
    agreement = gate(lambda q, *_, **__: torch.zeros_like(q), point={"n": 4, "d": 4})
    failed = {check.name: check for check in agreement.checks if not check.passed}
    worst = max(failed.values(), key=lambda check: check.ratio)
    assert describe(agreement) == f"{worst.name}: {worst.ratio:.3g} times its budget; {worst.detail}"
    assert "out[" in describe(agreement)


def test_what_breaks_the_contract_is_said_without_a_ratio():
    assert describe(gate(lambda q, *_, **__: q[:1])).startswith("contract: out has shape (1, 2, 40, 16), not ")
