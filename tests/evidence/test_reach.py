"""How far memory reaches is predicted within a tenth of what runs under an allocation cap."""

from __future__ import annotations

import pytest

from harness.instruments.memory import STATUS
from tests.evidence.reach import ALLOWED, STEP, Reach, largest, predicted_reach, runs

needs_linux = pytest.mark.skipif(not STATUS.exists(), reason="needs Linux, which says what a process holds")
# A block longer than n is clipped; a row of loop's output is a tensor with objects of its own.
CAPS = {"batched": 16 * 2**20, "online:block=512": 16 * 2**20, "loop": 32 * 2**20}


@pytest.fixture(scope="module")
def around():
    """Tell for each name whether a tenth less than is predicted runs, and a tenth more."""
    sizes = {name: predicted_reach(name, cap=cap) for name, cap in CAPS.items()}
    bounds = [(name, int(n / by), CAPS[name]) for name, n in sizes.items() for by in (1 + ALLOWED, 1 - ALLOWED)]
    found = runs(bounds)
    return dict(zip(CAPS, zip(found[::2], found[1::2], strict=True), strict=True))


@needs_linux
@pytest.mark.parametrize("name", CAPS)
def test_what_is_predicted_is_what_runs(around, name):
    assert around[name] == (True, False)


@pytest.mark.parametrize("reaches", [500, 777, 999, 1500, 1999])
def test_the_largest_that_runs_is_found_to_a_step(reaches):
    asked = []

    def fits(n):
        asked.append(n)
        return n <= reaches

    assert reaches - 1000 * STEP < largest(fits, near=1000) <= reaches
    assert len(asked) < 8


def test_a_prediction_that_is_too_far_is_told():
    assert Reach("a", 120, 100).error == pytest.approx(0.2)
    assert Reach("a", 80, 100).error == pytest.approx(-0.2)
