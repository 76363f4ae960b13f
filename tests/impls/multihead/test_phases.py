"""The steps of a module, each run alone with an oracle of its own."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.multihead import _phases, _points
from impls.multihead import problem as multihead
from impls.multihead.d2l import d2l
from tests.support.modules import CPU

POINT = {"n": 5, "width": 6, "heads": 3, "batch": 2}


def drawn(phase, *, dtype=torch.float64, seed=0):
    return multihead.inputs(multihead.parse({**POINT, "phase": phase}), dtype=dtype, device=CPU, seed=seed)


def run(phase, inputs):
    found = multihead.bind(registry.get("multihead", f"phase/{phase.replace(' ', '-')}"), inputs)()
    return found if isinstance(found, tuple) else (found,)


def test_the_steps_that_a_point_may_name_are_those_that_have_an_oracle():
    assert tuple(_phases.PHASES) == _points.PHASES == tuple(multihead.phase_operations(multihead.parse({"n": 4})))


@pytest.mark.parametrize("phase", _points.PHASES)
def test_a_step_gives_its_oracle_in_the_shapes_that_are_described(phase):
    inputs = drawn(phase)
    found = run(phase, inputs)
    described = multihead.outputs(multihead.parse({**POINT, "phase": phase}))
    rows = torch.tensor([0, 2, 4])
    for out, output, witness in zip(found, described, multihead.witness(inputs, rows), strict=True):
        assert out.shape == output.shape
        torch.testing.assert_close(out[:, rows], witness.oracle)


@pytest.mark.parametrize("phase", _points.PHASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_step_in_lower_precision_is_within_its_bound_and_a_tenth_more_is_not(phase, dtype):
    inputs = drawn(phase, dtype=dtype)
    for out, witness in zip(run(phase, inputs), multihead.witness(inputs, torch.arange(5)), strict=True):
        assert ((out.double() - witness.oracle).abs() <= witness.bound).all()
        assert ((1.1 * out.double() - witness.oracle).abs() > witness.bound).any()


def test_the_steps_one_after_another_are_the_module():
    inputs = multihead.inputs(multihead.parse(POINT), dtype=torch.float64, device=CPU, seed=3)
    w = inputs.weights
    name = {phase: registry.get("multihead", f"phase/{phase.replace(' ', '-')}").function for phase in _points.PHASES}
    q, k, v = name["projections"](inputs.x_q, w.w_q, w.w_k, w.w_v, heads=3)
    attention = name["softmax"](name["scores"](q, k, heads=3), heads=3)
    out = name["output"](name["weighted sum"](attention, v, heads=3), w.w_o, heads=3)
    torch.testing.assert_close(out, d2l(inputs.x_q, inputs.x_k, inputs.x_v, w, heads=3))


@pytest.mark.parametrize("phase", _points.PHASES)
def test_the_bytes_of_a_step_are_those_of_its_tensors(phase):
    inputs = drawn(phase, dtype=torch.float32)
    cost = multihead.cost(multihead.parse({**POINT, "phase": phase}), itemsize=4, direction="forward")
    assert cost.input_bytes == sum(x.nbytes for x in inputs.tensors)
    assert cost.output_bytes == sum(x.nbytes for x in run(phase, inputs))
    assert cost.operations == cost.phases[phase] > 0


def test_attention_weights_that_are_drawn_sum_to_one():
    weights, _ = drawn("weighted sum").tensors
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, 5, dtype=torch.float64))


def test_a_step_has_no_gradients():
    inputs = drawn("scores")
    assert inputs.differentiable == inputs.tensors
    with pytest.raises(TypeError, match="phase 'scores' is run forward only"):
        multihead.gradient_witness(inputs, torch.arange(5), torch.zeros(2, 5, 6))
    for phase in _points.PHASES:
        limits = registry.get("multihead", f"phase/{phase.replace(' ', '-')}").limits_on("cpu")
        assert limits.supports == {"odd_heads"}
