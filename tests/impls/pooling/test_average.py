"""Average pooling weighs all keys alike."""

from __future__ import annotations

import torch

from impls.pooling.average import average


def test_average_pooling_is_a_flat_line_at_the_mean():
    y = torch.tensor([1.0, 2.0, 6.0])
    predictions, weights = average(torch.arange(4.0), torch.arange(3.0), y)
    assert predictions.tolist() == [3.0] * 4
    torch.testing.assert_close(weights, torch.full((4, 3), 1 / 3))
