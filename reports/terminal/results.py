"""The result of a run for a terminal: a line for each implementation, and the verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.results.pairs.paired import paired
from reports import units
from reports.answer import totals
from reports.answer.doubts import baseline_gaps
from reports.answer.sentences import baseline_of
from reports.answer.tuning import tuning_sentences
from reports.frame import frame, with_marks
from reports.text import styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from rich.table import Table

    from harness.results.run import Run


@dataclass(frozen=True)
class Line:
    """One implementation at the largest point that it was timed at."""

    scenario: str
    implementation: str
    point: str
    time: str
    interval: str
    speed_up: str
    throughput: str
    extra_memory: str
    error: str


HEADINGS = (
    "scenario", "implementation", "largest point", "time", "95 % interval", "speed-up", "throughput", "extra memory",
    "error / budget",
)  # fmt: skip
# An interval this many times as high as low.
UNRESOLVED = 10.0
# Columns of a terminal that hold every heading; a narrower one gets the few that fit into 80.
WIDE = 150
NARROW = ("scenario", "implementation", "time", "speed-up", "throughput", "extra memory")


def lines(run: Run, table: pd.DataFrame | None = None) -> list[Line]:
    """Return one line per scenario and implementation: its largest timed case, the quickest first."""
    from reports.figures.speed.speed_up import marked, speed_ups

    run = with_marks(run)
    table = frame(run).assign(run=run.label) if table is None else table
    ok = table[table["status"] == "ok"]
    if ok.empty:
        return []
    baseline = baseline_of(run)
    compared = speed_ups(ok, baseline=baseline, pairs=paired(run, baseline=baseline))
    by_id = compared.set_index("id")
    faster, outcomes = by_id["speed_up"].to_dict(), by_id["outcome"].to_dict()
    found = []
    for scenario, rows in ok.groupby("scenario", sort=False):
        largest = rows.sort_values(["operations", "time_s"]).groupby("implementation").tail(1)
        found += [
            Line(
                scenario=str(scenario),
                implementation=str(row["implementation"]),
                point=_point(row),
                time=units.seconds(row["time_s"]),
                interval=interval(row["low_s"], row["high_s"]),
                speed_up=marked(units.ratio(faster.get(row["id"])), outcomes.get(row["id"])),
                throughput=units.ABSENT if units.absent(row["tflops"]) else units.count(row["tflops"] * 1e12, "FLOP/s"),
                extra_memory=units.size(row["extra_bytes"]),
                error=_error(row),
            )
            for row in largest.sort_values("time_s").to_dict("records")
        ]
    return found


def _error(row: Mapping[Any, Any]) -> str:
    """Write the largest error over its budget; of an approximate result, which has none, its relative L1 error."""
    if not units.absent(row["relative_l1"]):
        return f"{units.percent(row['relative_l1'])} L1"
    return units.ABSENT if units.absent(row["agreement_ratio"]) else units.digits(row["agreement_ratio"])


def interval(low: float | None, high: float | None) -> str:
    """Write a time's 95 % interval; one that spans more than a factor of ten says nothing but that."""
    if low is None or high is None or units.absent(low):
        return "none"
    return "unresolved" if high > UNRESOLVED * low else f"{units.seconds(low)} to {units.seconds(high)}"


def table_of(run: Run, *, width: int = WIDE) -> Table:
    """Return the result table of a run for a terminal of so many columns; a narrow one is spared what can wait."""
    from rich.table import Table

    baseline = baseline_of(run)
    shown = HEADINGS if width >= WIDE else NARROW
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for heading in shown:
        words = f"speed-up over {baseline}" if heading == "speed-up" and baseline and width >= WIDE else heading
        is_text = heading in HEADINGS[:3]
        table.add_column(styled(words), justify="left" if is_text else "right", overflow="fold", no_wrap=True)
    last = ""
    for line in lines(run):
        first = line.scenario if line.scenario != last else ""
        last = line.scenario
        cells = (first, line.implementation, line.point, line.time, line.interval, line.speed_up)
        of_heading = dict(zip(HEADINGS, (*cells, line.throughput, line.extra_memory, line.error), strict=True))
        table.add_row(*(styled(of_heading[heading]) for heading in shown))
    return table


def totals_of(run: Run) -> Table | None:
    """Return what all calls of a program take together, a row for each implementation; None if none was recorded."""
    from rich.table import Table

    rows = totals.rows(run)
    if not rows:
        return None
    table = Table(box=None, pad_edge=False, header_style="bold", title=totals.CAPTION, title_justify="left")
    for heading in totals.columns(run):
        table.add_column(styled(heading), overflow="fold")
    for row in rows:
        table.add_row(*map(styled, row))
    return table


def notes_of(run: Run) -> list[str]:
    """Say what of the table is empty, and why; then what options beside the default are worth."""
    return [*baseline_gaps(frame(run), baseline=baseline_of(run)), *tuning_sentences(with_marks(run))]


def verdicts_of(run: Run) -> Table:
    """Return the verdicts over all quantities for a terminal: a row for each claim and outcome."""
    from rich.table import Table

    from harness.results.verdicts_file import Verdicts
    from harness.verdicts.judging import summary_rows

    rows = summary_rows(Verdicts(verdicts=list(with_marks(run).verdicts)))
    # Where every verdict is about one dtype and direction, naming it in each row says nothing.
    kinds = {implementation.partition(" (")[2] for _, implementation, *_ in rows}
    gathered: dict[tuple[str, str], dict[str, list[str]]] = {}
    for claim, implementation, verdict, exponent in rows:
        name = implementation.partition(" (")[0] if len(kinds) == 1 else implementation
        gathered.setdefault((claim, verdict), {}).setdefault(exponent, []).append(name)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("claim", "verdict", "implementations, with the exponent (or ratio) found"):
        table.add_column(heading, overflow="fold")
    for (claim, verdict), found in gathered.items():
        words = "; ".join(f"{', '.join(names)} {exponent}".strip() for exponent, names in found.items())
        table.add_row(styled(claim), styled(verdict), styled(words))
    return table


def _point(row: Mapping[Any, Any]) -> str:
    from reports.frame import AXES

    found = []
    for name in AXES:
        value = row[name]
        if value is None or value == "" or value != value:  # noqa: PLR0124  (NaN is what differs from itself)
            continue
        found.append(f"{name} {units.plain(value) if isinstance(value, float) else value}")
    return ", ".join(found)
