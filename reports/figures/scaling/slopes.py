"""Local exponents along a swept size, and what the laws that were judged leave over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.scaling.law import costs
from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers
from reports.figures.marks import (
    EXPECTED,
    axis_of,
    inside,
    lines,
    svg_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from harness.scaling.law import Law
    from reports.figures.marks import Looks
    from reports.figures.sweep import Sweep
    from reports.style import Appearance


def slopes(sweep: Sweep, colors: Looks, *, band: float) -> Figure:
    """Draw the local exponent between neighbouring sizes; `band` is the tolerance on either side of the claimed one."""
    axis = axis_of(sweep)
    local = local_slopes(sweep.sorted_by_axis(), axis, "law_s")
    drawing = draw_slopes(local, axis, colors, shared=sweep.shared, band=band)
    columns, table = numbers(local, axis, [("local exponent", "slope", units.plain)])
    expected = EXPECTED.get(axis, 1.0)
    title = f"Local exponent along {axis}"
    return Figure(
        id=f"slope-{sweep.key}",
        title=title,
        svg=svg_of(drawing, f"slope-{sweep.key}", title, sweep, colors),
        alt=title,
        how="The exponent between neighbouring sizes, from the times that laws are fitted to. A clean law settles on "
        f"a level; the band is {expected:g} ± {band:g}, the claimed exponent and its tolerance. Fixed costs pull the "
        "left end down, a change of kernel or cache makes a bump.",
        finding=_slope_finding(local, axis, expected, band=band),
        columns=columns,
        rows=table,
    )


def draw_slopes(
    local: pd.DataFrame, axis: str, colors: Mapping[str, Appearance], *, shared: pd.DataFrame, band: float
) -> Drawing:
    """Draw a table of local exponents, as `local_slopes` returns it."""
    drawing, axes = style.canvas()
    expected = EXPECTED.get(axis, 1.0)
    axes.axhspan(expected - band, expected + band, color=style.MUTED, alpha=0.12, linewidth=0)
    axes.axhline(expected, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    lines(axes, local, axis, "slope", colors)
    style.size_axis(axes.xaxis, shared[axis], label=AXIS_WORDS.get(axis, axis))
    axes.set_ylabel("local exponent")
    low, high = axes.get_ylim()
    axes.set_ylim(max(min(low, expected - 3 * band), expected - 3), min(max(high, expected + 3 * band), expected + 3))
    style.label_ends(axes, inside(ends(local, axis, "slope"), axes), colors)
    return drawing


def local_slopes(table: pd.DataFrame, axis: str, quantity: str) -> pd.DataFrame:
    """Return d log(quantity) / d log(axis) between neighbouring sizes, at their geometric mean."""
    import pandas as pd

    found = []
    for name, rows in table.dropna(subset=[axis, quantity]).groupby("implementation"):
        one = rows[rows[quantity] > 0].groupby(axis)[quantity].median()
        sizes, values = np.log(one.index.to_numpy(float)), np.log(one.to_numpy(float))
        if len(sizes) < 2:  # noqa: PLR2004
            continue
        middle, slope = np.exp((sizes[1:] + sizes[:-1]) / 2), np.diff(values) / np.diff(sizes)
        found += [{"implementation": name, axis: x, "slope": y} for x, y in zip(middle, slope, strict=True)]
    return pd.DataFrame(found, columns=["implementation", axis, "slope"])


def residuals(sweep: Sweep, colors: Looks, *, laws: Mapping[str, Law]) -> Figure | None:
    """Draw how far the times lie from the laws that were judged; None if there are none."""
    import pandas as pd

    axis = axis_of(sweep)
    parts = []
    for name, law in laws.items():
        rows = sweep.table[sweep.table["implementation"] == name].sort_values(axis)
        rows = rows[rows[axis].between(law.first, law.last)]
        expected = costs(law, rows[axis].to_numpy(float))
        parts.append(rows.assign(residual=rows["law_s"].to_numpy(float) / expected - 1.0))
    if not parts:
        return None
    joined = pd.concat(parts)
    drawing, axes = style.canvas()
    axes.axhline(0.0, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    lines(axes, joined, axis, "residual", colors)
    style.size_axis(axes.xaxis, sweep.shared[axis], label=AXIS_WORDS.get(axis, axis))
    reach = max(0.05, float(joined["residual"].abs().max()) * 1.15)
    axes.set_ylim(-reach, reach)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0 %")
    axes.set_ylabel("measured against the law")
    style.label_ends(axes, ends(joined, axis, "residual"), colors)
    spread = joined.groupby("implementation")["residual"].apply(lambda values: float((values**2).mean() ** 0.5))
    worst = str(spread.idxmax())
    columns, table = numbers(
        joined, axis, [("time", "law_s", units.seconds), ("against the law", "residual", units.percent)]
    )
    title = f"What the law leaves over, along {axis}"
    return Figure(
        id=f"residual-{sweep.key}",
        title=title,
        svg=svg_of(drawing, f"residual-{sweep.key}", title, sweep, colors),
        alt=title,
        how="The times relative to the law by which time was judged. Scatter is noise; a bend or a wave that "
        "several sizes share is a cost that the law does not know.",
        finding=f"The laws miss by {units.percent(float(spread.median()))} as a rule (root mean square), most for "
        f"{worst}: {units.percent(float(spread.max()))}.",
        columns=columns,
        rows=table,
    )


def _slope_finding(local: pd.DataFrame, axis: str, expected: float, *, band: float) -> str:
    if local.empty:
        return "Fewer than two sizes: no exponent."
    last = (
        local.sort_values(axis).groupby("implementation")["slope"].apply(lambda values: float(values.tail(3).median()))
    )
    inside = [str(name) for name, value in last.items() if abs(value - expected) <= band]
    outside = [f"{name} ({value:.2f})" for name, value in last.items() if abs(value - expected) > band]
    words = f"Over the three largest steps {len(inside)} of {len(last)} implementations stay within the band"
    return f"{words}; outside: {units.listing(outside)}." if outside else f"{words}."
