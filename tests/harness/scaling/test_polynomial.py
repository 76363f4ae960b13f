"""Counts and bytes are judged as exact from five sizes on, times never."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scaling.polynomial import polynomial

# damek/cs336-assignment2-systems, attention at batch 8, one head, float32, d = 16.
LENGTHS = [256, 1024, 4096, 8192, 16384]
SAVED = ["4.02344", "64.0938", "1024.38", "4096.75", "16385.5"]
FORWARD = ["0.245064", "0.365331", "4.09638", "16.3921", "64.5354"]


def fitted(sizes, texts, **options):
    numbers = [Decimal(text) for text in texts]
    steps = [Fraction(Decimal((0, (1,), number.as_tuple().exponent))) for number in numbers]
    return polynomial([Fraction(size) for size in sizes], [Fraction(number) for number in numbers], steps, **options)


def test_saved_memory_of_five_lengths_is_two_score_buffers_to_the_last_digit():
    found = fitted(LENGTHS, SAVED)
    assert found is not None
    assert found.degree == 2
    # 64 n^2 + 96 n bytes, in MiB.
    assert found.coefficients[2] * 2**20 == pytest.approx(64, rel=1e-4)
    assert found.coefficients[1] * 2**20 == pytest.approx(96, rel=1e-2)
    assert found.formula("n") == "6.10352e-05 n^2 + 9.15561e-05 n"
    assert found.share > 0.999


def test_measured_times_are_not_exact():
    assert fitted(LENGTHS, FORWARD) is None
    generator = np.random.default_rng(0)
    for seed in range(200):
        noisy = [f"{2e-9 * n * n * float(np.exp(generator.normal(0, 0.005))):.6g}" for n in LENGTHS]
        assert fitted(LENGTHS, noisy) is None, seed


def test_coarse_numbers_are_exact_only_where_asked():
    # A square, rounded to milliseconds: noise could hide behind the last digit.
    coarse = ["1", "4", "16", "64", "256"]
    assert fitted([1, 2, 4, 8, 16], coarse) is None
    found = fitted([1, 2, 4, 8, 16], coarse, is_asked=True)
    assert found is not None
    assert found.formula("n") == "1 n^2"


def test_four_sizes_and_high_degrees_are_not_exact():
    assert fitted(LENGTHS[:4], SAVED[:4]) is None
    assert fitted([1, 2, 3, 4, 5], [str(n**3) for n in range(1, 6)], is_asked=True) is None
    assert fitted(LENGTHS, ["0", "0", "0", "0", "0"], is_asked=True) is None


@given(
    st.lists(st.integers(min_value=1, max_value=10**6), min_size=7, max_size=12, unique=True),
    st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=4).filter(lambda terms: terms[-1] > 0),
)
def test_any_polynomial_of_whole_numbers_is_found(sizes, terms):
    costs = [sum(term * size**power for power, term in enumerate(terms)) for size in sizes]
    if min(costs) <= 0:
        return
    found = fitted(sizes, [str(cost) for cost in costs], is_asked=True)
    assert found is not None
    assert found.coefficients == tuple(float(term) for term in terms)


@given(
    st.lists(st.integers(min_value=1, max_value=10**6), min_size=7, max_size=12, unique=True),
    st.integers(min_value=0, max_value=6),
)
def test_one_wrong_cost_is_no_polynomial(sizes, place):
    costs = [10**6 + 3 * size**2 for size in sizes]
    costs[place] += 10**5
    assert fitted(sizes, [str(cost) for cost in costs], is_asked=True) is None
