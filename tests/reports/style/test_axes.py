"""Drawings share one language: colours that stay, ticks that can be read, SVG that follows the page."""

from __future__ import annotations

import itertools

import pytest

from reports import style
from reports.style import axes


def test_few_enough_values_are_kept_the_last_among_them():
    assert axes.thinned([1, 2, 3, 4, 5, 6, 7, 8], at_most=4) == [2, 4, 6, 8]


@pytest.mark.parametrize(("low", "high"), [(1e-6, 3e-6), (1e-6, 1e-3), (1e-9, 1e9), (5.0, 5.0)])
def test_an_axis_has_at_least_one_and_at_most_seven_ticks(low, high):
    _, panel = style.canvas()
    style.quantity_axis(panel.yaxis, [low, high], str, label="seconds")
    assert 1 <= len(panel.get_yticks()) <= axes.TICKS_AT_MOST


def test_names_beside_lines_are_moved_apart():
    apart = axes._apart([10.0, 10.5, 11.0], gap=11.0, top=200.0)
    assert [round(b - a) for a, b in itertools.pairwise(apart)] == [11, 11]


def test_a_long_name_is_cut():
    assert style.clipped("i" * 24) == "i" * 24
    assert style.clipped("i" * 30) == "i" * 23 + "…"
    for wide in ("M" * 24, "W" * 80, "\N{PARTY POPPER}" * 30):
        cut = style.clipped(wide)
        assert cut.endswith("…")
        assert 10 < len(cut) < 24
        assert axes.width_of(cut) <= axes.NAME_POINTS


@pytest.mark.parametrize("count", [1, 2, 7, 24, 60])
def test_names_of_any_number_stay_inside_and_in_order(count):
    for heights in ([5.0] * count, [300.0] * count, [-4.0 + 9 * n for n in range(count)]):
        placed = axes._apart(heights, gap=11.0, top=200.0)
        assert placed == sorted(placed)
        assert all(-1e-9 <= height <= 200.0 + 1e-9 for height in placed)
        room = min(11.0, 200.0 / max(1, count - 1))
        assert all(b - a >= room - 1e-9 for a, b in itertools.pairwise(placed))
