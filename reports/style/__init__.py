"""One visual language: a colour and a marker per implementation, readable log axes, SVG in the page's theme."""

from reports.style.alone import Words, alone_png, alone_svg
from reports.style.axes import clipped, label_ends, quantity_axis, size_axis, width_of
from reports.style.drawing import FONT_POINTS, HALF, WIDE, canvas, kept_drawings, names_as_text, to_svg
from reports.style.palette import (
    ALARM,
    INK,
    MARKERS,
    MUTED,
    PALETTE,
    PAPER,
    Appearance,
    Theme,
    colors_of,
    looks,
    markers_of,
    variables,
)

__all__ = [
    "ALARM",
    "FONT_POINTS",
    "HALF",
    "INK",
    "MARKERS",
    "MUTED",
    "PALETTE",
    "PAPER",
    "WIDE",
    "Appearance",
    "Theme",
    "Words",
    "alone_png",
    "alone_svg",
    "canvas",
    "clipped",
    "colors_of",
    "kept_drawings",
    "label_ends",
    "looks",
    "markers_of",
    "names_as_text",
    "quantity_axis",
    "size_axis",
    "to_svg",
    "variables",
    "width_of",
]
