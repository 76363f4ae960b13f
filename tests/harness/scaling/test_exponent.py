"""The exponent's interval holds the truth, and neither a block of data sets nor a transition changes what is found."""

from __future__ import annotations

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.scaling import exponent
from harness.scaling.exponent import (
    candidate_steps,
    exponent_profile,
    f_quantile,
    fit_shapes,
    mixed_profile,
    non_negative,
)

SIZES = np.array([64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096], dtype=float)
POLICY = ScalingPolicy()


@pytest.mark.parametrize("power", [0.75, 1.0, 1.5, 2.0, 3.0])
def test_an_exact_power_is_the_best_fit_inside_a_narrow_interval(power):
    found = exponent_profile(SIZES, (5e-6 + 1e-6 * (SIZES / 64) ** power)[None], claimed=power, policy=POLICY)
    assert found.best[0] == pytest.approx(power, abs=POLICY.exponent_step / 2)
    assert power - 0.1 < found.low[0] <= power <= found.high[0] < power + 0.1
    assert found.residual[0] == pytest.approx(0.0, abs=1e-6)


def test_the_fit_has_its_parts_in_the_unit_of_the_costs():
    found = exponent_profile(SIZES, (3e-6 + 1e-6 * (SIZES / 64) ** 2)[None], policy=POLICY)
    assert found.floor[0] == pytest.approx(3e-6)
    assert found.slope[0] == pytest.approx(1e-6)
    assert found.floor_share[0, 0] == pytest.approx(0.75)
    assert found.floor_share[0, -1] == pytest.approx(3 / (3 + 64**2))
    assert found.height[0] == 1.0  # no transition


def test_the_grid_leaves_room_above_a_high_claim():
    found = exponent_profile(SIZES, (SIZES**5)[None] * 1e-12, claimed=5.0, policy=POLICY)
    assert POLICY.exponent_high < 5.0 <= found.high[0] <= 6.5
    assert exponent_profile(SIZES, (SIZES**5)[None] * 1e-12, policy=POLICY).high[0] <= POLICY.exponent_high


def test_noise_widens_the_interval():
    generator = np.random.default_rng(2)
    noise = generator.normal(0, 1, len(SIZES))
    costs = np.stack([SIZES**2 * np.exp(scale * noise) for scale in (0.01, 0.03, 0.1)])
    found = exponent_profile(SIZES, costs, policy=POLICY)
    widths = found.high - found.low
    assert widths[0] < widths[1] < widths[2]
    assert (found.low <= 2.0).all()
    assert (found.high >= 2.0).all()


def test_data_sets_in_blocks_are_judged_as_all_at_once(monkeypatch):
    costs = np.stack([SIZES**power for power in (1.0, 1.5, 2.0, 2.5)])
    whole = exponent_profile(SIZES, costs, policy=POLICY), mixed_profile(SIZES, costs, claimed=2.0, policy=POLICY)
    monkeypatch.setattr(exponent, "BLOCK_ELEMENTS", 1)
    parts = exponent_profile(SIZES, costs, policy=POLICY), mixed_profile(SIZES, costs, claimed=2.0, policy=POLICY)
    for one, other in zip(whole, parts, strict=True):
        for name, array in vars(one).items():
            assert getattr(other, name) == pytest.approx(array, rel=1e-6, abs=1e-12), name


def test_neither_floor_nor_slope_is_negative():
    shape = (SIZES / 64)[None]
    falling = (2.0 - 0.01 * SIZES / 64)[None]  # a falling cost has no power term that grows
    below = (np.maximum(SIZES / 64 - 0.9, 0.05))[None]  # a negative fixed part
    for costs in (falling, below):
        _, floor, slope = fit_shapes(costs, shape)
        assert floor[0, 0] >= 0.0
        assert slope[0, 0] > 0.0


def test_a_shape_that_is_constant_is_no_second_floor():
    rss, floor, slope = fit_shapes(np.full((1, 5), 7.0), np.ones((1, 5)))
    assert (floor[0, 0], slope[0, 0], rss[0, 0]) == pytest.approx((0.0, 7.0, 0.0))


def test_candidates_begin_with_no_transition_and_cover_every_height_and_place():
    curves, heights, places = candidate_steps(SIZES, heights=(1.5, 3.0), places=4, policy=POLICY)
    assert curves.shape == (1 + 2 * 4, len(SIZES))
    assert curves[0] == pytest.approx(np.ones(len(SIZES)))
    assert sorted(set(heights[1:])) == [1.5, 3.0]
    assert np.log2(SIZES[0]) < places[1:].min() < places[1:].max() < np.log2(SIZES[-1])
    assert (np.diff(curves, axis=1) >= 0.0).all()


@pytest.mark.parametrize(
    ("terms", "expected"),
    [((3.0, 2.0, 1.0), (3.0, 2.0, 1.0)), ((0.0, 2.0, 1.0), (0.0, 2.0, 1.0)), ((3.0, 0.0, 1.0), (3.0, 0.0, 1.0))],
)
def test_terms_are_solved_and_absent_ones_are_zero(terms, expected):
    x = SIZES / SIZES[0]
    design = np.stack([np.ones_like(x), x, x**2], axis=-1)
    cost = design @ np.array(terms)
    assert non_negative((design / cost[:, None])[None])[0] == pytest.approx(expected, abs=1e-4)


def test_what_would_need_a_negative_term_has_none():
    x = SIZES / SIZES[0]
    cost = x**2 + 2.0 * x - 2.5
    design = np.stack([np.ones_like(x), x, x**2], axis=-1)
    assert (non_negative((design / cost[:, None])[None]) >= 0.0).all()


def test_a_lower_term_that_suffices_is_told_and_the_share_of_the_claimed_one():
    linear = mixed_profile(SIZES, (1.0 + SIZES)[None], claimed=2.0, policy=POLICY)
    assert linear.lower_suffices[0]
    both = mixed_profile(SIZES, (1000.0 * SIZES + SIZES**2)[None], claimed=2.0, policy=POLICY)
    assert not both.lower_suffices[0]
    assert both.low[0] <= 2.0 <= both.high[0]
    square = mixed_profile(SIZES, (SIZES**2)[None], claimed=2.0, policy=POLICY)
    assert both.share[0] < square.share[0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("freedom", "student"), [(1, 12.706), (5, 2.571), (10, 2.228), (30, 2.042)])
def test_the_quantile_of_f_is_students_squared(freedom, student):
    """Two-sided 95 % quantiles of Student's t, from any table."""
    assert f_quantile(freedom, 0.95) == pytest.approx(student**2, rel=1e-3)


def test_an_interval_ends_between_the_exponents_of_the_grid():
    exponents, misfit = np.array([1.0, 2.0, 3.0]), np.array([[0.0, 0.5, 4.5], [0.0, 0.5, 1.0], [9.0, 0.5, 9.0]])
    found = exponent._last_kept(misfit, exponents, np.array([1.5, 1.5, 0.1]))
    # A quarter of the way out; at the end of the grid; at the best where none is allowed.
    assert found == pytest.approx([2.25, 3.0, 2.0])
