"""Runs side by side: what differs between them, times, ceilings and rooflines of each, times relative to the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.chapters.chapter import ROWS_AT_MOST, Chapter, Section, Table, made
from reports.figures import runs
from reports.frame import AXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.results.run import Run
    from reports.figures.sweep import Sweep
    from reports.style import Appearance

# Figures that are shown at once; the others open on demand.
SHOWN = 2


def runs_chapter(
    several: Sequence[Run], drawn: Sequence[Sweep], table: pd.DataFrame, colors: dict[str, Appearance]
) -> Chapter | None:
    """Set runs side by side: what differs between them, and their times relative to the first."""
    first = several[0]
    labels = tuple(run.label for run in several)
    tables: tuple[Table, ...] = ()
    if facts := _differing(several):
        tables += (Table("What differs between the machines", ("fact", *labels), facts),)
        beside = (_times(several, table), _ceilings(several), _shares(several, table))
        tables += tuple(one for one in beside if one.rows)
    if rows := _factors(several, table):
        columns = ("run", "implementation", "shared cases", "median factor", "smallest", "largest")
        tables += (Table(f"Time relative to {first.label}", columns, rows),)
    figures = made([runs.relative(sweep, colors, first=first.label) for sweep in drawn])
    if not figures and not tables:
        return None
    section = Section("Side by side", "", figures[:SHOWN], tables, figures[SHOWN:])
    return Chapter("runs", "Runs", f"Every run relative to {first.label}.", (section,))


def _times(several: Sequence[Run], table: pd.DataFrame) -> Table:
    """Set the times of each scenario x implementation beside each other, at the largest point that all runs timed."""
    columns = ("scenario", "implementation", "conditions", "largest point of all", *(run.label for run in several))
    ok = table[table["status"] == "ok"]
    if ok.empty:
        return Table("Times side by side", columns, ())
    placed = ok.assign(place=ok[[*runs.SAME, *AXES]].map(str).agg(" ".join, axis=1))
    shared = placed[placed.groupby("place")["run"].transform("nunique") == len(several)]
    rows = []
    for _, group in shared.groupby(runs.SAME, sort=False):
        largest = group.sort_values(["operations", "time_s"]).iloc[-1]
        same = group[group["place"] == largest["place"]].drop_duplicates("run").set_index("run")
        point = ", ".join(
            f"{name} {units.plain(value) if isinstance(value, float) else value}"
            for name in AXES
            if str(value := largest[name]) not in {"", "nan", "None"}
        )
        conditions = " ".join(str(largest[name]) for name in ("dtype", "direction") if largest[name])
        times = (units.seconds(float(same["time_s"][run.label])) for run in several)
        rows.append((str(largest["scenario"]), str(largest["implementation"]), conditions, point, *times))
    return Table("Times side by side", columns, tuple(rows[:ROWS_AT_MOST]))


def _ceilings(several: Sequence[Run]) -> Table:
    """Set the ceilings that were measured on each machine beside each other."""
    found = [{one.name: one for one in (run.environment.ceilings if run.environment else ())} for run in several]
    rows = [
        (name, *(units.count(of[name].value, of[name].unit) if name in of else units.ABSENT for of in found))
        for name in dict.fromkeys(name for of in found for name in of)
    ]
    return Table("Ceilings side by side", ("ceiling", *(run.label for run in several)), tuple(rows))


def _shares(several: Sequence[Run], table: pd.DataFrame) -> Table:
    """Set the best share of the roofline of each dtype and implementation beside each other."""
    known = table[table["status"] == "ok"].dropna(subset=["roofline_share"])
    best: dict[tuple[str, str, str], float] = {}
    for row in known.to_dict("records"):
        key = (str(row["dtype"]), str(row["implementation"]), str(row["run"]))
        best[key] = max(best.get(key, 0.0), row["roofline_share"])
    rows = [
        (dtype, implementation, *(_share(best.get((dtype, implementation, run.label))) for run in several))
        for dtype, implementation in dict.fromkeys(key[:2] for key in best)
    ]
    columns = ("dtype", "implementation", *(run.label for run in several))
    return Table("Best share of each machine's roofline, side by side", columns, tuple(rows))


def _share(value: float | None) -> str:
    return units.ABSENT if units.absent(value) else units.percent(value)


def _differing(several: Sequence[Run]) -> tuple[tuple[str, ...], ...]:
    """List the facts about the machines that are not the same for all runs, with each run's value."""
    names = sorted({name for run in several if run.environment for name in run.environment.stable})
    facts = []
    for name in names:
        values = [
            units.fact(name, run.environment.stable[name])
            if run.environment and name in run.environment.stable
            else units.ABSENT
            for run in several
        ]
        if len(set(values)) > 1:
            facts.append((name, *values))
    return tuple(facts)


def _factors(several: Sequence[Run], table: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Summarise each implementation's times over those of the first run, a row for each other run."""
    rows = []
    for run in several[1:]:
        joined = runs.against_first(table, first=several[0].label, other=run.label)
        for implementation, mine in joined.groupby("implementation"):
            factors = mine["factor"]
            rows.append((run.label, str(implementation), f"{len(mine):,}", units.ratio(float(factors.median())),
                         units.ratio(float(factors.min())), units.ratio(float(factors.max()))))  # fmt: skip
    return tuple(rows)
