"""What a profile says of a call's memory."""

from __future__ import annotations

from tests.support.profiles import case_profile


def test_the_peak_is_the_most_that_was_held_at_once():
    assert case_profile().peak_bytes == 500_000
    assert case_profile(held=[]).peak_bytes == 0
