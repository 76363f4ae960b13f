"""A drawing is small, the same each time, and coloured by the page it stands in."""

from __future__ import annotations

import re

import pytest

from reports import style
from reports.style import palette


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


def test_a_drawing_has_no_ground_and_its_text_is_text():
    svg = drawn([(1, 2), (3, 4)])
    assert ">n<" in svg
    assert "<metadata" not in svg
    assert "font-family" not in svg
    assert "\n" not in svg


def test_several_panels_have_a_layout_of_their_own_and_one_is_fitted():
    several, panels = style.canvas(rows=2, columns=3)
    assert panels.shape == (2, 3)
    assert several.get_layout_engine() is not None
    one, axes = style.canvas()
    axes.set_yticks([0.0], ["a very long name of a kernel"])
    style.to_svg(one, prefix="p", alt="", colors={})
    # Long names take their room, and at most three tenths of the width.
    assert axes.get_position().x0 == pytest.approx(0.3)


def test_slanted_names_take_room_below():
    def bottom(rotation):
        drawing, axes = style.canvas()
        axes.set_xticks([0.0], ["a very long name"], rotation=rotation)
        style.to_svg(drawing, prefix="p", alt="", colors={})
        return axes.get_position().y0

    assert bottom(90) > bottom(30) > bottom(0)


def test_a_name_is_neither_a_formula_nor_a_warning_where_its_letters_lack():
    with style.names_as_text():
        drawing, axes = style.canvas()
        axes.set_xlabel("$x_1$ 模型")
        svg = style.to_svg(drawing, prefix="p", alt="", colors={})
    assert ">$x_1$ 模型<" in svg
