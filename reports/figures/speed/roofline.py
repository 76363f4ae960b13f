"""The roofline: the rate of every case under the ceilings that were measured on the same machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import Figure
from reports.figures.marks import cloud, sampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from harness.records import Ceiling
    from reports.figures.marks import Looks


def roofline(
    table: pd.DataFrame,
    ceilings: Sequence[Ceiling],
    colors: Looks,
    *,
    dtype: str,
    key: str,
    after: Sequence[Ceiling] = (),
) -> Figure | None:
    """Draw rate against operations per byte under the measured ceilings; None without ceilings or counts.

    `after` are the same ceilings measured again at the end of the run, if they were; the line takes the larger.
    """
    reached = _reached(ceilings, after)
    rate = rate_ceiling(reached, dtype)
    bandwidth = next((ceiling for ceiling in reached if ceiling.unit == "B/s"), None)
    rows = _cases(table, dtype)
    if rows.empty or rate is None or bandwidth is None or min(rate.value, bandwidth.value) <= 0:
        return None
    shares = _shares(rows, rate, bandwidth)
    title, name = f"Roofline, {dtype}", f"roofline-{key}-{dtype}"
    sheet = f", datasheet {units.count(rate.datasheet, rate.unit)}" if rate.datasheet else ""
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(
            draw_roofline(rows, rate, bandwidth, colors),
            prefix=name,
            alt=f"{title}: achieved rate of every case under the measured ceilings of "
            f"{units.count(rate.value, 'FLOP/s')} and {units.count(bandwidth.value, 'B/s')}. The best share of each "
            "implementation is in the table below the figure.",
            colors=colors,
        ),
        alt=title,
        how="Each point is a case: how many operations it does for each byte that must move, and the rate it reached, "
        f"from its time. The line is what the machine can do: flat, the best matrix product measured here "
        f"({rate.how}{sheet}); sloped, the measured {bandwidth.name} of {units.count(bandwidth.value, 'B/s')}. Tensors "
        "that stay in a cache may move faster than the slope."
        + _remeasured(ceilings, [rate.name, bandwidth.name], after)
        + sampled(rows),
        finding=_finding(shares),
        columns=("implementation", "best share of the roofline"),
        rows=tuple((str(name), units.percent(float(value))) for name, value in shares.items()),
        wide=True,
    )


def _cases(table: pd.DataFrame, dtype: str) -> pd.DataFrame:
    """Return the ok cases of a dtype whose operations and bytes are known, with `intensity` and `rate`."""
    rows = table[(table["status"] == "ok") & (table["dtype"] == dtype)].dropna(subset=["operations", "ideal_bytes"])
    rows = rows[(rows["ideal_bytes"] > 0) & (rows["law_s"] > 0) & (rows["operations"] > 0)]
    return rows.assign(intensity=rows["operations"] / rows["ideal_bytes"], rate=rows["operations"] / rows["law_s"])


def _shares(rows: pd.DataFrame, rate: Ceiling, bandwidth: Ceiling) -> pd.Series[float]:
    """Return the best share of the line that each implementation reaches, the highest first."""
    line = np.minimum(rate.value, bandwidth.value * rows["intensity"])
    best: pd.Series[float] = (rows["rate"] / line).groupby(rows["implementation"]).max()
    return best.sort_values(ascending=False)


def draw_roofline(rows: pd.DataFrame, rate: Ceiling, bandwidth: Ceiling, colors: Looks) -> Drawing:
    """Draw the cases as points under the line of what the machine can do."""
    drawing, axes = style.canvas(inches=(style.WIDE[0], 3.9))
    bend = rate.value / bandwidth.value
    # The slope is in the picture even if no case is down there.
    low, high = min(float(rows["intensity"].min()), bend) / 2, float(rows["intensity"].max()) * 2
    corners = sorted({low, min(max(bend, low), high), high})
    axes.plot(
        corners,
        [min(rate.value, bandwidth.value * x) for x in corners],
        color=style.INK,
        linewidth=1.4,
        solid_capstyle="butt",
    )
    cloud(axes, rows, "intensity", "rate", colors)
    style.quantity_axis(
        axes.xaxis,
        [low, high],
        lambda value: units.count(value, "", write=units.short),
        label="operations per byte (of ideal traffic)",
    )
    style.quantity_axis(
        axes.yaxis,
        [*rows["rate"], rate.value],
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations per second",
    )
    axes.annotate(
        f"{rate.name}: {units.count(rate.value, 'FLOP/s')}", xy=(min(bend, high), rate.value), xytext=(2, 4),
        ha="left", va="bottom", textcoords="offset points", color=style.INK,
    )  # fmt: skip
    ordered = rows.sort_values(["intensity", "rate"]).groupby("implementation").tail(1)
    rightmost = zip(ordered["implementation"], ordered["intensity"], ordered["rate"], strict=True)
    style.label_ends(axes, {str(name): (float(x), float(y)) for name, x, y in rightmost}, colors)
    return drawing


def _finding(shares: pd.Series[float]) -> str:
    closest = f"{shares.index[0]} comes closest, with {units.percent(float(shares.iloc[0]))} of the line"
    if len(shares) == 1:
        return f"{closest}."
    return f"{closest}; {shares.index[-1]} reaches {units.percent(float(shares.iloc[-1]))} at best."


def _reached(ceilings: Sequence[Ceiling], after: Sequence[Ceiling]) -> list[Ceiling]:
    """Return each ceiling with the larger of its values at the start and at the end: other work only lowers them."""
    later = {ceiling.name: ceiling.value for ceiling in after}
    return [
        ceiling.model_copy(update={"value": max(ceiling.value, later.get(ceiling.name, 0.0))}) for ceiling in ceilings
    ]


def _remeasured(ceilings: Sequence[Ceiling], drawn: Sequence[str], after: Sequence[Ceiling]) -> str:
    """Say what the drawn ceilings came to at the start and at the end of the run, nothing if once alone."""
    later = {ceiling.name: ceiling for ceiling in after}
    said = [
        f"{ceiling.name} {units.count(ceiling.value, ceiling.unit)} and then "
        f"{units.count(later[ceiling.name].value, ceiling.unit)} "
        f"({units.change(later[ceiling.name].value / ceiling.value)})"
        for ceiling in ceilings
        if ceiling.name in drawn and ceiling.name in later
    ]
    return f" Measured at the start and at the end, of which the larger counts: {units.listing(said)}." if said else ""


def rate_ceiling(ceilings: Sequence[Ceiling], dtype: str) -> Ceiling | None:
    """Return the ceiling of the matrix-product rate that holds for a dtype, None if none was measured."""
    return next((ceiling for ceiling in ceilings if ceiling.name == f"matmul {dtype}"), None)
