"""A Markdown summary of runs, short enough for a job page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.answer.devices import where_sentence, where_tables
from reports.answer.doubts import precision_sentence, warnings
from reports.answer.sentences import baseline_of, sentences
from reports.answer.verdicts import verdict_tables
from reports.frame import frame, with_marks
from reports.terminal.results import HEADINGS, lines
from reports.text import markdown as as_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.run import Run

# Rows of problems that a summary lists; the report has all of them.
FAILURES_AT_MOST = 20


def markdown(runs: Sequence[Run]) -> str:
    """Return a Markdown summary of some runs, short enough for a job page."""
    return "\n".join([*_where(runs), *(_markdown(run) for run in runs)])


def _where(runs: Sequence[Run]) -> list[str]:
    """Say which law holds on which of several machines, a table for each dtype and direction."""
    said = where_sentence(runs) if len(runs) > 1 else ""
    if not said:
        return []
    found = ["## attnbench: which law holds where", "", as_markdown(said)]
    for table in where_tables(runs):
        found += ["", f"### {as_markdown(table.conditions)}", "", *grid(table.columns, table.rows)]
    return [*found, ""]


def _markdown(run: Run) -> str:
    run = with_marks(run)
    table = frame(run).assign(run=run.label)
    said = [f"## attnbench: {as_markdown(run.label)}", ""]
    said += [f"**{as_markdown(sentence)}**" if not index else as_markdown(sentence) for index, sentence in
             enumerate(sentences(run, table))]  # fmt: skip
    precision = precision_sentence(run, table)
    said += ["", as_markdown(precision)] if precision else []
    doubts = warnings(run, table)
    if doubts:
        said += ["", "Doubts about this measurement:", "", *(f"- {as_markdown(doubt)}" for doubt in doubts)]
    for verdicts in verdict_tables(run):
        said += ["", f"### Verdicts ({as_markdown(verdicts.conditions)})", ""]
        rows = [
            (f"{row.claim} {row.says}".strip(), *(f"{cell.mark} {cell.verdict}" if cell else "" for cell in row.cells))
            for row in verdicts.rows
        ]
        said += grid(("claim", *verdicts.implementations), rows)
    found = lines(run, table)
    if found:
        headings = [f"speed-up over {baseline_of(run)}" if heading == "speed-up" else heading for heading in HEADINGS]
        rows = [
            (line.scenario, line.implementation, line.point, line.time, line.interval, line.speed_up, line.throughput,
             line.extra_memory, line.error)
            for line in found
        ]  # fmt: skip
        said += ["", "### Largest timed case of each implementation", "", *grid(headings, rows)]
    failed = table[table["status"] != "ok"]
    if not failed.empty:
        grouped = failed.groupby(["status", "implementation"], sort=False).agg(
            cases=("id", "size"), reason=("reason", "first")
        )
        rows = [
            (
                str(row["status"]).replace("_", " "),
                str(row["implementation"]),
                str(row["cases"]),
                _brief(str(row["reason"])),
            )
            for row in grouped.reset_index().head(FAILURES_AT_MOST).to_dict("records")
        ]
        said += ["", "### Cases without a time", ""]
        said += grid(("status", "implementation", "cases", "first reason"), rows)
        if len(grouped) > FAILURES_AT_MOST:
            said += ["", f"{len(grouped) - FAILURES_AT_MOST} more kinds are in the report."]
    return "\n".join(said) + "\n"


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table in Markdown."""
    lines_ = [f"| {' | '.join(as_markdown(heading) for heading in headings)} |", f"|{' --- |' * len(headings)}"]
    return lines_ + [f"| {' | '.join(as_markdown(cell) for cell in row)} |" for row in rows]


def _brief(reason: str, *, at_most: int = 160) -> str:
    return reason if len(reason) <= at_most else f"{reason[:at_most]} …"
