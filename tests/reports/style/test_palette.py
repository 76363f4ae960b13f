"""An implementation looks the same in every figure."""

from __future__ import annotations

import re

import pytest

from reports import style
from reports.style.palette import FURNITURE, MARKERS, PALETTE, colors_of, looks, markers_of, variables


def test_an_implementation_keeps_its_colour_whatever_else_is_there():
    alone, among = style.looks(["sdpa-flash"]), style.looks(["sdpa-flash", "batched", "mine", "yours"])
    assert alone["sdpa-flash"] == among["sdpa-flash"]
    assert len({look.color for look in among.values()}) == 4


def test_names_beyond_the_colours_are_drawn_hollow():
    found = style.looks(f"kernel-{number:02}" for number in range(len(style.PALETTE) + 1))
    assert [look.filled for look in found.values()] == [True] * len(style.PALETTE) + [False]


def luminance(color):
    """Return the relative luminance of WCAG 2."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", [light for light, _ in PALETTE])
def test_a_colour_has_three_to_one_of_contrast_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) >= 3.0


def test_colours_and_markers_are_told_apart_and_none_is_of_the_furniture():
    assert len({light for light, _ in PALETTE}) == len(PALETTE) == len(MARKERS) == len(set(MARKERS))
    assert not {light for light, _ in PALETTE} & set(FURNITURE)


def test_a_stranger_takes_no_colour_of_those_present():
    found = looks(["batched", "sdpa-flash", "mine", "yours", "batched"])
    assert len({look.slot for look in found.values()}) == 4
    assert all(look.filled for look in found.values())


def test_looks_do_not_depend_on_order():
    names = ["yours", "batched", "mine"]
    assert looks(names) == looks(reversed(names))


def test_only_those_that_are_drawn_have_colours_and_markers():
    found = looks(["batched", "loop", "mine"])
    assert colors_of(found, ["loop", "loop", "mine"]) == {"loop": found["loop"].color, "mine": found["mine"].color}
    assert markers_of(found, ["mine"]) == {"mine": found["mine"].marker}


def test_a_page_may_be_told_to_be_light_where_the_system_is_dark():
    sheet = variables()
    assert re.search(r"@media screen and \(prefers-color-scheme:dark\)\{:root:not\(\[data-theme=light\]\)", sheet)
    assert sheet.count("{") == sheet.count("}")
