"""All axes at once, and the terms of an additive law: described with intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from harness.scaling.descriptive import additive_fit, joint_fit

SIZES = np.array([64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096], dtype=float)


def test_the_joint_fit_finds_every_exponent_of_a_grid():
    generator = np.random.default_rng(5)
    base = {"n": 512.0, "d": 64.0, "heads": 4.0, "batch": 1.0}
    grid = [base | {"n": float(n)} for n in SIZES]
    grid += [base | {"d": float(d)} for d in (16, 32, 128, 256)]
    grid += [base | {"heads": float(h)} for h in (1, 2, 8, 16)] + [base | {"batch": float(b)} for b in (2, 4, 8)]
    costs = [
        (1e-5 + 1e-11 * p["n"] ** 2 * p["d"] * p["heads"] * p["batch"]) * np.exp(generator.normal(0, 0.03))
        for p in grid
    ]
    fit = joint_fit(grid, costs, axes=("n", "d", "heads", "batch"))
    for axis, truth in {"n": 2.0, "d": 1.0, "heads": 1.0, "batch": 1.0}.items():
        assert fit.exponents[axis].low <= truth <= fit.exponents[axis].high
        assert fit.exponents[axis].high - fit.exponents[axis].low <= 0.3


def test_a_joint_fit_without_enough_points_is_none():
    assert joint_fit([{"n": 1.0}, {"n": 2.0}], [1.0, 2.0], axes=("n",)) is None


def test_the_terms_of_an_additive_law_are_told_apart():
    generator = np.random.default_rng(7)
    terms = [{"n": 1, "width": 2}, {"n": 2, "width": 1}]
    points = [{"n": float(n), "width": float(width)} for n in SIZES for width in (64, 256)]
    truth = np.array([1e-4 + 3e-11 * p["n"] * p["width"] ** 2 + 5e-11 * p["n"] ** 2 * p["width"] for p in points])
    fits = [
        additive_fit(points, truth * np.exp(generator.normal(0, 0.02, len(points))), terms=terms) for _ in range(40)
    ]
    for index, coefficient in enumerate((3e-11, 5e-11)):
        covered = [fit.intervals[index][0] <= coefficient <= fit.intervals[index][1] for fit in fits]
        assert np.mean(covered) >= 0.85  # 95 % less three binomial deviations of 40
        assert all(fit.intervals[index][1] / fit.intervals[index][0] < 1.2 for fit in fits)
    assert max(abs(fit.held_out) for fit in fits) <= 0.1
    assert additive_fit(points[:4], truth[:4], terms=terms) is None


def test_an_absent_term_gets_nothing():
    points = [{"n": float(n)} for n in SIZES]
    fit = additive_fit(points, 1e-9 * SIZES**2, terms=[{"n": 1}, {"n": 2}])
    assert fit.coefficients == pytest.approx([0.0, 1e-9], rel=1e-3, abs=1e-13)
