"""Fixed part and slope of a linear law: found with honest intervals, and only where a line describes the costs."""

from __future__ import annotations

import numpy as np
import pytest

from harness.scaling.fixed_part import fixed_part

SIZES = [16, 32, 64, 128, 192, 256, 512, 768, 1024]


def test_a_fixed_part_and_a_slope_are_found():
    found = fixed_part(SIZES, [70e-6 + 2e-6 * d for d in SIZES], exponent=1.0)
    assert found.fits
    assert (found.at, found.share) == (192, pytest.approx(70 / (70 + 384)))
    assert found.slope == pytest.approx(2e-6)
    assert found.share_low < found.share < found.share_high


def test_the_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    truth, held = 70 / (70 + 384), []
    for _ in range(400):
        costs = (70e-6 + 2e-6 * np.array(SIZES)) * np.exp(rng.normal(0, 0.04, len(SIZES)))
        found = fixed_part(SIZES, costs, exponent=1.0)
        held.append((found.share_low <= truth <= found.share_high, found.slope_low <= 2e-6 <= found.slope_high))
    assert (np.mean(held, axis=0) >= 0.92).all()


def test_another_law_is_no_line():
    assert not fixed_part(SIZES, [1e-9 * d**2 + 1e-7 for d in SIZES], exponent=1.0).fits
    assert fixed_part(SIZES, [1.0 / d for d in SIZES], exponent=1.0) is None
    assert fixed_part(SIZES[:3], [1.0, 2.0, 3.0], exponent=1.0) is None
