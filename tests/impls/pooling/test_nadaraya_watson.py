"""Kernel regression: weights that sum to one, and what another package predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impls.pooling import problem as pooling
from impls.pooling.average import average
from impls.pooling.nadaraya_watson import KERNELS, nadaraya_watson
from tests.support.pools import CPU


@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "epanechnikov"])
def test_weights_sum_to_one_and_make_the_predictions(kernel):
    inputs = pooling.inputs(
        pooling.parse({"n_q": 100, "n_k": 50, "kernel": kernel}), dtype=torch.float64, device=CPU, seed=0
    )
    predictions, weights = nadaraya_watson(inputs.queries, inputs.keys, inputs.values, kernel=kernel)
    torch.testing.assert_close(weights.sum(-1), torch.ones(100, dtype=torch.float64))
    torch.testing.assert_close(weights @ inputs.values, predictions)


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


def test_kernels_are_those_that_a_point_may_name():
    assert tuple(KERNELS) == pooling.KERNELS


@pytest.mark.parametrize(
    ("kernel", "heights"),
    [
        ("gaussian", [1.0, np.exp(-0.125), np.exp(-0.5), np.exp(-2.0)]),
        ("boxcar", [1.0, 1.0, 1.0, 0.0]),
        ("epanechnikov", [1.0, 0.75, 0.0, 0.0]),
        ("constant", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_a_kernel_weighs_keys_by_their_distance_alone(kernel, heights):
    keys = torch.tensor([0.0, 0.5, 1.0, -2.0], dtype=torch.float64)
    _, weights = nadaraya_watson(torch.zeros(1, dtype=torch.float64), keys, keys, kernel=kernel)
    np.testing.assert_allclose(weights[0].numpy(), np.array(heights) / sum(heights), rtol=1e-12)


def test_a_larger_scale_narrows_the_kernel_down_to_the_nearest_key():
    x, keys, values = torch.tensor([0.2]), torch.tensor([0.0, 1.0, 2.0]), torch.tensor([5.0, 7.0, 9.0])
    predictions = [nadaraya_watson(x, keys, values, w=w)[0].item() for w in (0.0, 1.0, 3.0, 100.0)]
    assert predictions == sorted(predictions, reverse=True)
    assert predictions[0] == pytest.approx(7.0)
    assert predictions[-1] == pytest.approx(5.0)


def test_the_constant_kernel_is_average_pooling():
    tensors = torch.arange(4.0), torch.arange(3.0), torch.tensor([1.0, 2.0, 6.0])
    for ours, theirs in zip(nadaraya_watson(*tensors, kernel="constant"), average(*tensors), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_distances_whose_heights_underflow_still_have_weights_that_sum_to_one():
    _, weights = nadaraya_watson(torch.tensor([1000.0]), torch.arange(3.0), torch.zeros(3))
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights.argmax().item() == 2
