"""Who is fastest, by how much, and with how much memory: one sentence about the largest size that most share."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports import units

if TYPE_CHECKING:
    import pandas as pd

# Within a tenth two implementations tell no story.
CLOSE = 1.1
# Beyond this a share of memory is a number that tells nobody anything.
LITTLE = 1e5
# A point that nearly all implementations reached speaks for them, even if a slow one stopped earlier.
SHARED_BY_MOST = 0.7


@dataclass(frozen=True)
class Contrast:
    """The fastest implementation at one point, who is as fast, and the one that it is set against, None if alone.

    `unresolved` are those beyond a tenth of its time whose 95 % interval overlaps with its own.
    """

    n: float
    fastest: str
    seconds: float
    extra: float | None
    tied: tuple[str, ...]
    unresolved: tuple[str, ...] = ()
    other: str | None = None
    other_seconds: float = 0.0
    other_extra: float | None = None

    @property
    def factor(self) -> float:
        """Return how many times as fast it is."""
        return self.other_seconds / self.seconds

    @property
    def stands_out(self) -> bool:
        """Tell whether it is faster than the other by more than a tenth, and significantly."""
        return self.other is not None and self.other not in (*self.tied, *self.unresolved)


def contrast(ok: pd.DataFrame, *, baseline: str) -> Contrast | None:
    """Set the quickest implementation at the largest n against the baseline, or the one with most extra memory.

    The second where the baseline itself is the quickest, or within a tenth of it. None if no case with an n was timed.
    Implementations are what they are by default: the best of many settings is another question.
    """
    point = _largest_point(ok[ok["default"] == ok["implementation"]])
    if point.empty:
        return None
    ordered = point.sort_values("time_s")
    quickest = ordered.iloc[0]
    others = ordered[ordered["implementation"] != quickest["implementation"]]
    close = others["time_s"] <= CLOSE * quickest["time_s"]
    # Without intervals, as in tables of other tools, nothing overlaps.
    overlaps = others["low_s"].astype(float) <= float(quickest["high_s"] or math.nan)
    found = Contrast(
        float(quickest["n"]),
        str(quickest["implementation"]),
        float(quickest["time_s"]),
        _known(quickest),
        tied=_names(others[close]),
        unresolved=_names(others[overlaps & ~close]),
    )
    if others.empty:
        return found
    against = others[(others["implementation"] == baseline) & (others["time_s"] > CLOSE * quickest["time_s"])]
    if against.empty:
        against = others.sort_values(["extra_bytes", "time_s"], na_position="first").tail(1)
    other = against.iloc[0]
    return replace(
        found, other=str(other["implementation"]), other_seconds=float(other["time_s"]), other_extra=_known(other)
    )


def _names(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(map(str, rows["implementation"].unique()))


def _known(row: pd.Series) -> float | None:
    return None if units.absent(row["extra_bytes"]) else float(row["extra_bytes"])


def contrast_sentence(ok: pd.DataFrame, *, baseline: str) -> str:
    """Say who is fastest at the largest n, by how much and with how much memory; "" if nothing was timed."""
    found = contrast(ok, baseline=baseline)
    if found is None:
        return ""
    place, memory = f"At n = {units.plain(found.n)}", _memory(found)
    if found.other is None:
        return f"{place} {found.fastest} takes {units.seconds(found.seconds)} per call{memory}."
    if found.other in found.tied:
        return (
            f"{place} no implementation stands out: {found.fastest} takes {units.seconds(found.seconds)}, "
            f"{_others(found.tied)} within 10 %{_beside(found)}."
        )
    if not found.stands_out:
        return (
            f"{place} {found.fastest} is not significantly faster than {found.other}: "
            f"{units.seconds(found.seconds)} against {units.seconds(found.other_seconds)}{memory}; "
            "their 95 % intervals overlap."
        )
    alike = [f"{_others(found.tied)} within 10 %"] if found.tied else []
    alike += [f"{_others(found.unresolved)} not significantly slower"] if found.unresolved else []
    beside = f" ({', '.join(alike)})" if alike else ""
    return f"{place} {found.fastest} is fastest{beside}: {units.ratio(found.factor)} as fast as {found.other}{memory}."


def _others(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else units.counted(len(names), "other")


def _memory(found: Contrast) -> str:
    """Say what memory the fastest takes beside the other."""
    mine, theirs = found.extra, found.other_extra
    if mine is None:
        return ""
    if mine and units.size(mine) == units.size(theirs):
        return f", with as much extra memory ({units.size(mine)})"
    own = f"{units.size(mine)} of extra memory" if mine else "no extra memory"
    if found.other is None or theirs is None:
        return f", with {own}"
    if not mine or not theirs:
        return f", with {own} against {units.size(theirs) if theirs else 'none'}"
    return f", with {_times(mine / theirs)} extra memory ({units.size(mine)} against {units.size(theirs)})"


def _beside(found: Contrast) -> str:
    """Say what memory each of two that are as fast takes, "" if that is not known."""
    mine, theirs = found.extra, found.other_extra
    if mine is None or theirs is None:
        return ""
    if units.size(mine) == units.size(theirs):
        return f"; both take {units.size(mine)} of extra memory" if mine else "; neither takes extra memory"
    return f"; extra memory is {units.size(mine)} for {found.fastest}, {units.size(theirs)} for {found.other}"


def _times(share: float) -> str:
    """Say what a share of memory is to that of another: 1/250 of its, 3.00x its."""
    if share > 1:
        return f"{units.ratio(share)} its"
    many = 1 / share
    if many >= LITTLE:
        return "little"
    return f"1/{units.digits(many, significant=2)} of its" if many >= 2 else "less"  # noqa: PLR2004


def _largest_point(ok: pd.DataFrame) -> pd.DataFrame:
    """Return the timed cases at the largest n that most implementations share, of one dtype and direction."""
    import pandas as pd

    from reports.frame import AXES

    keys = [*AXES, "dtype", "direction", "cache", "device"]
    sized = ok.dropna(subset=["n"])
    if sized.empty:
        return sized
    point = pd.Series(list(zip(*(sized[name].map(str) for name in keys), strict=True)), index=sized.index)
    shared = sized.groupby(point)["implementation"].transform("nunique")
    most = sized[shared >= SHARED_BY_MOST * shared.max()]
    chosen = most.sort_values(["n", "operations"]).index[-1]
    same = point[chosen]
    found: pd.DataFrame = sized[[key == same for key in point]]
    return found
