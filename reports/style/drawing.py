"""An empty drawing in the house style, and the drawing as SVG that follows the theme of the page."""

from __future__ import annotations

import contextlib
import io
import math
import re
import warnings
import zlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from reports.style.axes import (
    ABOVE_POINTS,
    BELOW_POINTS,
    BESIDE,
    CHARACTER_POINTS,
    POINTS_PER_INCH,
    keep_apart,
    width_of,
)
from reports.style.palette import FURNITURE, INK, LINE, MUTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.style.palette import Appearance

# Half of a page that is 68 rem wide, and all of it; inches of 72 points, so that 9.5 points read as 13 pixels.
HALF, WIDE = (5.0, 3.5), (10.2, 3.4)
FONT_POINTS = 9.0
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


@contextlib.contextmanager
def names_as_text() -> Iterator[None]:
    """Keep the drawing library from reading names as formulas, and from warning of letters that its font lacks.

    The page's font draws them; the library only measures.
    """
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


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


# Where drawings are kept, by prefix, while somebody wants them as more than SVG.
_KEPT: ContextVar[dict[str, Figure] | None] = ContextVar("kept drawings", default=None)


@contextlib.contextmanager
def kept_drawings() -> Iterator[dict[str, Figure]]:
    """Keep every drawing that becomes SVG meanwhile, by its prefix; a page has no need of them and lets them go."""
    drawings: dict[str, Figure] = {}
    token = _KEPT.set(drawings)
    try:
        yield drawings
    finally:
        _KEPT.reset(token)


def to_svg(figure: Figure, *, prefix: str, alt: str, colors: Mapping[str, Appearance]) -> str:
    """Draw a figure as inline SVG: ids prefixed, colours as variables of the page, text as text, described by `alt`."""
    if (kept := _KEPT.get()) is not None:
        kept[prefix] = figure
    text = _shortened(_printed(figure), prefix=prefix)
    slots = {look.color: f"--c{look.slot}" for look in colors.values()}
    for color, variable in {**slots, **FURNITURE}.items():
        text = text.replace(color, f"var({variable})")
    opening = text.index(">")
    width = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text[: opening + 1])
    size = f'viewBox="0 0 {width[1]} {width[2]}"' if width else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size} role="img"'
    return f'{head} aria-label="{_attribute(alt)}">{text[opening + 1 :]}'


def _printed(figure: Figure) -> str:
    """Return a figure as matplotlib writes it, from the opening tag on, without metadata."""
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
    return re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)


def _shortened(text: str, *, prefix: str) -> str:
    """Drop what the page does not need of a drawing, and make its ids unique in the page."""
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
    return re.sub(r'style="[^"]*"', lambda found: found[0].replace("; ", ";").replace(": ", ":"), text)


def _fit(axes: Axes) -> None:
    """Set the margins so that tick labels, axis labels and the names beside lines fit.

    The page's font is not known here, and none is wider than this one.
    """
    width, height = (float(inches) * POINTS_PER_INCH for inches in axes.figure.get_size_inches())  # type: ignore[union-attr]
    left = max((width_of(tick.get_text()) for tick in axes.get_yticklabels()), default=0.0) + (
        23 if axes.get_ylabel() else 8
    )
    beside = max((width_of(text.get_text()) for text in axes.texts if text.get_position()[0] == BESIDE), default=0.0)
    # The last tick's words reach over the end of the axis by half their length.
    over = max((width_of(tick.get_text()) for tick in axes.get_xticklabels()[-1:]), default=0.0) / 2
    right = beside + (0.06 * width if beside else max(6.0, over))
    below, above = BELOW_POINTS if axes.get_xlabel() else 18, ABOVE_POINTS
    # A slanted label reaches below as far as its length and slant take it.
    slants = [(len(tick.get_text()), math.radians(tick.get_rotation())) for tick in axes.get_xticklabels()]
    below += max((length * CHARACTER_POINTS * math.sin(slant) for length, slant in slants), default=0.0)
    # The drawing keeps at least a third of the width, whatever stands beside it.
    start, end = min(left / width, 0.3), max(1 - right / width, 0.63)
    axes.figure.subplots_adjust(left=start, right=end, bottom=below / height, top=1 - above / height)
    keep_apart(axes, width=(end - start) * width)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
