"""Of several honest forms the worst counts, element by element, and drawn errors are the same each time."""

from __future__ import annotations

import math

import torch

from impls.numerics.forms import drawn, farther, has_reference


def test_the_farthest_form_is_taken_element_by_element_and_none_that_overflowed():
    oracle = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64)
    found = farther(oracle, torch.tensor([1.5, 1.0, math.inf]), torch.tensor([1.0, 0.0, 1.25]))
    assert found.tolist() == [1.5, 0.0, 1.25]
    assert found.dtype == torch.float64


def test_drawn_errors_have_their_deviation_and_repeat():
    deviation = torch.full((4000,), 3.0, dtype=torch.float64)
    assert torch.equal(drawn(deviation), drawn(deviation))
    assert 2.8 < float(drawn(deviation).std()) < 3.2
    assert drawn(deviation * 0).abs().max() == 0


def test_a_plain_form_tells_nothing_in_float64():
    assert not has_reference(torch.float64)
    assert has_reference(torch.float32)
