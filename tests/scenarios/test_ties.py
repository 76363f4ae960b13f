"""A size that follows another is read in three forms, and is absent where it would not be whole."""

from __future__ import annotations

import pytest

from scenarios.ties import Tie, parse_tie, read_tie


@pytest.mark.parametrize(
    ("expression", "axis", "tie", "sizes"),
    [
        ("256 / heads", "heads", Tie(256, "/"), {4: 64, 3: None}),
        ("4*n_q", "n_q", Tie(4, "*"), {3: 12}),
        ("n/2", "n", Tie(2, "by"), {8: 4, 7: None}),
    ],
)
def test_a_tie_is_read_and_followed(expression, axis, tie, sizes):
    assert read_tie(expression) == (axis, tie)
    assert {size: tie.of(size) for size in sizes} == sizes


@pytest.mark.parametrize("value", ["rows", "n", "n / n", "2 / 2", "n / 0", "n - 1", 3, None, True])
def test_what_is_no_tie_is_none(value):
    assert read_tie(value) is None


def test_a_tie_to_another_axis_shows_the_forms():
    with pytest.raises(ValueError, match=r"tie of 'd' must read 'NUMBER / heads'.*not 'n / 2'"):
        parse_tie("n / 2", of="heads", follower="d")
