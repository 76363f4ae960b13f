"""Drawings share one language: colours that stay, ticks that can be read, SVG that follows the page."""

from __future__ import annotations

import itertools
import re

import pytest

from reports import style
from reports.style import axes, palette


def drawn(points, *, prefix="one", colors=None):
    drawing, panel = style.canvas()
    panel.plot(*zip(*points, strict=True), color=style.PALETTE[0][0], marker="o")
    panel.set_xlabel("n")
    return style.to_svg(drawing, prefix=prefix, alt='a "line" & more', colors=colors or style.looks(["sdpa-flash"]))


def test_colours_become_variables_of_the_page():
    svg = drawn([(1, 2), (3, 4)])
    assert "var(--c0)" in svg
    assert not re.findall("|".join([style.PALETTE[0][0], *palette.FURNITURE]), svg)
    assert 'aria-label="a &quot;line&quot; &amp; more"' in svg


def test_every_variable_of_a_drawing_has_a_light_and_a_dark_colour():
    sheet = style.variables()
    for slot, (light, dark) in enumerate(style.PALETTE):
        assert f"--c{slot}:{light};" in sheet
        assert sheet.count(f"--c{slot}:{dark};") == 2


def test_two_drawings_share_no_id():
    one, other = (set(re.findall(r' id="([^"]+)"', drawn([(1, 2)], prefix=prefix))) for prefix in ("one", "other"))
    assert one
    assert not one & other


def test_a_drawing_is_the_same_each_time():
    assert drawn([(1, 2), (3, 4)]) == drawn([(1, 2), (3, 4)])


def test_names_beyond_the_colours_are_drawn_hollow():
    found = style.looks(f"kernel-{number:02}" for number in range(len(style.PALETTE) + 1))
    assert [look.filled for look in found.values()] == [True] * len(style.PALETTE) + [False]


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
    assert style.clipped("x" * 24) == "x" * 24
    assert style.clipped("x" * 30) == "x" * 23 + "…"
