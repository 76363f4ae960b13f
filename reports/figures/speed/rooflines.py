"""The rooflines of several machines in one drawing: what each can do, and the best that any case reached on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure
from reports.figures.marks import cloud
from reports.figures.speed.roofline import placed, rate_ceiling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from harness.results.run import Run
    from reports.figures.marks import Looks

# One machine has a roofline of its own.
SEVERAL = 2
Corner = tuple[float, float]


def rooflines(table: pd.DataFrame, several: Sequence[Run], *, dtype: str) -> Figure | None:
    """Draw the rooflines of runs over each other, with their cases; None where fewer than two have one in the dtype."""
    rows, ceilings = placed(table, dtype), _ceilings(several, dtype)
    rows = rows[rows["run"].isin(set(ceilings))]
    if rows["run"].nunique() < SEVERAL:
        return None
    ceilings = {label: corner for label, corner in ceilings.items() if label in set(rows["run"])}
    # A machine takes the place that an implementation has in other clouds.
    rows = rows.assign(implementation=rows["run"])
    colors = style.looks(ceilings)
    best = rows.groupby("run")["rate"].max()
    title, name = f"Rooflines side by side, {dtype}", f"rooflines-{dtype}"
    quickest = str(best.idxmax())
    shown = tuple(
        (label, units.count(rate, "FLOP/s"), units.count(bandwidth, "B/s"), units.count(float(best[label]), "FLOP/s"))
        for label, (rate, bandwidth) in ceilings.items()
    )
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(
            draw_rooflines(rows, ceilings, colors),
            prefix=name,
            alt=f"{title}: the rate of every case under the ceilings of its machine. They are in the table below.",
            colors=colors,
        ),
        alt=title,
        how="Each line is what a machine can do, as it was measured on it: flat, the best matrix product; sloped, the "
        "bandwidth. Each point is a case, in the colour of its machine.",
        finding=f"The highest rate is reached on {quickest}: {units.count(float(best[quickest]), 'FLOP/s')}.",
        columns=("on", "matrix product", "bandwidth", "best case"),
        rows=shown,
        wide=True,
    )


def _ceilings(several: Sequence[Run], dtype: str) -> dict[str, Corner]:
    """Return the rate and the bandwidth that were measured for each run, by label."""
    found = {}
    for run in several:
        ceilings = run.environment.ceilings if run.environment else []
        rate = rate_ceiling(ceilings, dtype)
        bandwidth = next((ceiling for ceiling in ceilings if ceiling.unit == "B/s"), None)
        if rate is not None and bandwidth is not None and min(rate.value, bandwidth.value) > 0:
            found[run.label] = (rate.value, bandwidth.value)
    return found


def draw_rooflines(rows: pd.DataFrame, ceilings: dict[str, Corner], colors: Looks) -> Drawing:
    """Draw each machine's line with its cases, named at its end."""
    drawing, axes = style.canvas(inches=(style.WIDE[0], 3.9))
    bends = [rate / bandwidth for rate, bandwidth in ceilings.values()]
    low = min(float(rows["intensity"].min()), *bends) / 2
    high = 2 * max(float(rows["intensity"].max()), *bends)
    for label, (rate, bandwidth) in ceilings.items():
        corners = [low, rate / bandwidth, high]
        axes.plot(
            corners, [min(rate, bandwidth * x) for x in corners], color=colors[label].color, linewidth=1.4,
            solid_capstyle="butt",
        )  # fmt: skip
    cloud(axes, rows, "intensity", "rate", colors)
    style.quantity_axis(
        axes.xaxis,
        [low, high],
        lambda value: units.count(value, "", write=units.short),
        label="operations per byte (of ideal traffic)",
    )
    style.quantity_axis(
        axes.yaxis,
        [*rows["rate"], *(rate for rate, _ in ceilings.values())],
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations per second",
    )
    style.label_ends(axes, {label: (high, rate) for label, (rate, _) in ceilings.items()}, colors)
    return drawing
