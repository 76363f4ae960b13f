"""A direction's call does what it says: forward records nothing, backward repeats itself and keeps what it needs."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import directions
from impls import discovery, registry
from impls.subject import Subject

CPU = torch.device("cpu")


def einsum(direction, **point):
    discovery.discover()
    problem = registry.problem("attention")
    parsed = problem.parse(point or {"n": 8, "d": 4})
    return Subject(problem, registry.get("attention", "einsum"), parsed, torch.float32, CPU, direction)


def test_backward_keeps_the_weights():
    subject = einsum("backward", n=256, heads=2, d=64)
    with directions.measured_call(subject, subject.inputs(seed=0)) as measured:
        assert measured.saved_bytes >= 2 * 256 * 256 * 4


@pytest.mark.parametrize("direction", ["backward", "forward+backward"])
def test_gradients_do_not_accumulate_between_calls(direction):
    subject = einsum(direction)
    with directions.measured_call(subject, inputs := subject.inputs(seed=0)) as measured:
        first, second = measured.call(), measured.call()
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(tensor.grad is None for tensor in inputs.differentiable)


def test_forward_records_no_graph():
    subject = einsum("forward")
    with directions.measured_call(subject, subject.inputs(seed=0)) as measured:
        assert not measured.call().requires_grad
        assert measured.saved_bytes is None


def test_the_bytes_of_everything_returned_count():
    a, b = torch.ones(3), torch.ones(5, dtype=torch.float64)
    assert directions.returned_bytes(a) == 12
    assert directions.returned_bytes((a, b, None)) == 12 + 40


def test_what_is_no_tensor_has_no_gradient():
    assert directions.output_tensor((torch.ones(2), None)).shape == (2,)
    with pytest.raises(TypeError, match="must return a tensor, not NoneType"):
        directions.output_tensor(None)
