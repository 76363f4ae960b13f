"""Kernel regression: weights that sum to one, and what another package predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impls.pooling import problem as pooling
from impls.pooling.nadaraya_watson import nadaraya_watson
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
