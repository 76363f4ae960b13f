"""The chapters of the page: which figures and tables a run gives rise to, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.lesson import facts as lesson_facts
from reports import published, units
from reports.answer.sentences import baseline_of
from reports.figures import agreement, allocation, device, pooling, runs, speed, timeline
from reports.figures.figure import Figure, Sweep, sweeps
from reports.figures.scaling import memory, operations, slopes, time
from reports.pairs import paired, policy_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from harness.lesson.facts import Lesson
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


# Implementations named so time one step of a whole by itself.
STEP = "phase/"
LEAD_POOLING = (
    "Fifty noisy points of 2 sin(x) + x^0.8 are the keys and values, a hundred places the queries; one fixed seed."
)
LEAD_LEARNING = (
    "The scale w of the Gaussian kernel is trained as the tutorial does it, each point predicted from the others, and "
    "set beside the scale that a scalar optimiser finds for the same loss."
)
# What the problems beside attention are called in headings.
PROBLEM_TITLES = {"multihead": "Multi-head attention", "pooling": "Attention pooling"}


def chapters(runs: Sequence[Run], table: pd.DataFrame, colors: dict[str, Look]) -> list[Chapter]:
    """Build every chapter that the runs have data for."""
    every = sweeps(runs, table)
    drawn = every[:SWEEPS_AT_MOST]
    of_attention = [sweep for sweep in drawn if sweep.problem == "attention"]
    found = [
        scaling_chapter(runs, of_attention, colors, left=every[SWEEPS_AT_MOST:]),
        speed_chapter(runs, of_attention, table, colors),
    ]
    if len(runs) > 1:
        found.insert(0, runs_chapter(runs, drawn, table, colors))
    taught = next((lesson for run in runs if (lesson := lesson_facts.found(run.path)) is not None), None)
    others = [sweep.problem for sweep in every if sweep.problem != "attention"] + ["pooling"] * (taught is not None)
    found += [
        problem_chapter(problem, runs, [s for s in drawn if s.problem == problem], colors, taught=taught)
        for problem in dict.fromkeys(others)
    ]
    found += [agreement_chapter(table, colors), device_chapter(runs, drawn, colors)]
    return [chapter for chapter in found if chapter is not None]


def scaling_chapter(
    runs: Sequence[Run], drawn: Sequence[Sweep], colors: dict[str, Look], *, left: Sequence[Sweep]
) -> Chapter | None:
    """Show time, slopes, memory and operations along each axis, and what fresh memory costs."""
    sections = []
    for sweep in drawn:
        tables: tuple[Table, ...] = ()
        if sweep.axis is None:
            figures = _made([operations.joint(sweep, colors)])
        elif sweep.table[sweep.axis].nunique() < 2:  # noqa: PLR2004  (one size has no slope)
            figures = _made([time.time(sweep, colors)])
        else:
            laws = time.fitted_laws(sweep.table, sweep.axis)
            figures = _made(
                [
                    time.time(sweep, colors, laws=laws),
                    slopes.slopes(sweep, colors),
                    slopes.residuals(sweep, colors, laws=laws),
                    memory.memory(sweep, colors),
                    operations.operations(sweep, colors),
                ]
            )
            if laws:
                rows = time.law_rows(laws, sweep.axis)
                caption = f"Fitted laws: fixed cost + slope × {sweep.axis}^exponent × step"  # noqa: RUF001
                tables = (Table(caption, time.LAW_COLUMNS, rows),)
        sections.append(Section(_heading(sweep), sweep.conditions, figures, tables))
    for run in runs:
        made = _made([allocation.fresh_memory(run.records, colors, key=_id(run.label))])
        if made:
            sections.append(Section(_of(run, "Memory that is asked for anew in each call", runs), "", made))
    if not sections:
        return None
    lead = "How time, memory and the number of operations grow with each size, the others held fixed."
    if left:
        names = units.listing([f"{sweep.scenario} ({sweep.dtype}, {sweep.direction})" for sweep in left[:6]])
        lead += f" Also measured, and open in the explorer: {names}{' and others' if len(left) > 6 else ''}."  # noqa: PLR2004
    return Chapter("scaling", "Scaling", lead, tuple(sections))


def speed_chapter(
    runs: Sequence[Run], drawn: Sequence[Sweep], table: pd.DataFrame, colors: dict[str, Look]
) -> Chapter | None:
    """Show speed-ups, throughput, the roofline, launch overhead, burst and sustained rates, and published figures."""
    named = {run.label: run for run in runs}
    compared = {run.label: paired(run, baseline=baseline_of(run)) for run in runs}
    sections = []
    for sweep in drawn:
        if sweep.axis is None:
            continue
        run = named[sweep.run]
        figures = _made(
            [
                speed.speed_up(sweep, baseline=baseline_of(run), pairs=compared[run.label], policy=policy_of(run)),
                speed.throughput(sweep, colors, machine=machine(run)),
            ]
        )
        if figures:
            sections.append(Section(_heading(sweep), sweep.conditions, figures))
    for run in runs:
        ceilings = run.environment.ceilings if run.environment else []
        after = run.summary.ceilings_after if run.summary else []
        mine = table[(table["run"] == run.label) & (table["problem"] == "attention")]
        made = _made(
            [
                speed.roofline(mine, ceilings, colors, dtype=dtype, key=_id(run.label), after=after)
                for dtype in mine["dtype"].unique()
            ]
        )
        if made:
            sections.append(Section(_of(run, "Against the machine's ceilings", runs), "", made))
    for run in runs:
        figures = _made([speed.bursts(run.records, colors, key=_id(run.label))])
        tables = [found for found in (_launches(run), _published(run, table)) if found is not None]
        if figures or tables:
            title = "Burst and sustained" if figures else "Launches and published figures"
            sections.append(Section(_of(run, title, runs), "", figures, tuple(tables)))
    if not sections:
        return None
    lead = "Who is faster, by how much, and how close to what the machine can do."
    if "multihead" in set(table["problem"]):
        lead += f" The steps of a module, stacked by size, are in the chapter {PROBLEM_TITLES['multihead']}."
    return Chapter("speed", "Speed", lead, tuple(sections))


def runs_chapter(
    several: Sequence[Run], drawn: Sequence[Sweep], table: pd.DataFrame, colors: dict[str, Look]
) -> Chapter | None:
    """Set runs side by side: what differs between them, and their times relative to the first."""
    first = several[0]
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
    labels = tuple(run.label for run in several)
    tables: tuple[Table, ...] = (
        (Table("What differs between the machines", ("fact", *labels), tuple(facts)),) if facts else ()
    )
    figures = _made([runs.relative(sweep, colors, first=first.label) for sweep in drawn])
    rows = []
    for run in several[1:]:
        joined = runs.against_first(table, first=first.label, other=run.label)
        for implementation, mine in joined.groupby("implementation"):
            factors = mine["factor"]
            rows.append((run.label, str(implementation), f"{len(mine):,}", units.ratio(float(factors.median())),
                         units.ratio(float(factors.min())), units.ratio(float(factors.max()))))  # fmt: skip
    if rows:
        columns = ("run", "implementation", "shared cases", "median factor", "smallest", "largest")
        tables += (Table(f"Time relative to {first.label}", columns, tuple(rows)),)
    if not figures and not tables:
        return None
    return Chapter("runs", "Runs", f"Every run relative to {first.label}.", (Section("", "", figures, tables),))


def _launches(run: Run) -> Table | None:
    """Tabulate what short calls take inside a CUDA graph, and what launching them one by one adds."""
    rows = []
    for record in run.records:
        launch = record.launch
        if launch is None or record.time is None:
            continue
        span = "" if launch.low is None else f"{units.seconds(launch.low)} to {units.seconds(launch.high)}"
        waited = record.time.call_seconds
        share = None if launch.overhead is None or not waited else launch.overhead / waited
        inside = f"{launch.calls} calls, {units.counted(launch.inputs, 'input set')}" if launch.calls else ""
        rows.append((record.case.implementation, ", ".join(f"{k} {v}" for k, v in record.case.point.items()),
                     record.case.dtype, units.seconds(waited), units.seconds(record.time.median),
                     units.seconds(record.time.host_seconds), units.seconds(launch.graph), span,
                     units.seconds(launch.overhead), units.percent(share), launch.reason or inside))  # fmt: skip
    if not rows:
        return None
    columns = ("implementation", "point", "dtype", "a call, launched by the host", "of device time",
               "the host enqueues it in", "inside a graph", "95 %", "launch overhead",
               "of the call", "the graph, or why there is none")  # fmt: skip
    return Table("Launch overhead apart from kernel time", columns, tuple(rows[:ROWS_AT_MOST]))


def _published(run: Run, table: pd.DataFrame) -> Table | None:
    rows = published.comparison(table[table["run"] == run.label], machine=machine(run))
    if not rows:
        return None
    columns = ("point", "published for", "published", "here", "measured", "measured of published", "source")
    return Table("Beside figures that others published for this device", columns, tuple(rows))


def machine(run: Run) -> str:
    """Name the device a run was made on."""
    if run.plan and run.plan.device_name:
        return run.plan.device_name
    stable = run.environment.stable if run.environment else {}
    named = next((stable[name] for name in ("gpu", "cpu", "cpu_model", "device") if stable.get(name)), "")
    return str(named or (run.plan.device if run.plan else "unknown machine"))


def problem_chapter(
    problem: str,
    runs: Sequence[Run],
    drawn: Sequence[Sweep],
    colors: dict[str, Look],
    *,
    taught: Lesson | None = None,
) -> Chapter | None:
    """Show the sweeps of a problem beside attention: time, memory, its phases stacked by size; of pooling, its fits."""
    sections = []
    if problem == "pooling" and taught is not None:
        drawn_once = pooling.pictures(taught)
        sections += [
            Section("What pooling predicts", LEAD_POOLING, tuple(drawn_once["pooling"])),
            Section("Learning one parameter", LEAD_LEARNING, tuple(drawn_once["learning"])),
        ]
    for sweep in drawn:
        if sweep.axis is None:
            continue
        run = next(run for run in runs if run.label == sweep.run)
        steps = sweep.table["implementation"].str.startswith(STEP)
        whole = replace(
            sweep, table=sweep.table[~steps], shared=sweep.shared[~sweep.shared["implementation"].str.startswith(STEP)]
        )
        made = (
            _made([time.time(whole, colors), memory.memory(whole, colors), slopes.slopes(whole, colors)])
            if len(whole.table)
            else ()
        )
        made += _made([speed.step_times(sweep, sweep.table[steps]), *_phases(run, whole)])
        sections.append(Section(_heading(sweep), sweep.conditions, made))
    if not sections:
        return None
    title = PROBLEM_TITLES.get(problem, problem.capitalize())
    return Chapter(f"problem-{_id(problem)}", title, "", tuple(sections))


def agreement_chapter(table: pd.DataFrame, colors: dict[str, Look]) -> Chapter:
    """Show errors against budgets, and every case that has no time, with the reason."""
    figures = _made([agreement.budget_shares(table, colors), agreement.by_feature(table)])
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
    labels = {run.label: run.label if len(runs) > 1 else "" for run in runs}
    figures = (
        _made([timeline.over_run(run, colors, key=_id(run.label), label=labels[run.label]) for run in runs])
        + _made([device.load_series(run.records, colors, key=_id(run.label), run=labels[run.label]) for run in runs])
        + _made([device.energy(sweep, colors) for sweep in drawn])
    )
    absent: dict[str, str] = {}
    for run in runs:
        for record in run.records:
            absent |= record.telemetry.reasons if record.telemetry else {}
    rows = tuple((units.sensor(name, None)[0], _brief(reason)) for name, reason in sorted(absent.items()))
    tables = (Table("Figures this machine does not give, and why", ("figure", "reason"), rows),) if rows else ()
    lead = "Utilization, power, clocks and temperature over the run and under sustained load, and energy a call."
    if not figures:
        lead = "No utilization, power or temperature was recorded in this run."
    sections = (Section("", "", figures, tables),) if figures or tables else ()
    return Chapter("device", "Device", lead, sections)


def _phases(run: Run, sweep: Sweep) -> list[Figure | None]:
    """Draw each distinct split of the operations once: implementations that count alike need one figure."""
    found: list[Figure | None] = []
    seen: list[dict[str, dict[str, int]]] = []
    for name in sorted(sweep.table["implementation"].unique()):
        ids = set(sweep.table[sweep.table["implementation"] == name]["id"])
        records = [record for record in run.records if record.case.id in ids]
        split = {str(record.case.point): record.counts.phases for record in records if record.counts}
        if split in seen:
            continue
        seen.append(split)
        found.append(
            speed.phases(records, str(sweep.axis), key=f"{sweep.key}-{_id(name)}", conditions=sweep.conditions)
        )
    return found


def _of(run: Run, title: str, runs: Sequence[Run]) -> str:
    """Add a run's name to a title where there are several."""
    return f"{title}: {run.label}" if len(runs) > 1 else title


def _heading(sweep: Sweep) -> str:
    return units.raised(sweep.question) or sweep.scenario


def _made(figures: Iterable[Figure | None]) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure is not None)


def _brief(reason: str, *, at_most: int = 400) -> str:
    return reason if len(reason) <= at_most else f"{reason[: at_most // 2]} … {reason[-at_most // 2 :]}"


def _id(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)
