"""A drawing that stands alone has its own colours, light or dark, and as a card the words of the answer."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from reports import style
from reports.style.alone import recolour
from reports.style.palette import DARK_FURNITURE, PALETTE, theme_colors

WORDS = style.Words(("Yes: a <long> sentence & more " * 12,), "a machine")


def drawing():
    figure, axes = style.canvas()
    axes.plot([1, 2, 3], [1, 4, 9], color=PALETTE[0][0])
    axes.set_xlabel("n")
    return figure


def svg():
    return style.to_svg(drawing(), prefix="one", alt="a line", colors=style.looks(["sdpa-flash"]))


def pixels(content):
    from matplotlib.image import imread

    return imread(io.BytesIO(content))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_file_of_its_own_names_no_variable_of_a_page(theme):
    alone = style.alone_svg(svg(), theme)
    assert "var(" not in alone
    assert PALETTE[0][theme == "dark"] in alone
    assert f'fill="{theme_colors(theme)["--paper"]}"' in alone
    assert re.match(r'<svg [^>]*width="360" height="252"', alone)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_has_the_colours_of_its_theme(theme):
    image = pixels(style.alone_png(drawing(), theme))
    assert image.shape[:2] == (700, 1000)
    colors = {tuple(color) for color in np.unique((255 * image[..., :3]).round().astype(int).reshape(-1, 3), axis=0)}
    for wanted in (theme_colors(theme)["--paper"], PALETTE[0][theme == "dark"]):
        assert tuple(int(wanted[place : place + 2], 16) for place in (1, 3, 5)) in colors


def test_a_card_has_its_words_above_the_drawing():
    card = style.alone_svg(svg(), "light", words=WORDS)
    assert "&lt;long&gt; sentence &amp; more" in card
    assert card.count("<text") > svg().count("<text") + 2
    plain, tall = pixels(style.alone_png(drawing(), "light")), pixels(style.alone_png(drawing(), "light", words=WORDS))
    assert tall.shape[1] == plain.shape[1]
    assert tall.shape[0] > plain.shape[0] + 200


def test_a_colour_of_no_theme_stays():
    figure = drawing()
    (line,) = figure.axes[0].get_lines()
    line.set_color("#123456")
    recolour(figure, "dark")
    assert line.get_color() == "#123456"


def test_dark_colours_are_those_of_the_page():
    from reports.page.render import asset

    sheet = asset("templates/report.css")
    assert all(f"{name}:{color}" in sheet for name, color in DARK_FURNITURE.items())


def test_drawings_are_kept_only_while_somebody_asks():
    with style.kept_drawings() as kept:
        svg()
    svg()
    assert list(kept) == ["one"]
