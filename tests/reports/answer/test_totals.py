"""A total is told with the calls it holds for, and a saving with its interval."""

from __future__ import annotations

from dataclasses import replace

from harness.results.pairs.totals import Total
from reports import units
from reports.answer.totals import saving

TOTAL = Total(
    scenario="mine",
    implementation="sdpa-flash",
    timed=10,
    calls=13,
    seconds=0.01,
    low=None,
    high=None,
    saved=0.25,
    saved_low=0.2,
    saved_high=0.3,
)


def test_a_saving_is_told_with_its_interval_and_its_absence_as_such():
    assert saving(TOTAL) == "25 % (20 % to 30 %)"
    assert saving(replace(TOTAL, saved=-0.5, saved_low=-0.6, saved_high=-0.4)) == "-50 % (-60 % to -40 %)"
    assert saving(replace(TOTAL, saved=None)) == units.ABSENT
    assert saving(replace(TOTAL, saved=0.0, saved_low=0.0, saved_high=0.0)) == "nothing"
