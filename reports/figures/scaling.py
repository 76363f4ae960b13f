"""Scaling: time, memory and operations against a swept size, with slopes, fitted laws and guides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import AXIS_WORDS, BYTES_PER_ELEMENT, Figure, ends, numbers, top
from reports.style import Look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from numpy.typing import NDArray

    from reports.figures.figure import Sweep

Looks = dict[str, style.Look]
# Exponents of attention's cost along each axis: 4 * batch * heads * n^2 * d operations.
EXPECTED = {"n": 2.0, "n_q": 1.0, "n_k": 1.0, "d": 1.0, "heads": 1.0, "batch": 1.0, "width": 1.0}
# The band around a claimed exponent within which a measured one counts as consistent.
BAND = 0.25
# The profile fit has five parameters; with fewer sizes it would pass through every point.
SIZES_FOR_A_LAW = 6
# More points hide one another and swell the file.
POINTS_AT_MOST = 900
# A fixed cost below this share of the smallest case can't be seen in a figure.
FLOOR_SHOWN = 0.2


def time(sweep: Sweep, colors: Looks, *, laws: Mapping[str, Law] | None = None) -> Figure:
    """Draw time against the swept size."""
    axis = _axis(sweep)
    rows = sweep.sorted_by_axis()
    drawing = draw_time(rows, axis, colors, shared=sweep.shared, laws=laws)
    columns, table = numbers(
        rows, axis, [("median", "median_s", units.seconds), ("95 % from", "low_s", units.seconds),
                     ("to", "high_s", units.seconds), ("best", "best_s", units.seconds), ("flags", "flags", str)]
    )  # fmt: skip
    title = f"Time against {AXIS_WORDS.get(axis, axis)}"
    return Figure(
        id=f"time-{sweep.key}",
        title=title,
        svg=_svg(drawing, f"time-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Points are median seconds a call with 95 % intervals; lines are the law fitted to the best samples, "
        f"fixed cost + power of {axis}. A dotted stub at the left is the fixed cost, a wedge (▾) a step of the cost, "
        f"a ring a crossover. Both axes are logarithmic: steepness is the exponent; the dashed guide rises as "
        f"{axis}{units.power(EXPECTED.get(axis, 1.0))}.",
        finding=_time_finding(rows, axis),
        columns=columns,
        rows=table,
    )


def draw_time(
    table: pd.DataFrame,
    axis: str,
    colors: Mapping[str, Look],
    *,
    shared: pd.DataFrame | None = None,
    laws: Mapping[str, Law] | None = None,
) -> Drawing:
    """Draw median seconds with intervals against a size, both logarithmic, with a guide of the expected slope."""
    drawing, axes = style.canvas()
    everything = table if shared is None else shared
    laws = fitted_laws(table, axis) if laws is None else laws
    _points(axes, table, axis, "median_s", colors)
    lines(axes, table[~table["implementation"].isin(laws)], axis, "median_s", colors)
    for name, law in laws.items():
        sizes = np.geomspace(law.first, law.last, 60)
        axes.plot(sizes, law.cost(sizes), color=colors[name].color, linewidth=1.3, zorder=1.5)
        if law.floor_share > FLOOR_SHOWN:
            edge = [law.first, law.first * (law.last / law.first) ** 0.07]
            axes.plot(edge, [law.floor] * 2, color=colors[name].color, linewidth=1.3, linestyle=(0, (1, 1)))
        if law.transition is not None:
            axes.plot([law.transition], law.cost(np.array([law.transition])) * 1.5, marker="v", markersize=4,
                      color=colors[name].color, linestyle="none")  # fmt: skip
    for measured, rows in table.dropna(subset=["low_s", "high_s"]).groupby("implementation"):
        axes.vlines(
            rows[axis], rows["low_s"], rows["high_s"], color=colors[str(measured)].color, linewidth=2.2, alpha=0.45
        )
    style.size_axis(axes.xaxis, everything[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(axes.yaxis, everything["median_s"], _round_seconds, label="seconds a call")
    _guide(axes, table, axis, "median_s")
    for one, _, where in crossovers(table, axis):
        mine = table[table["implementation"] == one].sort_values(axis)
        level = math.exp(np.interp(math.log(where), np.log(mine[axis]), np.log(mine["median_s"])))
        axes.plot([where], [level], marker="o", markersize=9, markerfacecolor="none", markeredgecolor=style.INK,
                  markeredgewidth=0.9, linestyle="none")  # fmt: skip
    style.label_ends(axes, ends(table, axis, "median_s"), colors)
    return drawing


@dataclass(frozen=True)
class Law:
    """Hold a fitted law floor + slope (size / first)^exponent K(size), in seconds, over sizes first..last.

    K rises from 1 to `height` around `transition`, where there is one; `floor_share` is the fixed cost's share at the
    smallest size.
    """

    first: float
    last: float
    exponent: float
    floor: float
    slope: float
    height: float
    transition: float | None
    floor_share: float
    octaves: float

    def cost(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the law's seconds at sizes."""
        step: NDArray[np.float64] = np.ones_like(sizes)
        if self.transition is not None:
            step = 1.0 + (self.height - 1.0) / (1.0 + np.exp(-np.log2(sizes / self.transition) / (self.octaves / 2.0)))
        found: NDArray[np.float64] = self.floor + self.slope * (sizes / self.first) ** self.exponent * step
        return found


def fitted_laws(table: pd.DataFrame, axis: str) -> dict[str, Law]:
    """Fit a law to the best samples of each implementation that has enough sizes."""
    from harness.policy import ScalingPolicy
    from harness.scaling.exponent import exponent_profile

    policy = ScalingPolicy()
    found = {}
    for name, rows in table.dropna(subset=[axis, "best_s"]).groupby("implementation"):
        best = rows[rows["best_s"] > 0].groupby(axis)["best_s"].median().sort_index()
        if len(best) < SIZES_FOR_A_LAW:
            continue
        sizes, costs = best.index.to_numpy(float), best.to_numpy(float)
        profile = exponent_profile(sizes, costs[None], claimed=EXPECTED.get(axis, 1.0), policy=policy)
        height = float(profile.height[0])
        found[str(name)] = Law(
            first=float(sizes[0]),
            last=float(sizes[-1]),
            exponent=float(profile.best[0]),
            floor=float(profile.floor[0]),
            slope=float(profile.slope[0]),
            height=height,
            transition=None if height == 1.0 else 2.0 ** float(profile.place[0]),
            floor_share=float(profile.floor_share[0][0]),
            octaves=policy.transition_octaves,
        )
    return found


LAW_COLUMNS = ("implementation", "exponent", "fixed cost", "its share of the smallest case", "step of the cost", "at")


def law_rows(laws: Mapping[str, Law], axis: str) -> tuple[tuple[str, ...], ...]:
    """Tabulate fitted laws under LAW_COLUMNS."""
    return tuple(
        (
            name,
            f"{law.exponent:.2f}",
            units.seconds(law.floor) if law.floor > 0 else "none",
            units.percent(law.floor_share),
            "none" if law.transition is None else units.ratio(law.height),
            "" if law.transition is None else f"{axis} {units.plain(round(law.transition))}",
        )
        for name, law in sorted(laws.items())
    )


def residuals(sweep: Sweep, colors: Looks, *, laws: Mapping[str, Law]) -> Figure | None:
    """Draw how far the best samples lie from the fitted law; None where no law was fitted."""
    import pandas as pd

    axis = _axis(sweep)
    parts = []
    for name, law in laws.items():
        rows = sweep.table[sweep.table["implementation"] == name].sort_values(axis)
        expected = law.cost(rows[axis].to_numpy(float))
        parts.append(rows.assign(residual=rows["best_s"].to_numpy(float) / expected - 1.0))
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
        joined, axis, [("best", "best_s", units.seconds), ("against the law", "residual", units.percent)]
    )
    title = f"What the law leaves over, along {axis}"
    return Figure(
        id=f"residual-{sweep.key}",
        title=title,
        svg=_svg(drawing, f"residual-{sweep.key}", title, sweep, colors),
        alt=title,
        how="The best samples relative to the fitted law. Scatter is noise; a bend or a wave that several sizes share "
        "is a cost that the law does not know.",
        finding=f"The laws miss by {units.percent(float(spread.median()))} as a rule (root mean square), most for "
        f"{worst}: {units.percent(float(spread.max()))}.",
        columns=columns,
        rows=table,
    )


def slopes(sweep: Sweep, colors: Looks) -> Figure:
    """Draw the local exponent between neighbouring sizes."""
    axis = _axis(sweep)
    local = local_slopes(sweep.sorted_by_axis(), axis, "best_s")
    drawing = draw_slopes(local, axis, colors, shared=sweep.shared)
    columns, table = numbers(local, axis, [("local exponent", "slope", units.plain)])
    expected = EXPECTED.get(axis, 1.0)
    title = f"Local exponent along {axis}"
    return Figure(
        id=f"slope-{sweep.key}",
        title=title,
        svg=_svg(drawing, f"slope-{sweep.key}", title, sweep, colors),
        alt=title,
        how="The exponent between neighbouring sizes, from the best (second smallest) samples. A clean law settles on "
        f"a level; the band is {expected:g} ± {BAND:g}, the claimed exponent and its tolerance. Fixed costs pull the "
        "left end down, a change of kernel or cache makes a bump.",
        finding=_slope_finding(local, axis, expected),
        columns=columns,
        rows=table,
    )


def draw_slopes(local: pd.DataFrame, axis: str, colors: Mapping[str, Look], *, shared: pd.DataFrame) -> Drawing:
    """Draw a table of local exponents, as `local_slopes` returns it."""
    drawing, axes = style.canvas()
    expected = EXPECTED.get(axis, 1.0)
    axes.axhspan(expected - BAND, expected + BAND, color=style.MUTED, alpha=0.12, linewidth=0)
    axes.axhline(expected, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    lines(axes, local, axis, "slope", colors)
    style.size_axis(axes.xaxis, shared[axis], label=AXIS_WORDS.get(axis, axis))
    axes.set_ylabel("local exponent")
    low, high = axes.get_ylim()
    axes.set_ylim(max(min(low, expected - 3 * BAND), expected - 3), min(max(high, expected + 3 * BAND), expected + 3))
    style.label_ends(axes, _inside(ends(local, axis, "slope"), axes), colors)
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


def memory(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw extra memory against the swept size, with the size of one score matrix; None where none was measured."""
    axis = _axis(sweep)
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
        svg=_svg(drawing, f"memory-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Bytes at the peak of a call beyond inputs and output. Dashed grey lines are the two laws: one matrix of "
        "scores, batch × heads × n × n elements, and one tensor of the output's size, batch × heads × n × d; dotted "  # noqa: RUF001
        "lines are what the planner predicted.",
        finding=_memory_finding(rows, axis),
        columns=columns,
        rows=table,
    )


def draw_memory(
    table: pd.DataFrame, axis: str, colors: Mapping[str, Look], *, shared: pd.DataFrame | None = None
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
        looks[label] = Look(slot=-1, color=style.MUTED, marker="", filled=False)
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


def operations(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw counted operations against the swept size; None where nothing was counted."""
    axis = _axis(sweep)
    rows = sweep.sorted_by_axis().dropna(subset=["operations"])
    if rows.empty:
        return None
    drawing, axes = style.canvas()
    lines(axes, rows, axis, "operations", colors)
    style.size_axis(axes.xaxis, sweep.shared[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(axes.yaxis, sweep.shared["operations"], _round_count("FLOP"), label="operations a call")
    named = ends(rows, axis, "operations")
    if len(named) > 1 and len(set(named.values())) == 1:
        first = next(iter(named))
        axes.annotate(
            f"all {len(named)} alike",
            xy=named[first],
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            color=style.INK,
        )
    else:
        style.label_ends(axes, named, colors)
    slope = local_slopes(rows, axis, "operations").groupby("implementation")["slope"].last()
    same = len(set(slope.round(2))) == 1
    finding = (
        f"At the large end all implementations count operations that {_growth(axis, float(slope.iloc[0]))}."
        if same and len(slope)
        else "At the large end operations grow as "
        + units.listing([f"{axis}{units.power(round(value, 2))} for {name}" for name, value in slope.items()])
        + "."
    )
    columns, table = numbers(rows, axis, [("operations", "operations", _count("FLOP"))])
    title = f"Operations against {AXIS_WORDS.get(axis, axis)}"
    return Figure(
        id=f"operations-{sweep.key}",
        title=title,
        svg=_svg(drawing, f"operations-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Floating-point operations of one call, from counts rather than clocks: what the arithmetic asks for.",
        finding=finding,
        columns=columns,
        rows=table,
    )


def joint(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw time against operations for a sweep over several axes at once; None where operations are unknown."""
    rows = sweep.table.dropna(subset=["operations"]).sort_values(["implementation", "operations"])
    if rows.empty:
        return None
    drawing, axes = style.canvas()
    cloud(axes, rows, "operations", "median_s", colors)
    style.quantity_axis(axes.xaxis, rows["operations"], _round_count("FLOP"), label="operations a call")
    style.quantity_axis(axes.yaxis, rows["median_s"], _round_seconds, label="seconds a call")
    style.label_ends(axes, ends(rows, "operations", "median_s"), colors)
    title = "Time against operations, all sizes together"
    quickest = top(rows, "tflops")
    columns, table = numbers(
        rows.head(300),
        "operations",
        [("median", "median_s", units.seconds), ("rate in TFLOP/s", "tflops", units.plain)],
    )
    return Figure(
        id=f"joint-{sweep.key}",
        title=title,
        svg=_svg(drawing, f"joint-{sweep.key}", title, sweep, colors),
        alt=title,
        how="Each point is one case of the joint sweep. If operations alone decided the time, the points of an "
        "implementation would lie on one straight line; scatter across it is what shape adds." + sampled(rows),
        finding=f"Of {units.counted(len(rows), 'case')}, {quickest['implementation']} has the highest rate, "
        f"{units.count(quickest['tflops'] * 1e12, 'FLOP/s')}.",
        columns=columns,
        rows=table,
    )


def _axis(sweep: Sweep) -> str:
    if sweep.axis is None:
        raise ValueError(f"scenario {sweep.scenario!r} sweeps several axes at once")
    return sweep.axis


def _svg(drawing: Drawing, prefix: str, title: str, sweep: Sweep, colors: Looks) -> str:
    names = units.listing(sorted(sweep.table["implementation"].unique()))
    alt = f"{title}: lines for {names}; {sweep.conditions}. The numbers are in the table below the figure."
    return style.to_svg(drawing, prefix=prefix, alt=alt, colors=colors)


def lines(axes: Axes, table: pd.DataFrame, x: str, y: str, colors: Mapping[str, Look]) -> None:
    """Draw one line with markers for each implementation, in order of x."""
    for name, rows in table.dropna(subset=[x, y]).sort_values(x).groupby("implementation"):
        look = colors[str(name)]
        axes.plot(rows[x], rows[y], color=look.color, marker=look.marker, markeredgewidth=0)


def cloud(axes: Axes, table: pd.DataFrame, x: str, y: str, colors: Mapping[str, Look]) -> None:
    """Draw cases as unconnected points; of very many, evenly spaced ones of each implementation along x."""
    for name, rows in table.dropna(subset=[x, y]).groupby("implementation"):
        share = max(1, round(POINTS_AT_MOST * len(rows) / len(table)))
        ranked = rows.sort_values(x)
        shown = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), share)).astype(int))]
        look = colors[str(name)]
        axes.plot(shown[x], shown[y], color=look.color, marker=look.marker, markersize=4.5, markeredgewidth=0,
                  alpha=0.75, linestyle="none")  # fmt: skip


def sampled(table: pd.DataFrame) -> str:
    """Say that a cloud shows only some of the cases, where it does."""
    many = len(table) > POINTS_AT_MOST
    return f" Of {len(table):,} cases about {POINTS_AT_MOST:,}, evenly chosen, are drawn." if many else ""


def _points(axes: Axes, table: pd.DataFrame, x: str, y: str, colors: Mapping[str, Look]) -> None:
    for name, rows in table.dropna(subset=[x, y]).groupby("implementation"):
        look = colors[str(name)]
        axes.plot(
            rows[x], rows[y], color=look.color, marker=look.marker, markersize=4, markeredgewidth=0, linestyle="none"
        )


def _guide(axes: Axes, table: pd.DataFrame, axis: str, quantity: str) -> None:
    """Draw a dashed line of the expected slope a little below the lowest points."""
    drawn = table.dropna(subset=[axis, quantity])
    if drawn[axis].nunique() < 2:  # noqa: PLR2004
        return
    exponent = EXPECTED.get(axis, 1.0)
    sizes = np.array([drawn[axis].min(), drawn[axis].max()], dtype=float)
    level = float((drawn[quantity] / drawn[axis] ** exponent).min()) * 0.6
    axes.plot(sizes, level * sizes**exponent, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)


def _inside(found: dict[str, tuple[float, float]], axes: Axes) -> dict[str, tuple[float, float]]:
    low, high = axes.get_ylim()
    return {name: (x, min(max(y, low), high)) for name, (x, y) in found.items()}


def _time_finding(rows: pd.DataFrame, axis: str) -> str:
    largest = rows[rows[axis] == rows[axis].max()].sort_values("median_s")
    if largest.empty:
        return "No case was timed."
    first, last = largest.iloc[0], largest.iloc[-1]
    words = f"At {axis} = {units.plain(first[axis])} {first['implementation']} needs {units.seconds(first['median_s'])}"
    if len(largest) > 1 and first["median_s"] > 0:
        factor = last["median_s"] / first["median_s"]
        words += f", {last['implementation']} {units.seconds(last['median_s'])}: {units.ratio(factor)} as long"
    return f"{words}.{_crossover(rows, axis)}"


def crossovers(rows: pd.DataFrame, axis: str) -> list[tuple[str, str, float]]:
    """List (slower at first, slower at last, size) where two implementations change places for good."""
    wide = rows.pivot_table(index=axis, columns="implementation", values="median_s", aggfunc="median").sort_index()
    found = []
    names = list(wide.columns)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            gap = (wide[one] / wide[other]).dropna().map(math.log)
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


def _slope_finding(local: pd.DataFrame, axis: str, expected: float) -> str:
    if local.empty:
        return "Fewer than two sizes: no exponent."
    last = (
        local.sort_values(axis).groupby("implementation")["slope"].apply(lambda values: float(values.tail(3).median()))
    )
    inside = [str(name) for name, value in last.items() if abs(value - expected) <= BAND]
    outside = [f"{name} ({value:.2f})" for name, value in last.items() if abs(value - expected) > BAND]
    words = f"Over the three largest steps {len(inside)} of {len(last)} implementations stay within the band"
    return f"{words}; outside: {units.listing(outside)}." if outside else f"{words}."


def _growth(axis: str, slope: float) -> str:
    power = round(slope, 2)
    return f"grow as {axis}{units.power(power)}" if power else f"do not change with {axis}"


def _memory_finding(rows: pd.DataFrame, axis: str) -> str:
    largest = rows[rows[axis] == rows[axis].max()].sort_values("extra_bytes")
    first, last = largest.iloc[0], largest.iloc[-1]
    smallest = units.size(first["extra_bytes"])
    words = f"At {axis} = {units.plain(first[axis])} {first['implementation']} takes {smallest} extra"
    if len(largest) > 1:
        factor = last["extra_bytes"] / first["extra_bytes"]
        words += f", {last['implementation']} {units.size(last['extra_bytes'])}: {units.ratio(factor)} as much"
    return f"{words}."


def _round_seconds(value: float) -> str:
    return units.seconds(value, write=units.short)


def _count(unit: str) -> Callable[[float], str]:
    return lambda value: units.count(value, unit)


def _round_count(unit: str) -> Callable[[float], str]:
    return lambda value: units.count(value, unit, write=units.short)
