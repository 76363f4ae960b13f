"""What the numbers rest on: agreement with the oracle, and what the sensors said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.chapters.chapter import ROWS_AT_MOST, Chapter, Section, Table, brief, made
from reports.figures import agreement
from reports.figures.device import load, timeline
from reports.figures.figure import slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.results.run import Run
    from reports.figures.sweep import Sweep
    from reports.style import Appearance


def agreement_chapter(table: pd.DataFrame, colors: dict[str, Appearance]) -> Chapter:
    """Show errors against budgets, and every case that has no time, with the reason."""
    figures = made([agreement.budget_shares(table, colors)])
    more = made([agreement.by_feature(table)])
    failed = table[table["status"] != "ok"]
    grouped = failed.groupby(["status", "implementation", "reason"], sort=False).size().reset_index(name="cases")
    rows = tuple(
        (
            str(row["status"]).replace("_", " "),
            str(row["implementation"]),
            f"{row['cases']:,}",
            brief(str(row["reason"])),
        )
        for row in grouped.head(ROWS_AT_MOST).to_dict("records")
    )
    tables = (
        (Table("Cases without a time, and why", ("status", "implementation", "cases", "reason"), rows),) if rows else ()
    )
    sections = [Section("Error against budget", "", figures, more=more)] if figures else []
    if tables:
        sections.append(Section("What did not run, and why", "", (), tables, is_folded=True))
    lead = "Nothing is timed before its output agrees with a float64 computation of the same inputs."
    if not rows:
        lead += " Every planned case ran and agreed."
    return Chapter("agreement", "Agreement", lead, tuple(sections))


def device_chapter(runs: Sequence[Run], drawn: Sequence[Sweep], colors: dict[str, Appearance]) -> Chapter:
    """Show what the sensors said, and why a figure is absent."""
    labels = {run.label: run.label if len(runs) > 1 else "" for run in runs}
    figures = made([timeline.over_run(run, colors, key=slug(run.label), label=labels[run.label]) for run in runs])
    more = made([load.load_series(run.records, colors, key=slug(run.label), run=labels[run.label]) for run in runs])
    more += made([load.energy(sweep, colors) for sweep in drawn])
    if not figures:
        figures, more = more, ()
    absent: dict[str, str] = {}
    for run in runs:
        for record in run.records:
            absent |= record.telemetry.reasons if record.telemetry else {}
    rows = tuple((units.sensor(name, None)[0], brief(reason)) for name, reason in sorted(absent.items()))
    tables = (Table("Figures this machine does not give, and why", ("figure", "reason"), rows),) if rows else ()
    lead = "Utilisation, power, clocks and temperature over the run and under sustained load, and energy per call."
    if not figures:
        lead = "No utilisation, power or temperature was recorded in this run."
    # What has no heading can't be folded, as the sections of a page of several runs are.
    title = "Sensors over the runs" if len(runs) > 1 else ""
    sections = (Section(title, "", figures, tables, more),) if figures or tables else ()
    return Chapter("device", "Device", lead, sections)
