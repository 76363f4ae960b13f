"""The gate accepts honest arithmetic, rejects wrong arithmetic, and says where."""

from __future__ import annotations

import math

import pytest
import torch

from harness.agreement import agree
from harness.policy import GatePolicy
from impls import registry
from impls.attention.batched import batched

CPU = torch.device("cpu")


def gate(function, *, dtype=torch.float32, direction="forward", seed=0, point=None, name="planted", policy=None):
    """Hold a function that claims every feature against the oracle of `attention`."""
    problem = registry.problem("attention")
    limits = registry.Limits(registry.DEVICES, registry.DTYPES, frozenset(registry.FEATURES))
    planted = registry.Implementation(problem="attention", name=name, function=function, limits=(limits,))
    return agree(
        problem,
        planted,
        problem.parse(point or {"n": 40, "d": 16, "heads": 2, "batch": 2}),
        dtype=dtype,
        device=CPU,
        direction=direction,
        seed=seed,
        policy=policy or GatePolicy(),
    )


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


@pytest.mark.parametrize(
    ("returned", "mistake"),
    [
        (lambda _: None, "out is NoneType, not torch.Tensor"),
        (lambda q: q[..., :-1].clone(), r"out has shape \(2, 2, 40, 15\), not \(2, 2, 40, 16\)"),
        (lambda q: q.double(), "out has dtype torch.float64, not torch.float32"),
        (lambda q: q, "out shares memory with an input"),
        (lambda q: (q.clone(), q.clone()), "returned 2 values, not 1"),
        (lambda q: torch.full_like(q, math.nan), "elements that are not finite, first at"),
        (lambda q: torch.nn.Parameter(q.clone()), "out is Parameter, not torch.Tensor"),
        (lambda q: q.fill_(0.0).clone(), "input 0 was changed"),
    ],
)
def test_a_broken_contract_is_named(returned, mistake):
    agreement = gate(lambda q, *_, **__: returned(q))
    assert not agreement.passed
    (check,) = agreement.checks
    assert check.name == "contract"
    with pytest.raises(AssertionError, match=mistake):
        raise AssertionError(check.detail)


def test_a_gradient_that_does_not_reach_an_input_is_named():
    agreement = gate(lambda q, k, v, **o: batched(q, k.detach(), v, **o), direction="backward")
    assert not agreement.passed
    assert agreement.checks[0].detail == "dk is NoneType, not torch.Tensor"


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
