"""The chapters of the page: which figures and tables a run gives rise to, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reports import answer, units
from reports.figures import agreement, device, scaling, speed
from reports.figures.figure import Figure, Sweep, sweeps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from reports.frame import Run
    from reports.style import Look

# Figures of sweeps beyond this many are left to the explorer, so that the cost of a page stays bounded.
SWEEPS_AT_MOST = 12
# Rows of a table of findings; the table of cases has all of them.
ROWS_AT_MOST = 200


@dataclass(frozen=True)
class Table:
    """A small table with a caption."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """Some figures and tables under one heading."""

    title: str
    lead: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """A chapter of the page; `lead` opens it."""

    id: str
    title: str
    lead: str
    sections: tuple[Section, ...] = field(default=())


# What the problems beside attention are called in headings.
PROBLEM_TITLES = {"multihead": "Multi-head attention", "pooling": "Attention pooling"}


def chapters(runs: Sequence[Run], table: pd.DataFrame, colors: dict[str, Look]) -> list[Chapter]:
    """Build every chapter that the runs have data for."""
    every = sweeps(runs, table)
    drawn = every[:SWEEPS_AT_MOST]
    of_attention = [sweep for sweep in drawn if sweep.problem == "attention"]
    found = [
        scaling_chapter(of_attention, colors, left=every[SWEEPS_AT_MOST:]),
        speed_chapter(runs, of_attention, table, colors),
    ]
    others = list(dict.fromkeys(sweep.problem for sweep in every if sweep.problem != "attention"))
    found += [problem_chapter(problem, runs, [s for s in drawn if s.problem == problem], colors) for problem in others]
    found += [agreement_chapter(table, colors), device_chapter(runs, drawn, colors)]
    return [chapter for chapter in found if chapter is not None]


def scaling_chapter(drawn: Sequence[Sweep], colors: dict[str, Look], *, left: Sequence[Sweep]) -> Chapter | None:
    """Show time, slopes, memory and operations along each axis."""
    if not drawn:
        return None
    sections = []
    for sweep in drawn:
        if sweep.axis is None:
            figures = _made([scaling.joint(sweep, colors)])
        else:
            figures = _made([scaling.time(sweep, colors), scaling.slopes(sweep, colors), scaling.memory(sweep, colors),
                             scaling.operations(sweep, colors)])  # fmt: skip
        sections.append(Section(_heading(sweep), sweep.conditions, figures))
    lead = "How time, memory and the number of operations grow with each size, the others held fixed."
    if left:
        names = units.listing([f"{sweep.scenario} ({sweep.dtype}, {sweep.direction})" for sweep in left[:6]])
        lead += f" Also measured, and open in the explorer: {names}{' and others' if len(left) > 6 else ''}."  # noqa: PLR2004
    return Chapter("scaling", "Scaling", lead, tuple(sections))


def speed_chapter(
    runs: Sequence[Run], drawn: Sequence[Sweep], table: pd.DataFrame, colors: dict[str, Look]
) -> Chapter | None:
    """Show speed-ups, throughput and the roofline."""
    baselines = {run.label: answer.baseline_of(run) for run in runs}
    sections = []
    for sweep in drawn:
        if sweep.axis is None:
            continue
        figures = _made([speed.speed_up(sweep, baseline=baselines[sweep.run]), scaling.throughput(sweep, colors)])
        if figures:
            sections.append(Section(_heading(sweep), sweep.conditions, figures))
    for run in runs:
        ceilings = run.environment.ceilings if run.environment else []
        mine = table[(table["run"] == run.label) & (table["problem"] == "attention")]
        made = _made(
            [
                speed.roofline(mine, ceilings, colors, dtype=dtype, key=_id(run.label))
                for dtype in mine["dtype"].unique()
            ]
        )
        if made:
            title = "Against the machine's ceilings" + (f": {run.label}" if len(runs) > 1 else "")
            sections.append(Section(title, "", made))
    if not sections:
        return None
    return Chapter(
        "speed", "Speed", "Who is faster, by how much, and how close to what the machine can do.", tuple(sections)
    )


def problem_chapter(
    problem: str, runs: Sequence[Run], drawn: Sequence[Sweep], colors: dict[str, Look]
) -> Chapter | None:
    """Show the sweeps of a problem beside attention: time, memory, and its phases stacked by size."""
    sections = []
    for sweep in drawn:
        if sweep.axis is None:
            continue
        run = next(run for run in runs if run.label == sweep.run)
        made = _made([scaling.time(sweep, colors), scaling.memory(sweep, colors), *_phases(run, sweep)])
        sections.append(Section(_heading(sweep), sweep.conditions, made))
    if not sections:
        return None
    title = PROBLEM_TITLES.get(problem, problem.capitalize())
    return Chapter(f"problem-{_id(problem)}", title, "", tuple(sections))


def agreement_chapter(table: pd.DataFrame, colors: dict[str, Look]) -> Chapter:
    """Show errors against budgets, and every case that has no time, with the reason."""
    figures = _made([agreement.budget_shares(table, colors)])
    failed = table[table["status"] != "ok"]
    grouped = failed.groupby(["status", "implementation", "reason"], sort=False).size().reset_index(name="cases")
    rows = tuple(
        (
            str(row["status"]).replace("_", " "),
            str(row["implementation"]),
            f"{row['cases']:,}",
            _brief(str(row["reason"])),
        )
        for row in grouped.head(ROWS_AT_MOST).to_dict("records")
    )
    tables = (
        (Table("Cases without a time, and why", ("status", "implementation", "cases", "reason"), rows),) if rows else ()
    )
    sections = [Section("Error against budget", "", figures)] if figures else []
    if tables:
        sections.append(Section("What did not run, and why", "", (), tables))
    lead = "Nothing is timed before its output agrees with a float64 computation of the same inputs."
    if not rows:
        lead += " Every planned case ran and agreed."
    return Chapter("agreement", "Agreement", lead, tuple(sections))


def device_chapter(runs: Sequence[Run], drawn: Sequence[Sweep], colors: dict[str, Look]) -> Chapter:
    """Show what the sensors said, and why a figure is absent."""
    figures = _made(
        [
            device.load_series(run.records, colors, key=_id(run.label), run=run.label if len(runs) > 1 else "")
            for run in runs
        ]
    ) + _made([device.energy(sweep, colors) for sweep in drawn])
    absent: dict[str, str] = {}
    for run in runs:
        absent |= run.environment.reasons if run.environment else {}
        for record in run.records:
            absent |= record.telemetry.reasons if record.telemetry else {}
    rows = tuple((name, _brief(reason)) for name, reason in sorted(absent.items()))
    tables = (Table("Figures this machine does not give, and why", ("figure", "reason"), rows),) if rows else ()
    lead = "Utilization, power, clocks and temperature while implementations ran under sustained load."
    if not figures:
        lead = "No utilization, power or temperature was recorded in this run."
    sections = (Section("", "", figures, tables),) if figures or tables else ()
    return Chapter("device", "Device", lead, sections)


def _phases(run: Run, sweep: Sweep) -> list[Figure | None]:
    found = []
    for name in sorted(sweep.table["implementation"].unique()):
        ids = set(sweep.table[sweep.table["implementation"] == name]["id"])
        records = [record for record in run.records if record.case.id in ids]
        found.append(
            speed.phases(records, str(sweep.axis), key=f"{sweep.key}-{_id(name)}", conditions=sweep.conditions)
        )
    return found


def _heading(sweep: Sweep) -> str:
    return sweep.question or sweep.scenario


def _made(figures: Iterable[Figure | None]) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure is not None)


def _brief(reason: str, *, at_most: int = 400) -> str:
    return reason if len(reason) <= at_most else f"{reason[: at_most // 2]} … {reason[-at_most // 2 :]}"


def _id(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)
