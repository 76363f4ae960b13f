"""One visual language: a colour and a marker per implementation, readable log axes, SVG in the page's theme."""

from __future__ import annotations

import io
import math
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports import units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Colours of the drawing's furniture; each becomes a variable of the page, so that dark mode needs no second drawing.
INK, MUTED, LINE, PAPER, ALARM = "#1b2126", "#59636e", "#dfe3e8", "#fefefe", "#b3261e"
_FURNITURE = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper", ALARM: "--bad"}
# Twelve colours told apart with each common colour blindness (after Okabe & Ito 2008 and Tol's "muted" scheme),
# darkened to a contrast of 3:1 on white; the second of each pair is lightened for dark pages.
PALETTE = (
    ("#0072b2", "#5aaeea"),
    ("#d55e00", "#ff8f45"),
    ("#00875f", "#35c99d"),
    ("#b0478f", "#e58fca"),
    ("#2590c8", "#9ad8ff"),
    ("#a87900", "#efb43f"),
    ("#882255", "#e07fa8"),
    ("#66701a", "#c3cb52"),
    ("#555c64", "#b6bec8"),
    ("#43349b", "#a79cf5"),
    ("#127f86", "#62ccd2"),
    ("#8a5446", "#cf9f8f"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "h", ">", "p", "*")
# Slots of the implementations that ship, so that a colour means the same in every report.
_SLOTS = {
    "sdpa-flash": 0,
    "batched": 1,
    "online": 2,
    "sdpa-math": 3,
    "sdpa-auto": 4,
    "einsum": 5,
    "flex": 6,
    "sdpa-cudnn": 7,
    "loop": 8,
    "sdpa-efficient": 10,
    "d2l": 1,
    "torch-module": 0,
    "average": 8,
    "nadaraya-watson": 2,
    "learned": 3,
}
# Half of a page that is 68 rem wide, and all of it; inches of 72 points, so that 9.5 points read as 13 pixels.
HALF, WIDE = (5.0, 3.5), (10.2, 3.4)
FONT_POINTS = 9.0
LABEL_GAP_POINTS = 11.0
POINTS_PER_INCH = 72.0
TICKS_AT_MOST = 7
# Mean width of a character at the size above, and the room that ticks and axis label take below and an overhang above.
CHARACTER_POINTS = 5.2
BELOW_POINTS, ABOVE_POINTS = 36.0, 10.0
# A longer name is cut in a figure; the table below the figure has it whole.
NAME_CHARACTERS = 24
# Where names beside lines begin, as a fraction of the axes' width.
BESIDE = 1.055
# Of a drawing's width, what is left between the margins for labels of the lower axis.
LABELLED_SHARE = 0.6


@dataclass(frozen=True)
class Look:
    """What an implementation looks like in every figure."""

    slot: int
    color: str
    marker: str
    filled: bool


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Give each implementation its colour and marker; the same names always get the same ones."""
    ordered = sorted(set(names))
    taken = {_SLOTS[name] for name in ordered if name in _SLOTS}
    free = [slot for slot in range(len(PALETTE)) if slot not in taken] or list(range(len(PALETTE)))
    found: dict[str, Look] = {}
    strangers = 0
    for name in ordered:
        filled = True
        if name in _SLOTS:
            slot = _SLOTS[name]
        else:
            slot = free[strangers % len(free)]
            filled = strangers < len(free)
            strangers += 1
        found[name] = Look(slot=slot, color=PALETTE[slot][0], marker=MARKERS[slot], filled=filled)
    return found


def palette(colors: Mapping[str, Look], names: Iterable[str]) -> dict[str, str]:
    """Return the colours of those names that are drawn, as seaborn takes them."""
    return {name: colors[name].color for name in dict.fromkeys(names)}


def markers(colors: Mapping[str, Look], names: Iterable[str]) -> dict[str, str]:
    """Return the markers of those names that are drawn, as seaborn takes them."""
    return {name: colors[name].marker for name in dict.fromkeys(names)}


def canvas(
    *, inches: tuple[float, float] = HALF, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """Return an empty figure in the house style with its axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(RC):
        figure = Figure(figsize=inches, layout=None if rows * columns == 1 else "constrained")
        axes = figure.subplots(rows, columns, **options)
    figure.patch.set_alpha(0.0)
    return figure, axes


RC: Any = {
    "font.size": FONT_POINTS,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": FONT_POINTS,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "text.color": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    # Any fixed text: it makes the ids of clip paths the same in every rendering.
    "svg.hashsalt": "attnbench",
}


def to_svg(figure: Figure, *, prefix: str, alt: str, colors: Mapping[str, Look]) -> str:
    """Draw a figure as inline SVG: ids prefixed, colours as variables of the page, text as text, described by `alt`."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    target = io.StringIO()
    with rc_context(RC):
        if len(figure.axes) == 1:
            _fit(figure.axes[0])
        # The canvas' own printing draws once; `savefig` draws everything twice.
        FigureCanvasSVG(figure).print_svg(target, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # Names of clip paths and markers occur thousands of times in a page: a short one is unique as well.
    prefix = f"s{zlib.crc32(prefix.encode()):x}"
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"font: (?:[\w-]+ )?([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: '[^']*'; ", "", text)
    # A tenth of a point is a fifth of a pixel.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"|\s*<g/>| clip-path="[^"]*"(?=[^>]*stroke: #dfe3e8)', "", text)
    text = re.sub(r"\s*\n\s*", " ", text).replace("> <", "><")
    text = re.sub(r'style="[^"]*"', lambda found: found[0].replace("; ", ";").replace(": ", ":"), text)
    slots = {look.color: f"--c{look.slot}" for look in colors.values()}
    for color, variable in {**slots, **_FURNITURE}.items():
        text = text.replace(color, f"var({variable})")
    opening = text.index(">")
    width = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text[: opening + 1])
    size = f'viewBox="0 0 {width[1]} {width[2]}"' if width else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size} role="img"'
    return f'{head} aria-label="{_attribute(alt)}">{text[opening + 1 :]}'


def size_axis(axis: Axis, values: Iterable[float], *, label: str) -> None:
    """Make an axis of sizes logarithmic, with ticks at powers of two (or the values themselves where few)."""
    sizes = sorted({float(value) for value in values if value and value > 0 and math.isfinite(value)})
    _log(axis, sizes)
    powers = [size for size in sizes if math.log2(size).is_integer()]
    ticks = powers if len(powers) >= 3 else sizes  # noqa: PLR2004  (three ticks make an axis readable)
    _ticks(axis, thinned(ticks, at_most=TICKS_AT_MOST), units.plain)
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
        ticks = thinned(ticks, at_most=_room_for(axis, [write(tick) for tick in ticks]))
    axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: write(value)))


def _room_for(axis: Axis, words: Sequence[str]) -> int:
    """Return how many labels of these lengths stand beside one another below a drawing, at least two."""
    width = float(axis.axes.figure.get_size_inches()[0]) * POINTS_PER_INCH  # type: ignore[union-attr]
    longest = max(len(word) for word in words)
    return max(2, int(LABELLED_SHARE * width / ((longest + 2) * CHARACTER_POINTS)))


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


def label_ends(axes: Axes, ends: Mapping[str, tuple[float, float]], colors: Mapping[str, Look]) -> None:
    """Write each line's name beside its last point, moved apart where names would meet; `ends` are data coordinates."""
    if not ends:
        return
    rows = len({axes_.get_position().y0 for axes_ in axes.figure.axes})
    height = float(axes.figure.get_size_inches()[1]) * POINTS_PER_INCH / rows - BELOW_POINTS - ABOVE_POINTS  # type: ignore[union-attr]
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
    """Move sorted positions as little as needed for a gap between neighbours, inside 0..top."""
    placed = list(heights)
    for _ in range(60):
        moved = False
        for index in range(1, len(placed)):
            lack = gap - (placed[index] - placed[index - 1])
            if lack > 0.01:  # noqa: PLR2004  (a hundredth of a point is nothing)
                placed[index - 1] -= lack / 2
                placed[index] += lack / 2
                moved = True
        if placed and placed[0] < 0:
            placed = [value - placed[0] if index == 0 else value for index, value in enumerate(placed)]
            moved = True
        if placed and placed[-1] > top:
            placed[-1] = top
            moved = True
        if not moved:
            break
    return placed


def clipped(name: str) -> str:
    """Shorten a name that would take more room than a figure's margin."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def _fraction(limits: tuple[float, float], scale: str) -> Callable[[float], float]:
    """Return the function from data to the fraction of an axis."""
    low, high = limits
    if scale == "log":
        return lambda value: math.log(value / low) / math.log(high / low)
    return lambda value: (value - low) / ((high - low) or 1.0)


def _fit(axes: Axes) -> None:
    """Set the margins so that tick labels, axis labels and the names beside lines fit.

    Text is measured by its number of characters: the page's font is not known here, and none is wider than this one.
    """
    width, height = (float(inches) * POINTS_PER_INCH for inches in axes.figure.get_size_inches())  # type: ignore[union-attr]
    ticks = max((len(tick.get_text()) for tick in axes.get_yticklabels()), default=0)
    left = ticks * CHARACTER_POINTS + (23 if axes.get_ylabel() else 8)
    beside = max((len(text.get_text()) for text in axes.texts if text.get_position()[0] == BESIDE), default=0)
    # The last tick's words reach over the end of the axis by half their length.
    over = max((len(tick.get_text()) for tick in axes.get_xticklabels()[-1:]), default=0) / 2
    right = beside * CHARACTER_POINTS + (0.06 * width if beside else max(6.0, over * CHARACTER_POINTS))
    below, above = BELOW_POINTS if axes.get_xlabel() else 18, ABOVE_POINTS
    # A slanted label reaches below as far as its length and slant take it.
    slants = [(len(tick.get_text()), math.radians(tick.get_rotation())) for tick in axes.get_xticklabels()]
    below += max((length * CHARACTER_POINTS * math.sin(slant) for length, slant in slants), default=0.0)
    # The drawing keeps at least a third of the width, whatever stands beside it.
    axes.figure.subplots_adjust(
        left=min(left / width, 0.3), right=max(1 - right / width, 0.63), bottom=below / height, top=1 - above / height
    )


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


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
