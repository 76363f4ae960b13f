"""A drawing that stands alone, as SVG or PNG in the colours of light or dark paper; with words above it, a card."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.style.axes import width_of
from reports.style.drawing import FONT_POINTS, RC
from reports.style.palette import FURNITURE, PALETTE, theme_colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from reports.style.palette import Theme

# What a reader has of these is used; a drawing is laid out for the first.
FONTS = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
# Dots of a PNG per inch of a drawing: a column of a paper is printed with 300 per inch of paper.
DOTS_PER_INCH = 200
# Words of a card, in points: what is left around them, a line of the sentence, a line of what it is from.
MARGIN, LINE_POINTS, SMALL_POINTS = 14.0, 14.0, 12.0
SENTENCE_POINTS = 10.5


@dataclass(frozen=True)
class Words:
    """What a card says above its drawing, and in small letters below."""

    sentences: tuple[str, ...]
    source: str


def alone_svg(svg: str, theme: Theme, *, words: Words | None = None) -> str:
    """Return a drawing of a page as a file of its own, with its colours and its paper; `words` make it a card."""
    colors = theme_colors(theme)
    text = re.sub(r"var\((--[\w-]+)\)", lambda found: colors.get(found[1], "#000000"), svg)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert size is not None, "a drawing names its size"
    width, height = float(size[1]), float(size[2])
    paper = f'<rect width="100%" height="100%" fill="{colors["--paper"]}"/>'
    fonts = f'font-family="{FONTS}"'
    if words is None:
        head, _, rest = text.partition(">")
        return f'{head} width="{width:g}" height="{height:g}" {fonts}>{paper}{rest}'
    lines = _wrapped(words.sentences, width - 2 * MARGIN)
    top = 2 * MARGIN + LINE_POINTS * len(lines)
    whole = top + height + MARGIN + SMALL_POINTS
    written = "".join(
        f'<text x="{MARGIN:g}" y="{MARGIN + LINE_POINTS * (place + 0.8):g}" font-size="{SENTENCE_POINTS}px" '
        f'fill="{colors["--ink"]}">{_escaped(line)}</text>'
        for place, line in enumerate(lines)
    )
    source = (
        f'<text x="{MARGIN:g}" y="{whole - MARGIN / 2:g}" font-size="{FONT_POINTS - 1}px" fill="{colors["--muted"]}">'
        f"{_escaped(words.source)}</text>"
    )
    placed = text.replace("<svg", f'<svg x="0" y="{top:g}" width="{width:g}" height="{height:g}"', 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width:g}" '
        f'height="{whole:g}" viewBox="0 0 {width:g} {whole:g}" {fonts}>{paper}{written}{placed}{source}</svg>'
    )


def alone_png(drawing: Drawing, theme: Theme, *, words: Words | None = None) -> bytes:
    """Return a drawing as PNG in the colours of a theme; `words` make it a card. The drawing is recoloured in place."""
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colors = theme_colors(theme)
    recolour(drawing, theme)
    with rc_context(RC):
        if words is None:
            target = io.BytesIO()
            drawing.set_dpi(DOTS_PER_INCH)
            drawing.patch.set(alpha=1.0, facecolor=colors["--paper"])
            FigureCanvasAgg(drawing).print_png(target)  # type: ignore[no-untyped-call]
            return target.getvalue()
        drawing.set_dpi(DOTS_PER_INCH)
        canvas = FigureCanvasAgg(drawing)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        width = pixels.shape[1] * 72 / DOTS_PER_INCH
        lines = _wrapped(words.sentences, width - 2 * MARGIN)
        top = 2 * MARGIN + LINE_POINTS * len(lines)
        height = top + pixels.shape[0] * 72 / DOTS_PER_INCH + MARGIN + SMALL_POINTS
        card = Figure(figsize=(width / 72, height / 72), dpi=DOTS_PER_INCH, facecolor=colors["--paper"])
        card.figimage(pixels, 0, round((MARGIN + SMALL_POINTS) * DOTS_PER_INCH / 72))
        for place, line in enumerate(lines):
            above = 1 - (MARGIN + LINE_POINTS * (place + 0.8)) / height
            card.text(MARGIN / width, above, line, fontsize=SENTENCE_POINTS, color=colors["--ink"])
        card.text(MARGIN / width, MARGIN / 2 / height, words.source, fontsize=FONT_POINTS - 1, color=colors["--muted"])
        target = io.BytesIO()
        FigureCanvasAgg(card).print_png(target)  # type: ignore[no-untyped-call]
    return target.getvalue()


def recolour(drawing: Drawing, theme: Theme) -> None:
    """Give what is drawn in the colours of light paper those of a theme; a colour of no theme stays."""
    from matplotlib.colors import to_hex

    colors = theme_colors(theme)
    slots = {pair[0]: f"--c{slot}" for slot, pair in enumerate(PALETTE)}
    known = {color: colors[name] for color, name in {**slots, **FURNITURE}.items()}
    for artist in drawing.findobj():
        for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            read, write = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if read is None or write is None:
                continue
            before = read()
            if (after := _theirs(before, known, to_hex)) is not None:
                write(after)


def _theirs(before: Any, known: dict[str, str], to_hex: Any) -> Any:
    """Return the colours that take the place of some, None if none does; transparency stays."""
    from matplotlib.colors import to_rgba, to_rgba_array

    if isinstance(before, str) and before in {"none", "auto"}:
        return None
    rows = to_rgba_array(before)
    if not len(rows):
        return None
    moved = [to_rgba(known.get(to_hex(row), to_hex(row)), alpha=float(row[3])) for row in rows]
    if all(tuple(row) == new for row, new in zip(rows, moved, strict=True)):
        return None
    return moved if len(moved) > 1 else moved[0]


def _wrapped(sentences: tuple[str, ...], width: float) -> list[str]:
    """Break sentences into lines of at most so many points."""
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for word in sentence.split():
            longer = f"{line} {word}".strip()
            if line and width_of(longer) * SENTENCE_POINTS / FONT_POINTS > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
