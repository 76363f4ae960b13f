"""Pooling with a learned scale: its batched form, its training data and its training step."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.pooling import problem as pooling
from impls.pooling.learned import learned, leave_one_out, summed_loss, train
from impls.pooling.nadaraya_watson import nadaraya_watson
from tests.support.pools import CPU


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


def test_each_query_may_have_keys_and_values_of_its_own():
    x, keys = torch.tensor([0.0, 1.0]), torch.tensor([[0.0, 2.0], [1.0, 5.0]])
    values = torch.tensor([[1.0, 3.0], [7.0, 8.0]])
    predictions, weights = learned(x, keys, values, w=1.0)
    for row in range(2):
        expected = nadaraya_watson(x[row : row + 1], keys[row], values[row])
        torch.testing.assert_close(predictions[row : row + 1], expected[0])
        torch.testing.assert_close(weights[row : row + 1], expected[1])


def test_only_the_gaussian_kernel_is_learned():
    with pytest.raises(NotImplementedError, match="learned pooling has no kernel 'boxcar'"):
        learned(torch.zeros(1), torch.zeros(1), torch.zeros(1), w=1.0, kernel="boxcar")
    entry = registry.get("pooling", "learned")
    assert registry.parse(entry, {"n": 4, "kernel": "boxcar"}).kernel == "gaussian"
    assert entry.limits_on("cpu").expects.names == ("bmm",)


def test_training_notes_the_loss_before_each_step_and_the_scale_after_it():
    inputs = pooling.inputs(pooling.parse({"n_q": 1, "n_k": 20}), dtype=torch.float64, device=CPU, seed=0)
    x, y = inputs.keys, inputs.values
    course = train(x, y, start=1.0, rate=1e-3, epochs=3)
    assert len(course.losses) == len(course.scales) == 3
    for scale, loss in zip((1.0, *course.scales), course.losses, strict=False):
        assert loss == pytest.approx(summed_loss(scale, x, y).item())
    assert course.losses[0] > course.losses[1] > course.losses[2]


def test_the_loss_is_of_predictions_from_the_others_alone():
    x, y = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 5.0])
    # Of two points each is predicted by the other, whatever the scale.
    for w in (0.1, 3.0):
        assert summed_loss(w, x, y).item() == pytest.approx(18.0)


def test_training_is_that_of_pytorch_s_plain_descent_to_the_bit():
    inputs = pooling.inputs(pooling.parse({"n_q": 1, "n_k": 20}), dtype=torch.float32, device=CPU, seed=0)
    x, y = inputs.keys, inputs.values
    w = torch.tensor(1.0, requires_grad=True)
    descent, scales = torch.optim.SGD([w], lr=0.5), []
    for _ in range(20):
        descent.zero_grad()
        summed_loss(w, x, y).backward()
        descent.step()
        scales.append(w.item())
    assert train(x, y, start=1.0, rate=0.5, epochs=20).scales == tuple(scales)
