"""Average pooling weighs all keys alike."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.pooling.average import average


def test_average_pooling_is_a_flat_line_at_the_mean():
    y = torch.tensor([1.0, 2.0, 6.0])
    predictions, weights = average(torch.arange(4.0), torch.arange(3.0), y)
    assert predictions.tolist() == [3.0] * 4
    torch.testing.assert_close(weights, torch.full((4, 3), 1 / 3))


def test_it_has_one_kernel_and_gets_every_point_with_it():
    entry = registry.get("pooling", "average")
    assert registry.parse(entry, {"n": 4, "kernel": "gaussian"}).kernel == "constant"
    with pytest.raises(NotImplementedError, match="average pooling has no kernel 'gaussian'"):
        average(torch.zeros(1), torch.zeros(1), torch.zeros(1), kernel="gaussian")


def test_it_has_nothing_to_train_and_its_results_are_in_the_dtype_of_the_values():
    assert registry.get("pooling", "average").limits_on("cpu").supports == frozenset()
    predictions, weights = average(torch.zeros(2), torch.zeros(3), torch.ones(3, dtype=torch.bfloat16))
    assert predictions.dtype == weights.dtype == torch.bfloat16
