"""Time against a swept size, with the laws that were judged, and crossovers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.scaling.law import costs
from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers
from reports.figures.marks import (
    EXPECTED,
    axis_of,
    guide,
    lines,
    points,
    round_seconds,
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

# The fit has five parameters; with fewer sizes a law passes through every point.
SIZES_FOR_A_LAW = 6
# A fixed cost below this share of the smallest case can't be seen in a figure.
FLOOR_SHOWN = 0.2


def time(sweep: Sweep, colors: Looks, *, laws: Mapping[str, Law] | None = None) -> Figure:
    """Draw time against the swept size."""
    axis = axis_of(sweep)
    rows = sweep.sorted_by_axis()
    laws = judged_laws(sweep) if laws is None else laws
    drawing = draw_time(rows, axis, colors, shared=sweep.shared, laws=laws)
    columns, table = numbers(
        rows, axis, [("time", "time_s", units.seconds), ("95 % from", "low_s", units.seconds),
                     ("to", "high_s", units.seconds), ("best", "best_s", units.seconds), ("flags", "flags", str)]
    )  # fmt: skip
    title = f"Time against {AXIS_WORDS.get(axis, axis)}"
    return Figure(
        id=f"time-{sweep.key}",
        title=title,
        svg=svg_of(drawing, f"time-{sweep.key}", title, sweep, colors),
        alt=title,
        how=f"Points are seconds per call with 95 % intervals. {_lines(axis, laws)} Both axes are logarithmic: "
        f"steepness is the exponent; the dashed guide rises as {axis}{units.power(EXPECTED.get(axis, 1.0))}. "
        "A ring marks a crossover.",
        finding=_time_finding(rows, axis),
        columns=columns,
        rows=table,
    )


def draw_time(
    table: pd.DataFrame,
    axis: str,
    colors: Mapping[str, Appearance],
    *,
    shared: pd.DataFrame | None = None,
    laws: Mapping[str, Law] | None = None,
) -> Drawing:
    """Draw seconds per call with intervals against a size, both logarithmic, with a guide of the expected slope.

    Points of an implementation without a law are joined.
    """
    drawing, axes = style.canvas()
    everything = table if shared is None else shared
    laws = laws or {}
    points(axes, table, axis, "time_s", colors)
    lines(axes, table[~table["implementation"].isin(laws)], axis, "time_s", colors)
    for name, law in laws.items():
        sizes = np.geomspace(law.first, law.last, 60)
        axes.plot(sizes, costs(law, sizes), color=colors[name].color, linewidth=1.3, zorder=1.5)
        if law.floor_share > FLOOR_SHOWN:
            edge = [law.first, law.first * (law.last / law.first) ** 0.07]
            axes.plot(edge, [law.floor] * 2, color=colors[name].color, linewidth=1.3, linestyle=(0, (1, 1)))
        if law.step is not None:
            axes.plot([law.step.at], costs(law, [law.step.at]) * 1.5, marker="v", markersize=4,
                      color=colors[name].color, linestyle="none")  # fmt: skip
    for measured, rows in table.dropna(subset=["low_s", "high_s"]).groupby("implementation"):
        axes.vlines(
            rows[axis], rows["low_s"], rows["high_s"], color=colors[str(measured)].color, linewidth=2.2, alpha=0.45
        )
    style.size_axis(axes.xaxis, everything[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(axes.yaxis, everything["time_s"], round_seconds, label="seconds per call")
    guide(axes, table, axis, "time_s")
    for one, _, where in crossovers(table, axis):
        mine = table[table["implementation"] == one].sort_values(axis)
        level = math.exp(np.interp(math.log(where), np.log(mine[axis]), np.log(mine["time_s"])))
        axes.plot([where], [level], marker="o", markersize=9, markerfacecolor="none", markeredgecolor=style.INK,
                  markeredgewidth=0.9, linestyle="none")  # fmt: skip
    style.label_ends(axes, ends(table, axis, "time_s"), colors)
    return drawing


def _lines(axis: str, laws: Mapping[str, Law]) -> str:
    """Say what the lines are."""
    if not laws:
        return "Lines join them."
    return (
        f"Lines are the laws by which time was judged, fixed cost + power of {axis}, fitted to these times; "
        "where none was judged, they join the points. A dotted stub at the left is the fixed cost, a wedge (▾) a step "
        "of the cost."
    )


def judged_laws(sweep: Sweep) -> dict[str, Law]:
    """Return the law by which each implementation's time was judged on this sweep, if its cases were the ones judged.

    A verdict of an earlier schema, or of another sweep, gives none.
    """
    axis = axis_of(sweep)
    laws: dict[str, Law] = {}
    for name, rows in sweep.table.dropna(subset=[axis, "law_s"]).groupby("implementation"):
        for verdict in sweep.verdicts:
            law = verdict.law
            if law is None or (verdict.implementation, verdict.axis) != (name, axis) or law.sizes < SIZES_FOR_A_LAW:
                continue
            within = rows[rows[axis].between(law.first, law.last)]
            if len(within) >= SIZES_FOR_A_LAW and set(within["id"]) <= set(verdict.cases):
                laws.setdefault(str(name), law)
    return laws


LAW_COLUMNS = ("implementation", "exponent", "fixed cost", "its share of the smallest case", "step of the cost", "at")


def law_rows(laws: Mapping[str, Law], axis: str) -> tuple[tuple[str, ...], ...]:
    """Tabulate laws under LAW_COLUMNS."""
    return tuple(
        (
            name,
            f"{law.exponent:.2f}",
            units.seconds(law.floor) if law.floor > 0 else "none",
            units.percent(law.floor_share),
            "none" if law.step is None else units.ratio(law.step.height),
            "" if law.step is None else f"{axis} {units.plain(round(law.step.at))}",
        )
        for name, law in sorted(laws.items())
    )


def _time_finding(rows: pd.DataFrame, axis: str) -> str:
    largest = rows[rows[axis] == rows[axis].max()].sort_values("time_s")
    if largest.empty:
        return "No case was timed."
    first, last = largest.iloc[0], largest.iloc[-1]
    words = f"At {axis} = {units.plain(first[axis])} {first['implementation']} needs {units.seconds(first['time_s'])}"
    if len(largest) > 1 and first["time_s"] > 0:
        factor = last["time_s"] / first["time_s"]
        words += f", {last['implementation']} {units.seconds(last['time_s'])}: {units.ratio(factor)} as long"
    return f"{words}.{_crossover(rows, axis)}"


def crossovers(rows: pd.DataFrame, axis: str) -> list[tuple[str, str, float]]:
    """List (slower at first, slower at last, size) where two implementations change places for good."""
    wide = rows.pivot_table(index=axis, columns="implementation", values="time_s", aggfunc="median").sort_index()
    found = []
    names = list(wide.columns)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            gap = (wide[one] / wide[other]).dropna().map(math.log)
            # Equal times stand on neither side.
            gap = gap[gap != 0.0]
            changes = np.nonzero(np.diff(np.sign(gap)))[0]
            # One change, and at both ends more than 10 % apart: a crossing, not noise between equals.
            if len(changes) == 1 and min(abs(gap.iloc[0]), abs(gap.iloc[-1])) > math.log(1.1):
                at = changes[0]
                left, right = gap.iloc[at], gap.iloc[at + 1]
                logs = np.log(gap.index.to_numpy(float))
                where = math.exp(logs[at] + (logs[at + 1] - logs[at]) * left / (left - right))
                found.append((one, other, where) if gap.iloc[0] > 0 else (other, one, where))
    return found


def _crossover(rows: pd.DataFrame, axis: str) -> str:
    found = crossovers(rows, axis)
    if not found:
        return ""
    said = [
        f"{slow} overtakes {fast} near {axis} = {units.digits(where, significant=2)}" for slow, fast, where in found[:2]
    ]
    return f" Going up, {units.listing(said)}."
