"""Pooling with a learned scale: its batched form, its training data and its training step."""

from __future__ import annotations

import pytest
import torch

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
