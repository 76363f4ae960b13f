"""The sweeps of attention: how cost grows along each axis, and who is faster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.results.frontier import frontiers
from harness.results.pairs.paired import paired, policy_of
from harness.results.pairs.regret import regrets
from harness.results.pairs.tuned import tuned
from reports import published, units
from reports.answer import totals
from reports.answer.sentences import baseline_of
from reports.chapters.chapter import (
    PROBLEM_TITLES,
    ROWS_AT_MOST,
    Chapter,
    Section,
    Table,
    heading,
    judging_band,
    machine,
    made,
    names_of,
    of_run,
    opened_first,
)
from reports.figures import fresh_memory
from reports.figures.figure import slug
from reports.figures.scaling import frontier, memory, operations, options, overview, slopes, time
from reports.figures.speed import bursts, regret, roofline, speed_up, throughput
from reports.figures.speed import tuned as options_gain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from harness.results.pairs.paired import Pair
    from harness.results.run import Run
    from reports.figures.sweep import Sweep
    from reports.style import Appearance

# A chapter's opening names so many of the sweeps that it leaves out.
NAMED_AT_MOST = 6


def scaling_chapter(
    runs: Sequence[Run], drawn: Sequence[Sweep], colors: dict[str, Appearance], *, left: Sequence[Sweep]
) -> Chapter | None:
    """Show time, slopes, memory and operations along each axis, and what fresh memory costs."""
    named, names = {run.label: run for run in runs}, names_of(drawn)
    growing = [replace(_growth(sweep, named[sweep.run], colors), name=names[sweep.key]) for sweep in drawn]
    sections = list(opened_first(growing))
    for run in runs:
        figures = made([frontier.frontier(sweep, colors, key=slug(run.label)) for sweep in frontiers(run)])
        if figures:
            title = of_run(run, "How far memory reaches", runs)
            sections.append(Section(title, "", figures, name=of_run(run, "memory's end", runs)))
    for run in runs:
        figures = made([fresh_memory.fresh_memory(run.records, colors, key=slug(run.label))])
        if figures:
            title = of_run(run, "Memory that is asked for anew in each call", runs)
            sections.append(Section(title, "", figures, name=of_run(run, "fresh memory", runs), is_folded=True))
    if not sections:
        return None
    own = {run.label: [sweep for sweep in drawn if sweep.run == run.label] for run in runs}
    glances = []
    for run in runs:
        figures = made([overview.overview(own[run.label], colors, key=slug(run.label), names=names)])
        if figures:
            title = of_run(run, "Every sweep at a glance", runs)
            glances.append(Section(title, "", figures, name=of_run(run, "at a glance", runs)))
    sections = [*opened_first(glances), *sections]
    lead = "How time, memory and the number of operations grow with each size, the others held fixed."
    if left:
        listed = units.listing([f"{one.scenario} ({one.dtype}, {one.direction})" for one in left[:NAMED_AT_MOST]])
        others = " and others" if len(left) > NAMED_AT_MOST else ""
        lead += f" Also measured, and open in the explorer: {listed}{others}."
    return Chapter("scaling", "Scaling", lead, tuple(sections))


def _growth(sweep: Sweep, run: Run, colors: dict[str, Appearance]) -> Section:
    """Draw what grows along a sweep, and tabulate the laws by which its time was judged."""
    if sweep.axis is None:
        figure = options.by_option(sweep, colors) or operations.joint(sweep, colors)
        return Section(heading(sweep), sweep.conditions, made([figure]))
    if sweep.table[sweep.axis].nunique() < 2:  # noqa: PLR2004  (one size has no slope)
        return Section(heading(sweep), sweep.conditions, made([time.time(sweep, colors)]))
    laws = time.judged_laws(sweep)
    figures = made([time.time(sweep, colors, laws=laws), memory.memory(sweep, colors)])
    more = made(
        [
            slopes.slopes(sweep, colors, band=judging_band(run)),
            slopes.residuals(sweep, colors, laws=laws),
            operations.operations(sweep, colors),
        ]
    )
    tables: tuple[Table, ...] = ()
    if laws:
        caption = f"Laws by which time was judged: fixed cost + slope × {sweep.axis}^exponent × step"  # noqa: RUF001
        tables = (Table(caption, time.LAW_COLUMNS, time.law_rows(laws, sweep.axis)),)
    return Section(heading(sweep), sweep.conditions, figures, tables, more)


def speed_chapter(
    runs: Sequence[Run], drawn: Sequence[Sweep], table: pd.DataFrame, colors: dict[str, Appearance]
) -> Chapter | None:
    """Show speed-ups, throughput, the roofline, launch overhead, burst and sustained rates, and published figures."""
    named, names = {run.label: run for run in runs}, names_of(drawn)
    compared = {run.label: paired(run, baseline=baseline_of(run)) for run in runs}
    of_sweeps = [
        replace(section, name=names[sweep.key])
        for sweep in drawn
        if (section := _compared(sweep, named[sweep.run], compared[sweep.run], colors)) is not None
    ]
    rooflines = [section for run in runs for section in _rooflines(run, runs, table, colors)]
    loads = [section for run in runs if (section := _loads(run, runs, table, colors)) is not None]
    choices = [
        section for run in runs for section in (_regret(run, runs, colors), _options(run, runs, colors)) if section
    ]
    sections = opened_first((*_totals(runs), *of_sweeps, *choices, *rooflines, *loads))
    if not sections:
        return None
    lead = "Who is faster, by how much, and how close to what the machine can do."
    if "multihead" in set(table["problem"]):
        lead += f" The steps of a module, stacked by size, are in the chapter {PROBLEM_TITLES['multihead']}."
    return Chapter("speed", "Speed", lead, sections)


def _compared(sweep: Sweep, run: Run, pairs: Mapping[str, Pair], colors: dict[str, Appearance]) -> Section | None:
    """Draw speed-ups and throughput along a sweep."""
    if sweep.axis is None:
        return None
    figures = made(
        [
            speed_up.speed_up(sweep, baseline=baseline_of(run), pairs=pairs, policy=policy_of(run)),
            throughput.throughput(sweep, colors, machine=machine(run)),
        ]
    )
    return Section(heading(sweep), sweep.conditions, figures) if figures else None


def _totals(runs: Sequence[Run]) -> list[Section]:
    """Tabulate what all calls of a program take together, for each run of some."""
    found = []
    for run in runs:
        if rows := totals.rows(run):
            table = Table(f"{totals.CAPTION}: time by count, and what is saved", totals.columns(run), tuple(rows))
            found.append(Section(of_run(run, totals.CAPTION, runs), "", (), (table,)))
    return found


def _regret(run: Run, runs: Sequence[Run], colors: dict[str, Appearance]) -> Section | None:
    """Draw what PyTorch's own choice of a backend lost, point by point."""
    figures = made([regret.regret(regrets(run), colors, key=slug(run.label))])
    return Section(of_run(run, "What PyTorch chose, and what was best", runs), "", figures) if figures else None


def _options(run: Run, runs: Sequence[Run], colors: dict[str, Appearance]) -> Section | None:
    """Draw what options gain over defaults, point by point."""
    figures = made([options_gain.options(tuned(run), colors, key=slug(run.label))])
    return Section(of_run(run, "Options, and the default beside the best", runs), "", figures) if figures else None


def _rooflines(run: Run, runs: Sequence[Run], table: pd.DataFrame, colors: dict[str, Appearance]) -> list[Section]:
    """Draw a run's rooflines, a section for each dtype, that of the most cases first."""
    ceilings = run.environment.ceilings if run.environment else []
    after = run.summary.ceilings_after if run.summary else []
    mine = table[(table["run"] == run.label) & (table["problem"] == "attention")]
    sections = []
    for dtype in mine["dtype"].value_counts().index:
        found = roofline.roofline(mine, ceilings, colors, dtype=str(dtype), key=slug(run.label), after=after)
        if found is not None:
            title = of_run(run, f"Against the machine's ceilings, {dtype}", runs)
            sections.append(Section(title, "", (found,), name=of_run(run, f"roofline, {dtype}", runs)))
    return sections


def _loads(run: Run, runs: Sequence[Run], table: pd.DataFrame, colors: dict[str, Appearance]) -> Section | None:
    """Draw burst and sustained rates of a run, and tabulate launches and published figures."""
    figures = made([bursts.bursts(run.records, colors, key=slug(run.label))])
    tables = tuple(found for found in (_launches(run), _published(run, table)) if found is not None)
    if not figures and not tables:
        return None
    title = "Burst and sustained" if figures else "Launches and published figures"
    return Section(of_run(run, title, runs), "", figures, tables, is_folded=True)


def _launches(run: Run) -> Table | None:
    """Tabulate what short calls take inside a CUDA graph, and what launching them one by one adds."""
    launched = [
        (record, time, launch)
        for record in run.records
        if (time := record.time) is not None and (launch := record.launch) is not None
    ]
    if not launched:
        return None
    points = [{**record.case.point, "dtype": record.case.dtype} for record, _, _ in launched]
    shared = {name: value for name, value in points[0].items() if all(point.get(name) == value for point in points)}
    rows = []
    for (record, time, launch), point in list(zip(launched, points, strict=True))[:ROWS_AT_MOST]:
        span = "" if launch.low is None else f" ({units.seconds(launch.low)} to {units.seconds(launch.high)})"
        added = units.seconds(launch.overhead)
        if launch.overhead is not None and time.call_seconds:
            added += f" ({units.percent(launch.overhead / time.call_seconds)})"
        inside = f"{launch.calls} calls, {units.counted(launch.inputs, 'input set')}" if launch.calls else ""
        own = {name: value for name, value in point.items() if name not in shared}
        rows.append((record.case.implementation, _sizes(own), units.seconds(time.call_seconds),
                     units.seconds(time.median), units.seconds(time.host_seconds), units.seconds(launch.graph) + span,
                     added, launch.reason or inside))  # fmt: skip
    columns = ("implementation", "size", "one after another", "on the device", "enqueueing",
               "in a graph (95 %)", "launching adds", "the graph")  # fmt: skip
    return Table(f"Launch overhead apart from kernel time, per call ({_sizes(shared)})", columns, tuple(rows))


def _sizes(point: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in point.items())


def _published(run: Run, table: pd.DataFrame) -> Table | None:
    rows = published.comparison(table[table["run"] == run.label], machine=machine(run))
    if not rows:
        return None
    columns = ("point", "published for", "published", "here", "measured", "measured of published", "source")
    return Table("Beside figures that others published for this device", columns, tuple(rows))
