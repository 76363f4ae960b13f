"""Agreement: error over budget of every case that was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure, top

if TYPE_CHECKING:
    import pandas as pd

# More points than this in one strip hide one another and swell the file; a strip then shows evenly spaced ranks.
POINTS_AT_MOST = 250


def budget_shares(table: pd.DataFrame, colors: dict[str, style.Look]) -> Figure | None:
    """Draw the largest error / budget of each checked case by implementation; None where nothing was checked."""
    checked = table.dropna(subset=["agreement_ratio"])
    checked = checked[checked["agreement_ratio"] > 0]
    if checked.empty:
        return None
    import numpy as np
    import seaborn as sns

    order = sorted(checked["implementation"].unique())
    drawn = checked.groupby("implementation", group_keys=False)[checked.columns.tolist()].apply(_evenly)
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.1 + 0.28 * len(order)))
    # The jitter of a strip plot comes from numpy's global generator; a fixed seed keeps files identical.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    sns.stripplot(
        data=drawn, x="agreement_ratio", y="implementation", order=order, hue="implementation", ax=axes, legend=False,
        palette=style.palette(colors, drawn["implementation"]), size=3.2, alpha=0.6, jitter=0.25, linewidth=0,
    )  # fmt: skip
    np.random.set_state(state)  # noqa: NPY002
    values = [*checked["agreement_ratio"], 1.0]
    style.quantity_axis(axes.xaxis, values, units.short, label="largest error / budget")
    axes.axvline(1.0, color=style.ALARM, linewidth=1.2)
    axes.annotate(
        "budget",
        xy=(1.0, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, 2),
        textcoords="offset points",
        color=style.ALARM,
    )
    axes.set_yticks(range(len(order)), [style.clipped(name) for name in order])
    axes.set_ylabel("")
    axes.tick_params(axis="y", labelcolor=style.INK)
    title = "Error as a share of its budget"
    worst = top(checked, "agreement_ratio")
    over = int((checked["agreement_ratio"] > 1).sum())
    summary = (
        checked.groupby(["implementation", "dtype"])["agreement_ratio"].agg(["count", "median", "max"]).reset_index()
    )
    return Figure(
        id="agreement-budget",
        title=title,
        svg=style.to_svg(
            drawing,
            prefix="agreement",
            alt=f"{title}: one dot a case, by implementation; {over} of {len(checked)} exceed the budget. "
            "Counts and worst shares are in the table below the figure.",
            colors=colors,
        ),
        alt=title,
        how="Each dot is a case: the largest error of its output against the float64 oracle, divided by what "
        "honest rounding may cost in its dtype. Left of the red line passes; right of it the case is rejected and "
        "never timed.",
        finding=f"{units.counted(len(checked), 'case')} checked, {over} over budget; the largest share is "
        f"{units.digits(float(worst['agreement_ratio']))}, of {worst['implementation']} in {worst['dtype']}.",
        columns=("implementation", "dtype", "cases checked", "median share", "largest share"),
        rows=tuple(
            (
                row["implementation"],
                row["dtype"],
                units.plain(row["count"]),
                units.digits(row["median"]),
                units.digits(row["max"]),
            )
            for row in summary.to_dict("records")
        ),
        wide=True,
    )


def _evenly(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep at most POINTS_AT_MOST rows, evenly spaced by rank, the largest always among them."""
    if len(rows) <= POINTS_AT_MOST:
        return rows
    ranked = rows.sort_values("agreement_ratio", ascending=False)
    step = len(ranked) / POINTS_AT_MOST
    return ranked.iloc[[int(index * step) for index in range(POINTS_AT_MOST)]]
