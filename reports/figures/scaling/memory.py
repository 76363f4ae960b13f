"""Extra memory against a swept size, beside the bytes of one score matrix and of one output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.records import BYTES_PER_ELEMENT
from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers
from reports.figures.marks import (
    axis_of,
    lines,
    svg_of,
)
from reports.style import Appearance

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from reports.figures.marks import Looks
    from reports.figures.sweep import Sweep


def memory(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw extra memory against the swept size, with the size of one score matrix; None if none was measured."""
    axis = axis_of(sweep)
    rows = sweep.sorted_by_axis()
    rows = rows[rows["extra_bytes"] > 0]
    if rows.empty:
        return None
    drawing = draw_memory(rows, axis, colors, shared=sweep.shared)
    columns, table = numbers(
        rows, axis, [("measured", "extra_bytes", units.size), ("predicted", "predicted_extra_bytes", units.size)]
    )
    title = f"Extra memory against {AXIS_WORDS.get(axis, axis)}"
    return Figure(
        id=f"memory-{sweep.key}",
        title=title,
        svg=svg_of(drawing, f"memory-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Bytes at the peak of a call beyond inputs and output. Dashed grey lines are the two laws: one matrix of "
        "scores, batch × heads × n × n elements, and one tensor of the output's size, batch × heads × n × d; dotted "  # noqa: RUF001
        "lines are what the planner predicted.",
        finding=_memory_finding(rows, axis),
        columns=columns,
        rows=table,
    )


def draw_memory(
    table: pd.DataFrame, axis: str, colors: Mapping[str, Appearance], *, shared: pd.DataFrame | None = None
) -> Drawing:
    """Draw extra bytes against a size, with the bytes of one score matrix and of one output, and the predictions."""
    drawing, axes = style.canvas()
    everything = table if shared is None else shared
    for name, rows in table.dropna(subset=["predicted_extra_bytes"]).groupby("implementation"):
        positive = rows[rows["predicted_extra_bytes"] > 0]
        axes.plot(
            positive[axis],
            positive["predicted_extra_bytes"],
            color=colors[str(name)].color,
            linestyle=":",
            linewidth=1.0,
        )
    lines(axes, table, axis, "extra_bytes", colors)
    named, looks = ends(table, axis, "extra_bytes"), dict(colors)
    for law, words in ((score_bytes(table), "scores"), (output_bytes(table), "output")):
        level = table.assign(level=law).dropna(subset=["level"]).groupby(axis)["level"].median()
        if len(level) < 2:  # noqa: PLR2004
            continue
        axes.plot(level.index, level, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        sizes, bytes_ = level.index.to_numpy(float), level.to_numpy(float)
        power = round(math.log(bytes_[-1] / bytes_[0]) / math.log(sizes[-1] / sizes[0]), 1)
        label = f"{words} ∝ {axis}{units.power(power)}" if power else f"{words}, constant"
        named[label] = (float(sizes[-1]), float(bytes_[-1]))
        looks[label] = Appearance(slot=-1, color=style.MUTED, marker="", filled=False)
    style.size_axis(axes.xaxis, everything[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(
        axes.yaxis,
        everything["extra_bytes"],
        lambda value: units.size(value, write=units.short),
        label="extra bytes",
        base=1024,
    )
    style.label_ends(axes, named, looks)
    return drawing


def score_bytes(table: pd.DataFrame) -> pd.Series:
    """Return the bytes of one matrix of scores for each row: batch * heads * n_q * n_k * element size."""
    queries, keys = table["n_q"].fillna(table["n"]), table["n_k"].fillna(table["n"])
    return table["batch"].fillna(1) * table["heads"].fillna(1) * queries * keys * table["dtype"].map(BYTES_PER_ELEMENT)


def output_bytes(table: pd.DataFrame) -> pd.Series:
    """Return the bytes of the output for each row: batch * heads * n_q * d_v * element size."""
    queries, features = table["n_q"].fillna(table["n"]), table["d_v"].fillna(table["d"])
    elements = table["batch"].fillna(1) * table["heads"].fillna(1) * queries * features
    return elements * table["dtype"].map(BYTES_PER_ELEMENT)


def _memory_finding(rows: pd.DataFrame, axis: str) -> str:
    largest = rows[rows[axis] == rows[axis].max()].sort_values("extra_bytes")
    first, last = largest.iloc[0], largest.iloc[-1]
    smallest = units.size(first["extra_bytes"])
    words = f"At {axis} = {units.plain(first[axis])} {first['implementation']} takes {smallest} extra"
    greatest = units.size(last["extra_bytes"])
    if len(largest) > 1 and greatest == smallest:
        words += f", {last['implementation']} as much"
    elif len(largest) > 1:
        factor = last["extra_bytes"] / first["extra_bytes"]
        words += f", {last['implementation']} {greatest}: {units.ratio(factor)} as much"
    return f"{words}."
