"""The picture of `attnbench verify`: costs, fitted curves and the claimed slope."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from harness.scaling.law import costs
from harness.tables.reading import printable

if TYPE_CHECKING:
    from pathlib import Path

    from harness.verdicts.table import Verification

PLOTS = (".svg", ".png", ".pdf")
CURVE_POINTS = 200
# A legend of more lines leaves the axes no room.
LEGEND_AT_MOST, NAME_AT_MOST = 16, 40


def plot(verification: Verification, file: Path) -> None:
    """Draw costs, fitted curves and the claimed slope in logarithmic axes. Raises ValueError for an unknown suffix."""
    if file.suffix.lower() not in PLOTS:
        raise ValueError(f"--plot writes {', '.join(PLOTS)}, not {file.suffix or 'a file without a suffix'}: {file}")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    drawn = [group for group in verification.groups if group.sizes]
    for number, group in enumerate(drawn):
        name = ", ".join(map(printable, group.key.values())) or verification.y
        points = axes.plot(group.sizes, group.costs, "o", markersize=5)[0]
        if number < LEGEND_AT_MOST:
            points.set_label(f"{name[:NAME_AT_MOST]}: {group.verdict}")
        if group.judgement is not None:
            low, high = math.log(group.sizes[0]), math.log(group.sizes[-1])
            sizes = [math.exp(low + (high - low) * i / (CURVE_POINTS - 1)) for i in range(CURVE_POINTS)]
            axes.plot(sizes, costs(group.judgement.law, sizes), color=points.get_color(), linewidth=1.0)
    largest = max(drawn, key=lambda group: group.costs[-1])
    guide = [largest.costs[-1] * (size / largest.sizes[-1]) ** verification.exponent for size in largest.sizes]
    axes.plot(largest.sizes, guide, "--", color="0.5", linewidth=1.0, label=f"slope {verification.exponent:g}")
    axes.set(xscale="log", yscale="log", xlabel=verification.x, ylabel=verification.y)
    law = f"{verification.x}^{verification.exponent:g}"
    axes.set_title(f"Does {verification.y} grow as {law}? Where points run parallel to the dashes, yes.")
    # A column or a group may be named $x$, which is no formula.
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.legend(fontsize=8).get_texts()):
        text.set_parse_math(False)
    try:
        # A sign that the font lacks is a box in the picture; the terminal has the name.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(file)
    except OSError as error:
        raise ValueError(f"can't write {file}: {error.strerror}") from None
