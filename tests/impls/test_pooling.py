"""Attention pooling: every method agrees with the oracle, and training has the shape that the tutorial shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.pooling import problem as pooling
from impls.pooling.average import average
from impls.pooling.learned import learned, leave_one_out, summed_loss, train
from impls.pooling.nadaraya_watson import nadaraya_watson
from impls.subject import Subject

CPU = torch.device("cpu")
discovery.discover()
METHODS = registry.names("pooling")


def gate(entry, probe, *, direction="forward", dtype=torch.float32):
    subject = Subject(pooling, entry, registry.parse(entry, probe.point), dtype, CPU, direction)
    return agree(subject, seed=1, policy=GatePolicy(), kind=probe.kind)


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_agrees_with_the_oracle(name, dtype, direction):
    entry = registry.get("pooling", name)
    if direction != "forward" and "backward" not in entry.limits_on("cpu").supports:
        pytest.skip(f"{name} has nothing to train")
    for probe in pooling.PROBES:
        agreement = gate(entry, probe, direction=direction, dtype=dtype)
        assert agreement.passed, (probe.name, [check for check in agreement.checks if not check.passed])


@pytest.mark.parametrize("wrong", ["predictions", "weights", "narrower"])
def test_a_wrong_method_is_rejected(wrong):
    def broken(queries, keys, values, *, kernel, w):
        predictions, weights = nadaraya_watson(
            queries, keys, values, kernel=kernel, w=1.01 * w if wrong == "narrower" else w
        )
        return (
            predictions * (1.001 if wrong == "predictions" else 1.0),
            weights.flip(0) if wrong == "weights" else weights,
        )

    entry = dataclasses.replace(registry.get("pooling", "nadaraya-watson"), function=broken)
    assert not gate(entry, pooling.PROBES[0]).passed


class Tilted(torch.autograd.Function):
    """Pass a tensor on, and its gradient times a factor."""

    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * context.factor, None


PROBES = {probe.name: probe for probe in pooling.PROBES}


@pytest.mark.parametrize("factor", [0.0, 1 - 1e-8], ids=["missing", "off"])
@pytest.mark.parametrize("probe", ["the tutorial's sizes", "narrow", "epanechnikov"])
@pytest.mark.parametrize("of", ["values", "w"])
def test_a_wrong_gradient_is_rejected_in_float64(of, probe, factor):
    def broken(queries, keys, values, *, kernel, w):
        values = Tilted.apply(values, factor) if of == "values" else values
        return nadaraya_watson(queries, keys, values, kernel=kernel, w=Tilted.apply(w, factor) if of == "w" else w)

    entry = dataclasses.replace(registry.get("pooling", "nadaraya-watson"), function=broken)
    assert gate(entry, PROBES[probe], dtype=torch.float64).passed
    found = gate(entry, PROBES[probe], dtype=torch.float64, direction="forward+backward")
    assert {check.name.split()[0] for check in found.checks if not check.passed} == {f"d{of}"}


@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "epanechnikov"])
def test_weights_sum_to_one_and_make_the_predictions(kernel):
    inputs = pooling.inputs(
        pooling.parse({"n_q": 100, "n_k": 50, "kernel": kernel}), dtype=torch.float64, device=CPU, seed=0
    )
    predictions, weights = nadaraya_watson(inputs.queries, inputs.keys, inputs.values, kernel=kernel)
    torch.testing.assert_close(weights.sum(-1), torch.ones(100, dtype=torch.float64))
    torch.testing.assert_close(weights @ inputs.values, predictions)


def test_average_pooling_is_a_flat_line_at_the_mean():
    y = torch.tensor([1.0, 2.0, 6.0])
    predictions, weights = average(torch.arange(4.0), torch.arange(3.0), y)
    assert predictions.tolist() == [3.0] * 4
    torch.testing.assert_close(weights, torch.full((4, 3), 1 / 3))


def test_a_query_without_a_key_in_reach_gives_zero():
    predictions, weights = nadaraya_watson(torch.tensor([5.0]), torch.zeros(3), torch.ones(3), kernel="boxcar")
    assert predictions.tolist() == [0.0]
    assert weights.tolist() == [[0.0] * 3]


@pytest.mark.filterwarnings("ignore:After 0.17:FutureWarning")
def test_statsmodels_gives_the_same_regression():
    from statsmodels.nonparametric.kernel_regression import KernelReg

    inputs = pooling.inputs(pooling.parse({"n_q": 40, "n_k": 50}), dtype=torch.float64, device=CPU, seed=3)
    # Its bandwidth divides distances as our w multiplies them; "lc" is the local constant, Nadaraya-Watson, estimator.
    witness = KernelReg(inputs.values.numpy(), inputs.keys.numpy(), var_type="c", reg_type="lc", bw=[0.5])
    expected, _ = witness.fit(inputs.queries.numpy())
    predictions, _ = nadaraya_watson(inputs.queries, inputs.keys, inputs.values, w=2.0)
    np.testing.assert_allclose(predictions.numpy(), expected, rtol=1e-10)


def test_leave_one_out_gives_each_point_all_others():
    assert leave_one_out(torch.tensor([1.0, 2.0, 3.0])).tolist() == [[2.0, 3.0], [1.0, 3.0], [1.0, 2.0]]


def test_the_batched_form_equals_the_plain_one():
    inputs = pooling.inputs(pooling.parse({"n_q": 30, "n_k": 20}), dtype=torch.float64, device=CPU, seed=0)
    tensors = (inputs.queries, inputs.keys, inputs.values)
    for ours, plain in zip(learned(*tensors, w=1.7), nadaraya_watson(*tensors, w=1.7), strict=True):
        torch.testing.assert_close(ours, plain)


def test_a_training_step_goes_down_the_slope_of_the_summed_loss():
    inputs = pooling.inputs(pooling.parse({"n_q": 1, "n_k": 50}), dtype=torch.float64, device=CPU, seed=0)
    x, y, step = inputs.keys, inputs.values, 1e-6
    slope = (summed_loss(0.7 + step, x, y) - summed_loss(0.7 - step, x, y)).item() / (2 * step)
    once = train(x, y, start=0.7, rate=1e-3, epochs=1)
    assert once.losses[0] == pytest.approx(summed_loss(0.7, x, y).item())
    assert once.scales[0] == pytest.approx(0.7 - 1e-3 * slope, rel=1e-6)
