"""One self-contained HTML file from one or several runs."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.collector import uncollected
from harness.results.journal import REPORT
from harness.results.run import read_runs
from reports import style, units
from reports.answer import caveat, devices, doubts, sentences, tiles, verdicts
from reports.chapters.chapter import machine
from reports.frame import frames, with_marks
from reports.page import embedded, glossary
from reports.page.chapters import chapters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from jinja2 import Template

    from harness.results.run import Run
    from reports.chapters.chapter import Chapter

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Opening:
    """What a page opens with: its headline, sentences that answer it, and a function that draws its first chapter."""

    headline: str
    sentences: Sequence[str]
    chapter: Callable[[], Chapter]


def render(directories: Sequence[Path], output: Path) -> Path:
    """Write the report of one or several run directories to a file, or into a directory as report.html.

    Raises JournalError where a directory holds no run, SchemaMismatchError for a newer schema.
    """
    with uncollected():
        return write(read_runs(directories), output)


def write(runs: Sequence[Run], output: Path, *, opening: Opening | None = None) -> Path:
    """Write the report of runs that are read to a file, or into a directory as report.html; `opening` comes first."""
    target = output / REPORT if output.is_dir() else output
    with uncollected():
        # Half a character, as the file system's names may have, can't be written.
        target.write_text(html(runs, opening=opening), encoding="utf-8", errors="replace")
    return target


def html(runs: Sequence[Run], *, opening: Opening | None = None) -> str:
    """Return the page of some runs, with a chapter of its own before those that every page has."""
    with style.names_as_text():
        return _html(runs, opening)


def _html(runs: Sequence[Run], opening: Opening | None) -> str:
    runs = [with_marks(run) for run in runs]
    table = frames(runs)
    colors = style.looks(table["implementation"])
    scripts = [asset("vendor/uplot/uPlot.iife.min.js"), asset("templates/report.js")]
    drawn = ([opening.chapter()] if opening else []) + chapters(runs, table, colors)
    ids = [
        figure.id for chapter in drawn for section in chapter.sections for figure in (*section.figures, *section.more)
    ]
    page = template("report.html.jinja", count=units.count, split=units.split)
    return page.render(
        policy=content_security_policy(scripts),
        scripts=scripts,
        styles=asset("vendor/uplot/uPlot.min.css") + asset("templates/report.css") + style.variables(),
        headline=opening.headline if opening else _headline(runs),
        sentences=opening.sentences if opening else (),
        where=devices.where_sentence(runs) if len(runs) > 1 and not opening else "",
        where_tables=devices.where_tables(runs),
        # What changed is the page's answer; those of the runs are a line each that opens.
        is_folded=opening is not None,
        runs=[_overview(run, table[table["run"] == run.label], ids) for run in runs],
        chapters=drawn,
        glossary=glossary.parts(),
        colors=sorted((name, look.slot, look.marker) for name, look in colors.items()),
        cases=len(table),
        data=embedded.pack(runs, table),
    )


def template(name: str, **filters: Callable[..., str]) -> Template:
    """Return a template of a page; `filters` write what it names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(filters)
    return environment.get_template(name)


def asset(name: str) -> str:
    """Read a style sheet or script that goes into a page."""
    return (HERE / name).read_text(encoding="utf-8")


def content_security_policy(scripts: Sequence[str]) -> str:
    """Forbid every request, and every script but the given ones."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _overview(run: Run, table: pd.DataFrame, ids: Sequence[str]) -> dict[str, Any]:
    environment = run.environment
    precision = doubts.precision_sentence(run, table)
    return {
        "label": run.label,
        "created": run.plan.created if run.plan else "",
        "machine": machine(run),
        "sentences": sentences.sentences(run, table),
        "rows": sentences.rows(run, table),
        "caveat": caveat.caveat(run, table),
        "tiles": [{**asdict(tile), "place": tiles.place_of(tile, ids, run)} for tile in tiles.tiles(run, table)],
        "verdicts": verdicts.verdict_tables(run),
        "judged": run.judged,
        "doubts": [*doubts.warnings(run, table), *([precision] if precision else [])],
        "stable": _facts(environment.stable) if environment else [],
        "volatile": _facts(environment.volatile) if environment else [],
        "absent": sorted(environment.reasons.items()) if environment else [],
        "ceilings": environment.ceilings if environment else [],
        "after": {item.name: item.value for item in (run.summary.ceilings_after if run.summary else [])},
        "plan": run.plan,
        # Those that the run's own file has: an older run knew fewer.
        "constants": run.plan.policy.model_dump(mode="json", exclude_unset=True) if run.plan else {},
        "summary": run.summary,
        "command": " ".join(run.plan.command) if run.plan else "",
        "dropped": [
            (item.scenario, ", ".join(f"{name} {value}" for name, value in item.point.items()), item.reason)
            for item in (run.plan.dropped if run.plan else [])
        ],
    }


def _facts(found: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, units.fact(name, value)) for name, value in sorted(found.items())]


def _headline(runs: Sequence[Run]) -> str:
    problems = {record.case.problem for run in runs for record in run.records}
    if len(runs) > 1:
        return f"{len(runs)} runs, side by side"
    if problems <= {"attention"}:
        return "Does attention cost grow as O(n² d)?"
    return "What does attention cost, and does it grow as O(n² d)?"
