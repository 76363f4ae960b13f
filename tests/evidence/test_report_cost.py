"""A report costs no more than in proportion to its cases: counted in function calls and bytes, not by a clock."""

from __future__ import annotations

import cProfile

import pytest

from reports.page.render import render
from tests.support import runs

# Each twice the one before, so that a quadratic part would make the second step four times the first, not twice.
SIZES = (200, 400, 800)
SLACK = 1.3


def calls_and_bytes(folder, cases):
    run = runs.make_run(folder / str(cases), sweeps=("batch",), failures=False, cases=cases)
    profile = cProfile.Profile()
    profile.enable()
    page = render([run], folder / f"{cases}.html")
    profile.disable()
    return sum(entry.callcount for entry in profile.getstats()), page.stat().st_size


def is_linear(costs):
    first, second, third = costs
    return third - second <= 2 * SLACK * (second - first)


@pytest.mark.slow
def test_twice_the_cases_add_twice_the_calls_and_bytes(tmp_path):
    render([runs.make_run(tmp_path / "warm", sweeps=("batch",), cases=100)], tmp_path / "warm.html")
    measured = [calls_and_bytes(tmp_path, cases) for cases in SIZES]
    for costs in zip(*measured, strict=True):
        assert is_linear(costs), costs


def test_a_quadratic_cost_would_be_seen():
    assert is_linear([5000 + 30 * cases for cases in SIZES])
    assert not is_linear([5000 + 30 * cases + 0.1 * cases**2 for cases in SIZES])
