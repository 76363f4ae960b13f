"""Tiles: the answer in a few figures, each the link to the drawing that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import units
from reports.answer.fastest import contrast
from reports.answer.law import laws
from reports.answer.sentences import baseline_of, leading_cases
from reports.figures.figure import slug, top

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.results.run import Run


@dataclass(frozen=True)
class Tile:
    """One answer: a value with what it is, a remark, and the kind of figure that shows it."""

    value: str
    label: str
    remark: str = ""
    kind: str = ""


def tiles(run: Run, table: pd.DataFrame) -> list[Tile]:
    """List the answers of a run: the law by count and by time, who is fastest, its memory, and agreement."""
    found = [*_of_law(run), *_of_speed(run, table)]
    checked = table.dropna(subset=["agreement_ratio"])
    rest = len(table) - int((table["status"] == "ok").sum())
    remark = f"{units.counted(rest, 'case')} without a time" if rest else "every planned case has a time"
    if not checked.empty:
        agreed = int((checked["agreement_ratio"] <= 1).sum())
        found.append(Tile(f"{agreed:,} / {len(checked):,}", "answers agree with float64", remark, "agreement"))
    return found


def _of_law(run: Run) -> list[Tile]:
    leading = next(iter(laws(run)), None)
    if leading is None:
        return []
    found = []
    if leading.exact:
        many = f"counted, for {len(leading.exact)} of {len(leading.counted)}"
        found.append(Tile(leading.shape, "operations grow as", many, "operations"))
    names = leading.in_time or leading.judged_in_time
    exponent = leading.exponent("n", names)
    if exponent is not None:
        agreeing = f"agrees for {len(leading.in_time)} of {len(leading.judged_in_time)}"
        remark = agreeing if leading.in_time or leading.against_time else "inconclusive"
        found.append(Tile(f"n{units.power(exponent)}", "measured time grows as", remark, "time"))
    return found


def _of_speed(run: Run, table: pd.DataFrame) -> list[Tile]:
    ok = leading_cases(run, table)
    best = contrast(ok, baseline=baseline_of(run))
    found = []
    if best is None:
        rated = ok.dropna(subset=["tflops"])
        if not rated.empty:
            most = top(rated, "tflops")
            rate = units.count(float(most["tflops"]) * 1e12, "FLOP/s")
            found.append(Tile(rate, "highest throughput", str(most["implementation"]), "throughput"))
        return found
    place = f"at n = {units.plain(best.n)}"
    if not best.stands_out:
        found.append(Tile(units.seconds(best.seconds), f"{best.fastest}, per call", place, "time"))
    else:
        found.append(
            Tile(units.ratio(best.factor), f"{best.fastest} over {best.other}", f"as fast, {place}", "speed-up")
        )
    if best.extra is not None:
        remark = f"{best.other}: {units.size(best.other_extra)}" if best.other_extra is not None else place
        found.append(Tile(units.size(best.extra), f"extra memory of {best.fastest}", remark, "memory"))
    return found


def place_of(tile: Tile, ids: Sequence[str], run: Run) -> str:
    """Return the id of the figure that shows a tile's answer, "" if the page has none."""
    leading = next(iter(laws(run)), None)
    mine = [name for name in ids if name.startswith(f"{tile.kind}-")] if tile.kind else []
    own = [name for name in mine if name.startswith(f"{tile.kind}-{slug(run.label)}-")] or mine
    alike = [name for name in own if leading and f"-{slug(leading.dtype)}-" in name] or own
    return alike[0] if alike else ""
