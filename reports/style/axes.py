"""Readable axes: logarithmic scales with round ticks, and names beside the ends of lines."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

from reports import units
from reports.style.palette import INK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from reports.style.palette import Appearance

LABEL_GAP_POINTS = 11.0
POINTS_PER_INCH = 72.0
TICKS_AT_MOST = 7
# Mean width of a character at the size above, and the room that ticks and axis label take below and an overhang above.
CHARACTER_POINTS = 5.2
BELOW_POINTS, ABOVE_POINTS = 36.0, 10.0
# A longer or wider name is cut in a figure; the table below the figure has it whole. What stands beside a drawing of
# half a page's width has about so many points, at the size of the letters that drawings have.
NAME_CHARACTERS, NAME_POINTS, NAME_SIZE = 24, 110.0, 9.0
# What is left free between two labels below an axis.
APART_POINTS = 6.0
# Where names beside lines begin, as a fraction of the axes' width.
BESIDE = 1.055
# Of a drawing's width, what is left between the margins for labels of the lower axis.
LABELLED_SHARE = 0.6


def size_axis(axis: Axis, values: Iterable[float], *, label: str, across: int = 1) -> None:
    """Make an axis of sizes logarithmic, with ticks at powers of two (or the values themselves where few).

    `across` is how many axes share the drawing's width.
    """
    sizes = sorted({float(value) for value in values if value and value > 0 and math.isfinite(value)})
    _log(axis, sizes)
    powers = [size for size in sizes if math.log2(size).is_integer()]
    ticks = powers if len(powers) >= 3 else sizes  # noqa: PLR2004  (three ticks make an axis readable)
    ticks = thinned(ticks, at_most=TICKS_AT_MOST)
    if axis is axis.axes.xaxis:
        ticks = _spaced(axis, ticks, [units.plain(tick) for tick in ticks], beside=across)
    _ticks(axis, ticks, units.plain)
    axis.set_label_text(label)


def quantity_axis(
    axis: Axis, values: Iterable[float], write: Callable[[float], str], *, label: str, base: float = 10
) -> None:
    """Make an axis of times, bytes or rates logarithmic, with ticks at round figures written with units."""
    from matplotlib import ticker

    finite = sorted(value for value in values if value is not None and value > 0 and math.isfinite(value))
    _log(axis, finite)
    axis.set_label_text(label)
    if not finite:
        return
    low, high = finite[0], finite[-1]
    ticks = _round_figures(low, high, base=base)
    if axis is axis.axes.xaxis:
        ticks = _spaced(axis, ticks, [write(tick) for tick in ticks])
    axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: write(value)))


def _spaced(
    axis: Axis, ticks: Sequence[float], words: Sequence[str], *, width: float | None = None, beside: int = 1
) -> list[float]:
    """Keep the ticks of a logarithmic lower axis whose labels don't meet, the last one among them.

    `width` is that of the axis in points; a share of the drawing's before it is known.
    """
    if width is None:
        whole = float(axis.axes.figure.get_size_inches()[0]) * POINTS_PER_INCH  # type: ignore[union-attr]
        width = whole * LABELLED_SHARE / beside
    across = _fraction(axis.axes.get_xlim(), "log")
    kept: list[float] = []
    edge = math.inf
    for tick, text in reversed(list(zip(ticks, words, strict=True))):
        centre, half = width * across(tick), width_of(text) / 2
        if centre + half + APART_POINTS <= edge:
            kept.insert(0, tick)
            edge = centre - half
    return kept


def keep_apart(axes: Axes, *, width: float) -> None:
    """Drop labels of a logarithmic lower axis that meet, now that its width in points is known."""
    from matplotlib import ticker

    locator, write = axes.xaxis.get_major_locator(), axes.xaxis.get_major_formatter()
    if axes.get_xscale() != "log" or not isinstance(locator, ticker.FixedLocator):
        return
    labels = {float(tick): write(float(tick), place) for place, tick in enumerate(axes.xaxis.get_majorticklocs())}
    kept = _spaced(axes.xaxis, list(labels), list(labels.values()), width=width)
    axes.xaxis.set_major_locator(ticker.FixedLocator(kept))
    axes.xaxis.set_major_formatter(ticker.FixedFormatter([labels[tick] for tick in kept]))


def _round_figures(low: float, high: float, *, base: float) -> list[float]:
    """List three to seven round figures around a range: powers of the base, and steps between where it is short."""
    if base != 10:  # noqa: PLR2004
        octaves = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
        step = next((step for step in (1, 2, 4, 5, 10) if len(octaves) / step <= TICKS_AT_MOST), 20)
        return [2.0**octave for octave in octaves if octave % step == 0] or [low]
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    for steps in ((1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        inside = [
            step * 10.0**decade
            for decade in decades
            for step in steps
            if low / 1.3 <= step * 10.0**decade <= high * 1.3
        ]
        if len(inside) <= TICKS_AT_MOST:
            break
    return thinned(inside, at_most=TICKS_AT_MOST) or [low]


def thinned(values: Sequence[float], *, at_most: int) -> list[float]:
    """Keep every k-th value so that few enough remain, the last one among them."""
    step = max(1, math.ceil(len(values) / at_most))
    return sorted(list(values)[::-1][::step])


def label_ends(axes: Axes, ends: Mapping[str, tuple[float, float]], colors: Mapping[str, Appearance]) -> None:
    """Write each line's name beside its last point, moved apart where names would meet; `ends` are data coordinates."""
    if not ends:
        return
    rows = len({axes_.get_position().y0 for axes_ in axes.figure.axes})
    width, inches = (float(length) for length in axes.figure.get_size_inches())  # type: ignore[union-attr]
    beside = LABEL_GAP_POINTS * len(ends) + BELOW_POINTS + ABOVE_POINTS
    if rows == 1 and beside > inches * POINTS_PER_INCH:
        # A drawing of many lines is as high as their names.
        inches = beside / POINTS_PER_INCH
        axes.figure.set_size_inches(width, inches)  # type: ignore[union-attr]
    height = inches * POINTS_PER_INCH / rows - BELOW_POINTS - ABOVE_POINTS
    across, up = _fraction(axes.get_xlim(), axes.get_xscale()), _fraction(axes.get_ylim(), axes.get_yscale())
    ordered = sorted(ends.items(), key=lambda item: item[1][1])
    spread = _apart([height * up(y) for _, (_, y) in ordered], gap=LABEL_GAP_POINTS, top=height)
    for (name, (x, y)), placed in zip(ordered, spread, strict=True):
        axes.plot(
            [across(x) + 0.01, 1.045], [up(y), placed / height], transform=axes.transAxes, clip_on=False, linewidth=0.8,
            color=colors[name].color, marker="", zorder=1,
        )  # fmt: skip
        axes.text(BESIDE, placed / height, clipped(name), transform=axes.transAxes, va="center", ha="left", color=INK)


def _apart(heights: Sequence[float], *, gap: float, top: float) -> list[float]:
    """Move sorted positions as little as needed for a gap between neighbours, inside 0..top.

    Where there is no room for the gaps, all are as narrow as there is room for.
    """
    count = len(heights)
    gap = min(gap, top / (count - 1)) if count > 1 else gap
    # Less their gaps, positions must only not descend: neighbours that do share their mean.
    blocks: list[tuple[float, int]] = []
    for number, height in enumerate(heights):
        mean, size = height - number * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean, size = (before * many + mean * size) / (many + size), many + size
        blocks.append((mean, size))
    level = itertools.chain.from_iterable([mean] * size for mean, size in blocks)
    return [min(max(mean, 0.0), top - (count - 1) * gap) + number * gap for number, mean in enumerate(level)]


def clipped(name: str, *, characters: int = NAME_CHARACTERS, points: float = NAME_POINTS) -> str:
    """Shorten a name that would take more room than a figure's margin, or than the room that is told."""
    if len(name) <= characters and width_of(name) <= points:
        return name
    shown = name[: characters - 1]
    while shown and width_of(f"{shown}…") > points:
        shown = shown[:-1]
    return f"{shown}…"


@functools.lru_cache(maxsize=4096)
def width_of(text: str) -> float:
    """Return how many points a text is wide in a drawing; a letter that the font lacks counts as a wide one."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    known = font.get_charmap()
    font.set_size(NAME_SIZE, POINTS_PER_INCH)
    font.set_text("".join(letter if ord(letter) in known else "M" for letter in text), 0.0)
    return float(font.get_width_height()[0]) / 64.0


def _fraction(limits: tuple[float, float], scale: str) -> Callable[[float], float]:
    """Return the function from data to the fraction of an axis."""
    low, high = limits
    if scale == "log":
        return lambda value: math.log(value / low) / math.log(high / low)
    return lambda value: (value - low) / ((high - low) or 1.0)


def _log(axis: Axis, values: Sequence[float]) -> None:
    from matplotlib import ticker

    axes = axis.axes
    across = axis is axes.xaxis
    (axes.set_xscale if across else axes.set_yscale)("log")
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_minor_formatter(ticker.NullFormatter())
    if values and values[0] == values[-1]:
        limits = (values[0] / 2, values[0] * 2)
        (axes.set_xlim if across else axes.set_ylim)(*limits)


def _ticks(axis: Axis, ticks: Sequence[float], write: Callable[[float], str]) -> None:
    from matplotlib import ticker

    axis.set_major_locator(ticker.FixedLocator(list(ticks)))
    axis.set_major_formatter(ticker.FixedFormatter([write(tick) for tick in ticks]))
