"""Time along every swept size of a run, side by side on one scale: small multiples in the place of many figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure
from reports.figures.marks import axis_of, guide, lines, round_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure as Drawing

    from reports.figures.marks import Looks
    from reports.figures.sweep import Sweep

# Panels beside one another, and the most that are drawn.
ACROSS, PANELS_AT_MOST = 3, 9
# A panel's height, and that of each row of names below the panels.
PANEL_INCHES, LEGEND_INCHES, NAMES_ACROSS = 2.35, 0.22, 6


def overview(sweeps: Sequence[Sweep], colors: Looks, *, key: str, names: Mapping[str, str]) -> Figure | None:
    """Draw time along each swept size in a panel of its own; None if fewer than two sweeps have several sizes.

    `names` has what each sweep is called, by its key.
    """
    drawn = [sweep for sweep in sweeps if sweep.axis and sweep.table[sweep.axis].nunique() > 1][:PANELS_AT_MOST]
    if len(drawn) < 2:  # noqa: PLR2004  (one panel is the sweep's own figure)
        return None
    title, finding = "Time along every swept size", _finding(drawn, names)
    name = f"overview-{key}"
    alt = f"{title}: a panel for each of {units.listing([names[sweep.key] for sweep in drawn])}. {finding}"
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(draw_overview(drawn, colors, names=names), prefix=name, alt=alt, colors=colors),
        alt=title,
        how="Points are seconds per call; both axes are logarithmic and all panels share the scale of time. Steepness "
        "is the exponent; the dashed guides rise as the operations do.",
        finding=finding,
        columns=("sweep", "implementation", "size", "time"),
        rows=tuple(
            (names[sweep.key], str(row["implementation"]), units.plain(row[sweep.axis]), units.seconds(row["time_s"]))
            for sweep in drawn
            for row in sweep.sorted_by_axis().to_dict("records")
        ),
        wide=True,
    )


def draw_overview(drawn: Sequence[Sweep], colors: Looks, *, names: Mapping[str, str]) -> Drawing:
    """Draw a panel for each sweep, names of implementations below."""
    from matplotlib.lines import Line2D

    implementations = sorted({str(name) for sweep in drawn for name in sweep.table["implementation"]})
    across = min(ACROSS, len(drawn))
    rows = math.ceil(len(drawn) / across)
    legend = LEGEND_INCHES * math.ceil(len(implementations) / NAMES_ACROSS)
    drawing, grid = style.canvas(
        inches=(style.WIDE[0], PANEL_INCHES * rows + legend), rows=rows, columns=across, squeeze=False, sharey=True
    )
    times = [float(value) for sweep in drawn for value in sweep.shared["time_s"]]
    for axes, sweep in zip(grid.flat, drawn, strict=False):
        axis = axis_of(sweep)
        lines(axes, sweep.sorted_by_axis(), axis, "time_s", colors)
        style.size_axis(axes.xaxis, sweep.shared[axis], label=AXIS_WORDS.get(axis, axis), across=across)
        guide(axes, sweep.table, axis, "time_s")
        title = style.clipped(names[sweep.key], characters=40, points=190.0)
        axes.set_title(title, color=style.INK, loc="left", fontsize=style.FONT_POINTS)
    style.quantity_axis(grid.flat[0].yaxis, times, round_seconds, label="")
    for axes in grid[:, 0]:
        axes.set_ylabel("seconds per call")
    for axes in list(grid.flat)[len(drawn) :]:
        axes.set_axis_off()
    marks = [
        Line2D([], [], color=colors[name].color, marker=colors[name].marker, markeredgewidth=0)
        for name in implementations
    ]
    words = [style.clipped(name) for name in implementations]
    drawing.legend(
        marks, words, loc="outside lower center", ncols=min(NAMES_ACROSS, len(words)), frameon=False, handlelength=1.6,
        labelcolor=style.INK, fontsize=style.FONT_POINTS,
    )  # fmt: skip
    return drawing


def _finding(drawn: Sequence[Sweep], names: Mapping[str, str]) -> str:
    """Say who is quickest at the largest size of each panel."""
    quickest: dict[str, list[str]] = {}
    for sweep in drawn:
        axis = axis_of(sweep)
        largest = sweep.table[sweep.table[axis] == sweep.table[axis].max()]
        best = str(largest.sort_values("time_s").iloc[0]["implementation"])
        quickest.setdefault(best, []).append(names[sweep.key])
    said = [f"{name} in {units.listing(where)}" for name, where in quickest.items()]
    return f"Fastest at the largest size: {'; '.join(said)}."
