"""How far memory reaches along n: for each implementation the largest n that fits, and what ran or was left out."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Drawing

    from harness.results.frontier import Frontier
    from reports.figures.marks import Looks

# A reach is predicted within some per cent.
DIGITS = 3


def frontier(sweep: Sequence[Frontier], colors: Looks, *, key: str) -> Figure | None:
    """Draw how far each implementation of a sweep gets, the least first; None without one."""
    if not sweep:
        return None
    first = sweep[0]
    said, name = finding(sweep), f"frontier-{key}-{slug(f'{first.scenario}-{first.dtype}-{first.direction}')}"
    title = f"How far memory reaches: {first.scenario}, {first.dtype}, {first.direction}"
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(draw_frontier(sweep, colors), prefix=name, alt=f"{title}. {said}", colors=colors),
        alt=title,
        how="The vertical stroke is the n at which the predicted bytes of a call, inputs and outputs included, are as "
        "many as a case may take. A dot is the largest n that was timed, a cross the smallest that was left out as "
        "predicted_oom.",
        finding=said,
        columns=("implementation", "largest n that fits", "largest n timed", "smallest n left out", "limit"),
        rows=tuple(
            (one.implementation, units.plain(one.reach), *map(_size, (one.ran, one.refused)), units.size(one.limit))
            for one in sweep
        ),
        wide=True,
    )


def finding(sweep: Sequence[Frontier]) -> str:
    """Say how far each implementation gets within the limit, rounded down, and from where on others were left out."""
    reached = [
        (units.listing([one.implementation for one in alike]), units.plain(reach))
        for reach, alike in groupby(sweep, key=lambda one: _rounded_down(one.reach))
    ]
    (names, reach), *more = reached
    said = [f"{names} up to n = {reach}", *(f"{names} up to {reach}" for names, reach in more)]
    refused = [one.refused for one in sweep if one.refused is not None]
    left = f" What is larger was left out (predicted_oom), from n = {units.plain(min(refused))} on." if refused else ""
    return f"By prediction, {units.size(sweep[0].limit)} per case are enough for {units.listing(said)}.{left}"


def draw_frontier(sweep: Sequence[Frontier], colors: Looks) -> Drawing:
    """Draw a row for each implementation: a line to the largest n that fits, a dot at what ran, a cross beyond."""
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.1 + 0.3 * len(sweep)))
    for place, one in enumerate(sweep):
        color = colors[one.implementation].color
        axes.plot([one.sizes[0], one.reach], [place, place], color=color, linewidth=1.6, alpha=0.6)
        axes.plot([one.reach], [place], color=color, marker="|", markersize=14, markeredgewidth=2, linestyle="none")
        if one.ran is not None:
            axes.plot([one.ran], [place], color=color, marker="o", markersize=6, linestyle="none")
        if one.refused is not None:
            axes.plot([one.refused], [place], color=color, marker="x", markersize=7, linestyle="none")
    ends = [value for one in sweep for value in (one.sizes[0], one.reach, one.ran, one.refused) if value is not None]
    style.quantity_axis(axes.xaxis, ends, units.plain, label=AXIS_WORDS["n"])
    axes.set_yticks(range(len(sweep)), [style.clipped(one.implementation) for one in sweep])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(len(sweep) - 0.5, -0.5)
    return drawing


def _rounded_down(reach: int) -> int:
    """Keep the digits of a predicted reach that mean something."""
    unit: int = 10 ** max(0, len(str(reach)) - DIGITS)
    return reach // unit * unit


def _size(n: int | None) -> str:
    return units.ABSENT if n is None else units.plain(n)
