"""Runs side by side: what differs between them, and their times relative to the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.chapters.chapter import Chapter, Section, Table, made
from reports.figures import runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.results.run import Run
    from reports.figures.sweep import Sweep
    from reports.style import Look


def runs_chapter(
    several: Sequence[Run], drawn: Sequence[Sweep], table: pd.DataFrame, colors: dict[str, Look]
) -> Chapter | None:
    """Set runs side by side: what differs between them, and their times relative to the first."""
    first = several[0]
    labels = tuple(run.label for run in several)
    tables: tuple[Table, ...] = ()
    if facts := _differing(several):
        tables += (Table("What differs between the machines", ("fact", *labels), facts),)
    if rows := _factors(several, table):
        columns = ("run", "implementation", "shared cases", "median factor", "smallest", "largest")
        tables += (Table(f"Time relative to {first.label}", columns, rows),)
    figures = made([runs.relative(sweep, colors, first=first.label) for sweep in drawn])
    if not figures and not tables:
        return None
    return Chapter(
        "runs", "Runs", f"Every run relative to {first.label}.", (Section("Side by side", "", figures, tables),)
    )


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
