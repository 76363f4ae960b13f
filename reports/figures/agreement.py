"""Agreement: error over budget of every case that was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports import style, units
from reports.figures.figure import Figure, top
from reports.published import is_causal

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

# More points than this in one strip hide one another and swell the file; a strip then shows evenly spaced ranks.
POINTS_AT_MOST = 250
# Room for slanted names below a map.
SLANTED_INCHES = 0.8
# Rows of the map of features, the warmest first; the table has all of them.
KINDS_AT_MOST = 24


def budget_shares(table: pd.DataFrame, colors: dict[str, style.Appearance]) -> Figure | None:
    """Draw the largest error / budget of each checked case by implementation; None if nothing was checked."""
    checked = _checked(table)
    if checked.empty:
        return None
    title = "Error as a share of its budget"
    worst = top(checked, "agreement_ratio")
    over = int((checked["agreement_ratio"] > 1).sum())
    return Figure(
        id="agreement-budget",
        title=title,
        svg=style.to_svg(
            draw_shares(checked, colors),
            prefix="agreement",
            alt=f"{title}: one dot per case, by implementation; {over} of {len(checked)} exceed the budget. "
            "Counts and worst shares are in the table below the figure.",
            colors=colors,
        ),
        alt=title,
        how="Each dot is a case: the largest error of its output against the float64 oracle, divided by what "
        "honest rounding may cost in its dtype. Left of the red line passes; right of it the case is rejected and "
        "never timed.",
        finding=f"{units.counted(len(checked), 'case')} checked, {over} over budget; the largest share is "
        f"{units.digits(float(worst['agreement_ratio']))}, of {worst['implementation']} in {worst['dtype']}.",
        columns=("implementation", "dtype", "feature", "cases checked", "median share", "largest share"),
        rows=_summary(checked),
        wide=True,
    )


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    """Return the cases whose error was held against a budget."""
    checked = table.dropna(subset=["agreement_ratio"])
    return checked[checked["agreement_ratio"] > 0]


def draw_shares(checked: pd.DataFrame, colors: dict[str, style.Appearance]) -> Drawing:
    """Draw a strip of dots for each implementation, with the budget as a line."""
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
        palette=style.colors_of(colors, drawn["implementation"]), size=3.2, alpha=0.6, jitter=0.25, linewidth=0,
    )  # fmt: skip
    np.random.set_state(state)  # noqa: NPY002
    values = [*checked["agreement_ratio"], 1.0]
    style.quantity_axis(axes.xaxis, values, units.short, label="largest error / budget")
    axes.axvline(1.0, color=style.ALARM, linewidth=1.2)
    axes.annotate(
        "budget",
        xy=(1.0, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-3, 2),
        textcoords="offset points",
        ha="right",
        color=style.ALARM,
    )
    axes.set_yticks(range(len(order)), [style.clipped(name) for name in order])
    axes.set_ylabel("")
    axes.tick_params(axis="y", labelcolor=style.INK)
    return drawing


def _summary(checked: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Tabulate how many cases of each implementation, dtype and feature were checked, and their shares."""
    by = ["implementation", "dtype", "feature"]
    featured = checked.assign(feature=features(checked))
    shares = featured.groupby(by)["agreement_ratio"].agg(["count", "median", "max"]).reset_index()
    return tuple(
        (
            row["implementation"],
            row["dtype"],
            row["feature"],
            units.plain(row["count"]),
            units.digits(row["median"]),
            units.digits(row["max"]),
        )
        for row in shares.to_dict("records")
    )


def features(table: pd.DataFrame) -> list[str]:
    """Say what each case asks of an implementation beyond a plain forward call: masks, grouped heads, gradients."""
    asked = [
        "causal",
        "valid_lens",
        "kv_heads",
        "heads",
        "n_q",
        "n_k",
        "d_v",
        "d",
        "direction",
        "cache",
        "window",
        "softcap",
    ]
    asked += ["bias", "layout", "values"]
    return [_feature(row) for row in table[asked].to_dict("records")]


def _feature(row: Mapping[Hashable, Any]) -> str:
    asked = {
        "causal": is_causal(row["causal"]),
        "valid_lens": bool(row["valid_lens"]),
        "grouped heads": _differ(row["kv_heads"], row["heads"]),
        "n_q ≠ n_k": _differ(row["n_q"], row["n_k"]),
        "d_v ≠ d": _differ(row["d_v"], row["d"]),
        "window": not units.absent(row["window"]),
        "softcap": not units.absent(row["softcap"]),
        "bias": bool(row["bias"]),
        "layout": bool(row["layout"]),
        "values": bool(row["values"]),
        str(row["direction"]): row["direction"] != "forward",
        "cold caches": row["cache"] == "cold",
    }
    return ", ".join(name for name, holds in asked.items() if holds) or "plain forward"


def _differ(one: float, other: float) -> bool:
    return not units.absent(one) and not units.absent(other) and one != other


def by_feature(table: pd.DataFrame) -> Figure | None:
    """Draw the largest share of the budget by implementation, dtype and feature; None if there is but one kind."""
    checked = _checked(table)
    if checked.empty:
        return None
    kinds = [f"{dtype}, {feature}" for dtype, feature in zip(checked["dtype"], features(checked), strict=True)]
    wide = checked.assign(kind=kinds).pivot_table(
        index="kind", columns="implementation", values="agreement_ratio", aggfunc="max"
    )
    if len(wide) < 2:  # noqa: PLR2004  (one kind needs no map)
        return None
    wide = wide.loc[wide.max(axis=1).sort_values(ascending=False).index].head(KINDS_AT_MOST)
    title = "Largest error over budget by implementation, dtype and feature"
    kind, name = str(wide.index[0]), str(wide.iloc[0].idxmax())
    finding = f"The largest share is {units.digits(float(wide.iloc[0].max()))}, of {name} in {kind}."
    alt = f"Heat map. {title}. {finding}"
    return Figure(
        id="agreement-features",
        title=title,
        svg=style.to_svg(draw_features(wide), prefix="agreement-features", alt=alt, colors={}),
        alt=title,
        how="Each cell is the largest error over budget among its cases: blue is well inside, orange over 1 is "
        "rejected. A row that is warm throughout is a hard feature, a column that is warm throughout a rough "
        "implementation.",
        finding=finding,
        wide=True,
    )


def draw_features(wide: pd.DataFrame) -> Drawing:
    """Draw a table of largest shares, kinds of cases down and implementations across, as a heat map."""
    import numpy as np
    import seaborn as sns

    drawing, axes = style.canvas(inches=(style.WIDE[0], 0.9 + 0.3 * len(wide) + SLANTED_INCHES))
    sns.heatmap(
        np.log10(wide), ax=axes, cmap=sns.blend_palette(["#7fb6dc", "#f6f2ec", "#e9b384"], as_cmap=True), vmin=-2,
        vmax=2, cbar=False, linewidths=1.5, linecolor=style.PAPER, fmt="",
        annot=[["" if units.absent(value) else units.digits(value, significant=2) for value in row]
               for row in wide.to_numpy()],
        annot_kws={"size": style.FONT_POINTS - 0.8, "color": "#20262c"},
    )  # fmt: skip
    axes.grid(visible=False)
    axes.set_xticklabels([style.clipped(str(name)) for name in wide.columns], rotation=30, ha="right", color=style.INK)
    axes.set_yticklabels([str(name) for name in wide.index], rotation=0, color=style.INK)
    axes.set_xlabel("implementation")
    axes.set_ylabel("")
    return drawing


def _evenly(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep at most POINTS_AT_MOST rows, evenly spaced by rank, the largest always among them."""
    if len(rows) <= POINTS_AT_MOST:
        return rows
    ranked = rows.sort_values("agreement_ratio", ascending=False)
    step = len(ranked) / POINTS_AT_MOST
    return ranked.iloc[[int(index * step) for index in range(POINTS_AT_MOST)]]
