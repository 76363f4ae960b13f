"""A call is bound by what is nearest to the time that it takes: arithmetic, bandwidth, launches, or none of them."""

from __future__ import annotations

import pytest

from harness.runner.profiling.bounds import bound
from tests.support.profiles import CEILINGS, case_profile, part


def test_arithmetic_is_nearest():
    found = bound(case_profile(), CEILINGS)
    assert found.by == "arithmetic"
    assert found.arithmetic_seconds == pytest.approx(8e-4)
    # Each of 500,000 bytes that are allocated is written and read.
    assert found.moved_bytes == 2_000_000
    assert found.moving_seconds == pytest.approx(2e-4)


def test_bandwidth_is_nearest():
    assert bound(case_profile(ideal_bytes=9_000_000, operations=1000), CEILINGS).by == "bandwidth"


def test_far_from_both_nothing_is_said_to_bound_it():
    assert bound(case_profile(call_seconds=1e-2, profiled_seconds=1e-2), CEILINGS).by == "neither"
    assert bound(case_profile(), []).by == "neither"
    assert bound(case_profile(), []).arithmetic_seconds is None


@pytest.mark.parametrize(
    "launching", [part("outside of operators", 6e-4, kind="outside"), part("aten::mm", 6e-4, count=100)]
)
def test_short_operators_and_the_time_outside_of_them_are_launches(launching):
    parts = [launching, part("aten::bmm", 4e-4)]
    found = bound(case_profile(parts=parts), CEILINGS)
    assert found.by == "launches"
    assert found.launching_seconds == pytest.approx(6e-4)


def test_short_kernels_are_work():
    assert bound(case_profile(parts=[part("gemm", 1e-3, kind="kernel", count=500)]), CEILINGS).by == "arithmetic"
