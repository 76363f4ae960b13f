"""Counts have exact degrees, and bytes tell n from n^2 whatever the spacing of sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scaling.exact import degree, memory_law, score_buffers

SIZES = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=4), st.integers(1, 64))
def test_the_degree_of_any_polynomial_is_found(coefficients, step):
    values = [sum(c * (step * i) ** power for power, c in enumerate(coefficients)) for i in range(2, 9)]
    expected = max((power for power, c in enumerate(coefficients) if c), default=-1)
    assert degree(values) == expected


def test_what_is_no_polynomial_has_no_degree():
    assert degree([2**i for i in range(7)]) is None
    assert degree([1, 4, 9, 16, 25, 37]) is None


def test_two_values_show_nothing():
    assert degree([1, 4]) is None


@pytest.mark.parametrize("buffers", [1.0, 2.0, 2.25])
def test_materialised_scores_are_quadratic_and_their_buffers_counted(buffers):
    extra = [int(buffers * 8 * 4 * n * n + 8 * 64 * 4 * n + 512) for n in SIZES]
    law = memory_law(SIZES, extra)
    assert law.degree == 2
    assert score_buffers(law, score_elements_per_square=8, itemsize=4) == pytest.approx(buffers)
    assert law.over_line > 1.3


def test_blocks_that_make_linear_memory_step_do_not_make_it_quadratic():
    # Measured of a fused CPU kernel at 256..4096, in KiB: workspaces grow in steps.
    law = memory_law([256, 512, 1024, 2048, 4096], [420, 809, 2191, 3236, 5315])
    assert law.degree == 1
    assert law.over_line < 1.0


def test_steps_beside_a_square_do_not_hide_it():
    # Measured of a fused CPU kernel that is handed a mask, n_q = n / 2, at 128..2048.
    sizes = [128, 256, 512, 1024, 2048]
    law = memory_law(sizes, [66304, 206080, 805376, 2773504, 11085824])
    assert (law.degree, law.spread > 0.1) == (2, True)
    assert law.coefficient == pytest.approx(2.5, rel=0.15)


@pytest.mark.parametrize("power", [1.8, 2.2, 3])
@pytest.mark.parametrize("sizes", [SIZES, [256, 512, 1024, 2048, 4096]])
def test_what_grows_otherwise_is_no_square(power, sizes):
    assert memory_law(sizes, [int(1000 * n**power) for n in sizes]).degree is None


def test_an_online_softmax_is_linear_beyond_its_block():
    extra = [4 * 8 * (n * min(n, 128) + 200 * n) for n in SIZES]
    assert memory_law(SIZES, extra).degree == 1


def test_a_power_between_is_neither():
    assert memory_law(SIZES, [int(1000 * n**1.5) for n in SIZES]).degree is None


def test_constant_memory_has_degree_zero():
    assert memory_law(SIZES, [4096] * len(SIZES)).degree == 0
    assert memory_law(SIZES, [0] * len(SIZES)).degree == 0


def test_three_sizes_have_no_law():
    assert memory_law([1, 2, 3], [1, 2, 3]) is None
