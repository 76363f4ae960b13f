"""A law is one curve wherever it is asked: floor, power and step, in the unit of the costs."""

from __future__ import annotations

import numpy as np
import pytest

from harness.scaling.law import Law, Step, costs, rise

PLAIN = Law(first=64, last=4096, sizes=13, exponent=2.0, floor=3e-6, slope=1e-6, residual=0.01)


def test_the_slope_is_the_powers_cost_at_the_smallest_size():
    assert costs(PLAIN, [64]) == pytest.approx([4e-6])
    assert costs(PLAIN, [640]) == pytest.approx([3e-6 + 100e-6])


def test_sizes_outside_of_those_fitted_have_costs_too():
    assert costs(PLAIN, np.array([32, 8192])) == pytest.approx([3.25e-6, 3e-6 + 128**2 * 1e-6])


def test_the_share_of_the_floor_is_taken_at_the_smallest_size():
    assert PLAIN.floor_share == pytest.approx(0.75)
    assert PLAIN.model_copy(update={"floor": 0.0}).floor_share == 0.0


def test_a_step_makes_the_power_dearer_and_not_the_floor():
    stepped = PLAIN.model_copy(update={"step": Step(at=512, height=3.0, octaves=0.5)})
    work = (costs(stepped, [64, 512, 4096]) - 3e-6) / (costs(PLAIN, [64, 512, 4096]) - 3e-6)
    # Half of the rise is reached at the place of the step; three octaves away nothing is left of it.
    assert work == pytest.approx([1.0, 2.0, 3.0], rel=1e-4)


def test_a_step_rises_within_its_octaves():
    octaves = np.array([9.0 - 0.5, 9.0, 9.0 + 0.5])
    sharp, soft = (rise(octaves, place=9.0, height=2.0, octaves=width) for width in (0.1, 1.0))
    assert sharp == pytest.approx([1.0, 1.5, 2.0], abs=1e-3)
    assert soft == pytest.approx([1.0 + 1 / (1 + np.e), 1.5, 2.0 - 1 / (1 + np.e)])


def test_no_rise_is_no_factor():
    assert rise(np.arange(5.0), place=2.0, height=1.0, octaves=0.5) == pytest.approx([1.0] * 5)


def test_a_law_survives_its_file():
    stepped = PLAIN.model_copy(update={"step": Step(at=512, height=3.0, octaves=0.5)})
    assert Law.model_validate_json(stepped.model_dump_json()) == stepped
