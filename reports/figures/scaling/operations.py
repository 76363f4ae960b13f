"""Counted operations against a swept size, and time against operations where several sizes vary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers, top
from reports.figures.marks import (
    axis_of,
    cloud,
    count_in,
    lines,
    round_count_in,
    round_seconds,
    sampled,
    svg_of,
)
from reports.figures.scaling.slopes import local_slopes

if TYPE_CHECKING:
    import pandas as pd

    from reports.figures.marks import Looks
    from reports.figures.sweep import Sweep


def operations(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw counted operations against the swept size; None if nothing was counted."""
    axis = axis_of(sweep)
    rows = sweep.sorted_by_axis().dropna(subset=["operations"])
    if rows.empty:
        return None
    drawing, axes = style.canvas()
    lines(axes, rows, axis, "operations", colors)
    style.size_axis(axes.xaxis, sweep.shared[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(axes.yaxis, sweep.shared["operations"], round_count_in("FLOP"), label="operations per call")
    named = ends(rows, axis, "operations")
    if len(named) > 1 and len(set(named.values())) == 1:
        first = next(iter(named))
        # Left of the end of a line that rises; above one that is level, which would cross it out.
        level = rows["operations"].min() == rows["operations"].max()
        axes.annotate(
            f"all {len(named)} alike",
            xy=named[first],
            xytext=(0, 7) if level else (-8, 0),
            textcoords="offset points",
            ha="right",
            color=style.INK,
        )
    else:
        style.label_ends(axes, named, colors)
    finding = _finding(local_slopes(rows, axis, "operations").groupby("implementation")["slope"].last(), axis)
    columns, table = numbers(rows, axis, [("operations", "operations", count_in("FLOP"))])
    title = f"Operations against {AXIS_WORDS.get(axis, axis)}"
    return Figure(
        id=f"operations-{sweep.key}",
        title=title,
        svg=svg_of(drawing, f"operations-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Floating-point operations of one call, from counts rather than clocks: what the arithmetic asks for.",
        finding=finding,
        columns=columns,
        rows=table,
    )


def joint(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw time against operations for a sweep over several axes at once; None if operations are unknown."""
    rows = sweep.table.dropna(subset=["operations"]).sort_values(["implementation", "operations"])
    if rows.empty:
        return None
    drawing, axes = style.canvas()
    cloud(axes, rows, "operations", "time_s", colors)
    style.quantity_axis(axes.xaxis, rows["operations"], round_count_in("FLOP"), label="operations per call")
    style.quantity_axis(axes.yaxis, rows["time_s"], round_seconds, label="seconds per call")
    style.label_ends(axes, ends(rows, "operations", "time_s"), colors)
    title = "Time against operations, all sizes together"
    quickest = top(rows, "tflops")
    columns, table = numbers(
        rows.head(300),
        "operations",
        [("time", "time_s", units.seconds), ("rate in TFLOP/s", "tflops", units.plain)],
    )
    return Figure(
        id=f"joint-{sweep.key}",
        title=title,
        svg=svg_of(drawing, f"joint-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Each point is one case of the joint sweep. If operations alone decided the time, the points of an "
        "implementation would lie on one straight line; scatter across it is what shape adds." + sampled(rows),
        finding=f"Of {units.counted(len(rows), 'case')}, {quickest['implementation']} has the highest rate, "
        f"{units.count(quickest['tflops'] * 1e12, 'FLOP/s')}.",
        columns=columns,
        rows=table,
    )


def _finding(slope: pd.Series[float], axis: str) -> str:
    """Say how operations grow between the two largest sizes of each implementation."""
    if slope.empty:
        return "No implementation was counted at two sizes: no exponent."
    if len(set(slope.round(2))) == 1:
        return f"At the large end all implementations count operations that {_growth(axis, float(slope.iloc[0]))}."
    each = [f"{axis}{units.power(round(value, 2))} for {name}" for name, value in slope.items()]
    return f"At the large end operations grow as {units.listing(each)}."


def _growth(axis: str, slope: float) -> str:
    power = round(slope, 2)
    return f"grow as {axis}{units.power(power)}" if power else f"do not change with {axis}"
