"""On what values times hold, and whose time depends on them: one sentence, where a run has more than normal ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.frame import AXES

if TYPE_CHECKING:
    import pandas as pd

# What inputs are drawn from where a case does not say.
NORMAL = "normal"
# What else tells cases apart that compare.
SHARED = ("implementation", "dtype", "device", "direction", "cache")


def values_sentence(ok: pd.DataFrame) -> str:
    """Say on which kinds of values cases were timed, and whose time another kind changes most; "" if all are normal."""
    kinds = ok["values"].replace("", NORMAL)
    if set(kinds) <= {NORMAL}:
        return ""
    said = f"Times were taken on values that are {units.listing([kind.replace('_', '-') for kind in kinds.unique()])}"
    rows = ok.assign(values=kinds)
    keys = [*SHARED, *(axis for axis in AXES if axis != "values")]
    # NaN never equals NaN; text does.
    rows["place"] = rows[keys].map(str).agg(" ".join, axis=1)
    usual = rows[rows["values"] == NORMAL].drop_duplicates("place").set_index("place")
    others = rows[(rows["values"] != NORMAL) & rows["place"].isin(set(usual.index))].dropna(subset=["low_s", "high_s"])
    beside = usual.loc[others["place"]]
    lows, highs = beside["low_s"].to_numpy(), beside["high_s"].to_numpy()
    apart = others[(others["low_s"].to_numpy() > highs) | (others["high_s"].to_numpy() < lows)]
    if others.empty:
        return f"{said}."
    if apart.empty:
        return f"{said}; within their intervals no time depends on them."
    factor = apart["time_s"] / usual.loc[apart["place"], "time_s"].to_numpy()
    most = apart.loc[factor.map(lambda value: max(value, 1 / value)).idxmax()]
    return (
        f"{said}; the largest change is that of {most['implementation']}, which takes "
        f"{units.ratio(factor[most.name])} the time on {str(most['values']).replace('_', '-')} ones."
    )
