"""How far memory reaches is predicted within a tenth of what runs under an allocation cap."""

from __future__ import annotations

import pytest

from harness.instruments.memory import STATUS
from tests.evidence.reach import ALLOWED, Reach, reach_of

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="needs Linux, which says what a process holds")


# A block longer than n is clipped; a row of loop's output is a tensor with objects of its own.
@pytest.mark.parametrize(("name", "mebibytes"), [("batched", 16), ("online:block=512", 16), ("loop", 32)])
def test_what_is_predicted_is_what_runs(name, mebibytes):
    found = reach_of(name, cap=mebibytes * 2**20)
    assert abs(found.error) <= ALLOWED, found


def test_a_prediction_that_is_too_far_is_told():
    assert Reach("a", 120, 100).error == pytest.approx(0.2)
    assert Reach("a", 80, 100).error == pytest.approx(-0.2)
