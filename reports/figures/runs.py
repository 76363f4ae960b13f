"""Several runs side by side: each case of a run relative to the same case of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers

if TYPE_CHECKING:
    import pandas as pd

    from reports.figures.sweep import Sweep

# Separate runs of the same code differ by this much on a quiet machine.
SAME_WITHIN = 0.03
# Columns that make a case the same in two runs; the device name is free, so that machines compare.
SAME = ["scenario", "problem", "implementation", "dtype", "direction", "cache"]


def against_first(table: pd.DataFrame, *, first: str, other: str) -> pd.DataFrame:
    """Return the ok cases that two runs share, with `factor`: the other run's time over the first's."""
    from reports.frame import AXES

    ok = table[table["status"] == "ok"]
    keyed = ok.assign(point=ok[list(AXES)].map(str).agg(" ".join, axis=1))
    base = keyed[keyed["run"] == first].drop_duplicates([*SAME, "point"])
    joined = keyed[keyed["run"] == other].merge(
        base[[*SAME, "point", "time_s"]], on=[*SAME, "point"], suffixes=("", "_first")
    )
    return joined.assign(factor=joined["time_s"] / joined["time_s_first"])


def relative(sweep: Sweep, colors: dict[str, style.Appearance], *, first: str) -> Figure | None:
    """Draw a run's times over those of the first run along a sweep; None if they share no case."""
    if sweep.axis is None or sweep.run == first:
        return None
    joined = against_first(sweep.shared, first=first, other=sweep.run).sort_values(["implementation", sweep.axis])
    if joined.empty:
        return None
    import seaborn as sns

    drawing, axes = style.canvas()
    axes.axhline(1.0, color=style.INK, linewidth=0.9)
    sns.lineplot(
        data=joined, x=sweep.axis, y="factor", hue="implementation", style="implementation", ax=axes, legend=False,
        estimator=None, palette=style.colors_of(colors, joined["implementation"]), dashes=False, markeredgewidth=0,
        markers=style.markers_of(colors, joined["implementation"]),
    )  # fmt: skip
    style.size_axis(axes.xaxis, joined[sweep.axis], label=AXIS_WORDS.get(sweep.axis, sweep.axis))
    style.quantity_axis(axes.yaxis, [*joined["factor"], 1.0], units.ratio_tick, label=f"time over that of {first}")
    style.label_ends(axes, ends(joined, sweep.axis, "factor"), colors)
    centre = float(np.exp(np.log(joined["factor"]).median()))
    title = f"{sweep.run} relative to {first}, against {AXIS_WORDS.get(sweep.axis, sweep.axis)}"
    columns, rows = numbers(
        joined,
        sweep.axis,
        [
            (first, "time_s_first", units.seconds),
            (sweep.run, "time_s", units.seconds),
            ("factor", "factor", units.ratio),
        ],
    )
    name = f"relative-{sweep.key}"
    alt = f"{title}; {sweep.conditions}. Median factor {units.ratio(centre)}."
    words = "as fast" if abs(centre - 1) < SAME_WITHIN else "faster" if centre < 1 else "slower"
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(
            drawing,
            prefix=name,
            alt=alt,
            colors=colors,
        ),
        alt=title,
        how=f"Time in {sweep.run} divided by that of the same case in {first}. Below the line is faster. The "
        "runs were not interleaved: differences of a few percent may be the machine's day.",
        finding=f"The median over {units.counted(len(joined), 'shared case')} is {units.ratio(centre)} the time of "
        f"{first}: {sweep.run} is {words}.",
        columns=columns,
        rows=rows,
    )
