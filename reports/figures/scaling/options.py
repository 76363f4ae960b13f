"""Time against the values of an option, as categories, where no size varies beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import Figure, ends
from reports.figures.marks import points, round_seconds, svg_of
from reports.figures.sweep import OPTIONS, SIZES

if TYPE_CHECKING:
    import pandas as pd

    from reports.figures.marks import Looks
    from reports.figures.sweep import Sweep

# More names would meet one another below the axis.
CATEGORIES_AT_MOST = 8
# A category's name is cut to this width, in points, shared by all.
NAMES_POINTS = 190.0
# How far from a category's middle the marks of the outermost implementations lie.
BESIDE = 0.28


def by_option(sweep: Sweep, colors: Looks) -> Figure | None:
    """Draw time for each value of the one option that varies; None if a size varies, no option, several, or many."""
    table = sweep.table
    varying = [name for name in (*OPTIONS, *SIZES) if name in table and len(table[name].unique()) > 1]
    if len(varying) != 1 or varying[0] not in OPTIONS:
        return None
    option = varying[0]
    table = table.assign(category=table[option].map(_named)).sort_values(["implementation", option])
    categories = list(dict.fromkeys(table.sort_values(option)["category"]))
    if len(categories) > CATEGORIES_AT_MOST:
        return None
    title, name = f"Time by {option}", f"option-{sweep.key}"
    drawing, axes = style.canvas()
    table = _placed(table, categories)
    points(axes, table, "place", "time_s", colors)
    for measured, rows in table.dropna(subset=["low_s", "high_s"]).groupby("implementation"):
        axes.vlines(
            rows["place"], rows["low_s"], rows["high_s"], color=colors[str(measured)].color, linewidth=2.2, alpha=0.45
        )
    width = NAMES_POINTS / len(categories)
    axes.set_xticks(range(len(categories)), [style.clipped(one, points=width) for one in categories])
    axes.set_xlim(-0.5, len(categories) - 0.5)
    axes.set_xlabel(option)
    style.quantity_axis(axes.yaxis, table["time_s"], round_seconds, label="seconds per call")
    style.label_ends(axes, ends(table, "place", "time_s"), colors)
    written = tuple(
        (str(row["implementation"]), str(row["category"]), units.seconds(row["time_s"]))
        for row in table.to_dict("records")
    )
    return Figure(
        id=name,
        title=title,
        svg=svg_of(drawing, name, title, sweep, colors),
        alt=title,
        how=f"Each mark is one implementation with one value of {option}, its 95 % interval behind it. Values of an "
        "option have no order that a line could follow.",
        finding=_finding(table, option),
        columns=("implementation", option, "time"),
        rows=written,
    )


def _named(value: object) -> str:
    if value == "" or value is None:
        return "none"
    return units.plain(value) if isinstance(value, float) else str(value)


def _placed(table: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    """Give each row its place: its category's, moved a little for each implementation."""
    names = sorted(table["implementation"].unique())
    moved = dict(zip(names, np.linspace(-BESIDE, BESIDE, len(names)) if len(names) > 1 else [0.0], strict=True))
    place = table["category"].map(categories.index) + table["implementation"].map(moved)
    return table.assign(place=place.astype(float))


def _finding(table: pd.DataFrame, option: str) -> str:
    """Name the quickest and the slowest value of each implementation, the one that differs most first."""
    said = []
    for name, rows in table.groupby("implementation"):
        ordered = rows.sort_values("time_s")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        if len(ordered) > 1:
            ratio = float(last["time_s"] / first["time_s"])
            said.append(
                (
                    ratio,
                    f"{name} takes {units.ratio(ratio)} as long with {last['category']} as with {first['category']}",
                )
            )
    if not said:
        return f"Each implementation was timed with one value of {option}."
    return f"By {option}, {max(said)[1]}."
