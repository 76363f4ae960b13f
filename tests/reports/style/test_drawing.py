"""A drawing is small, the same each time, and coloured by the page it stands in."""

from __future__ import annotations

import re

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
