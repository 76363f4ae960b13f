"""What a call holds is drawn over its time, with its most in words; a call that allocates nothing has no drawing."""

from __future__ import annotations

import re

from reports.figures import held
from tests.support.profiles import case_profile


def test_the_most_and_when_it_was_are_told_and_each_change_is_a_row():
    figure = held.held(case_profile())
    assert figure.finding == (
        "Its allocations hold at most 488 KiB, 100 µs after it began, and 100 B at its end; "
        "they come to 488 KiB in all."
    )
    ticks = re.findall(r">([\d.]+ KiB)<", figure.svg)
    assert ticks == ["128 KiB", "256 KiB", "384 KiB", "512 KiB"]
    assert figure.rows == (("0.000000000", "0"), ("0.000100000", "500000"), ("0.000900000", "100"))
    assert "time since the call began" in figure.svg
    assert "var(--c" in figure.svg


def test_a_call_that_allocates_nothing_has_no_drawing():
    assert held.held(case_profile(allocated_bytes=0)) is None
    assert held.held(case_profile(held=[])) is None
