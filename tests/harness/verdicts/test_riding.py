"""A column rides on the sizes where it follows from them in whole numbers, and nowhere else."""

from __future__ import annotations

import pytest

from harness.verdicts.riding import Ride, find_ride

SIZES = [64, 128, 256, 512]


def test_a_budget_over_the_size_falls():
    assert find_ride("batch", [256, 128, 64, 32], SIZES, x="n") == Ride("batch", "batch = 16384 / n", falls=True)


def test_a_budget_is_rounded_down_and_never_below_one():
    sizes = [100, 300, 700, 20_000]
    assert find_ride("batch", [100, 33, 14, 1], sizes, x="n").law == "batch = 10000 / n"
    assert find_ride("batch", [100, 34, 14, 1], sizes, x="n") is None


@pytest.mark.parametrize(("values", "law"), [([128, 256, 512, 1024], "heads = 2 n"), ([1, 2, 4, 8], "heads = n / 64")])
def test_another_axis_grows_along(values, law):
    assert find_ride("heads", values, SIZES, x="n") == Ride("heads", law, falls=False)


def test_samples_of_one_size_ride_once():
    found = find_ride("batch", [256, 256, 128, 128, 64], [64, 64, 128, 128, 256], x="n")
    assert found.law == "batch = 16384 / n"


@pytest.mark.parametrize(
    "values",
    [
        SIZES,  # the same length under another name
        [8, 8, 8, 8],
        [256, 128, 64, None],
        [256.5, 128.25, 64.1, 32.1],
        [-256, -128, -64, -32],
        [0, 1, 2, 4],
        [7, 1, 12, 3],
        [2.0**60, 2.0**59, 2.0**58, 2.0**57],
    ],
)
def test_other_columns_ride_on_nothing(values):
    assert find_ride("c", values, SIZES, x="n") is None


def test_a_size_with_two_values_rides_on_nothing():
    assert find_ride("batch", [256, 255, 128, 64], [64, 64, 128, 256], x="n") is None


def test_two_sizes_make_nothing_ride():
    assert find_ride("batch", [256, 128], SIZES[:2], x="n") is None


def test_a_range_beyond_floats_rides_on_nothing():
    assert find_ride("batch", [1e13, 1e7, 1], [1.0, 1e6, 1e13], x="n") is None
    assert find_ride("batch", [1e13, 1e6, 1], [1e-7, 1.0, 1e6], x="n") is None
    assert find_ride("batch", [1e11, 1e6, 1], [1e-5, 1.0, 1e6], x="n").law == "batch = 1e+06 / n"
