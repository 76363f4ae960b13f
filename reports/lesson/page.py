"""The lesson as one readable page: what the article says, what the arithmetic says, what this machine measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.lesson import facts
from reports import style, units
from reports.answer.reasons import explanation
from reports.figures import pooling
from reports.figures.scaling import memory, time
from reports.figures.speed import steps
from reports.figures.speed.steps import STEP
from reports.figures.sweep import Sweep, sweeps
from reports.frame import frames
from reports.lesson.lines import LINES, Line
from reports.page.render import asset, content_security_policy, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import pandas as pd

    from harness.lesson.facts import Lesson
    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict
    from reports.figures.figure import Figure

PAGE = "lesson.html"


@dataclass(frozen=True)
class Judged:
    """A line with its verdicts: (implementation, verdict, reason), and the measured exponent or ratio in words."""

    line: Line
    verdicts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Crossover:
    """Where attention overtakes projections: by operations, and by the times measured, None if they never meet."""

    width: int
    operations: float
    time: float | None


def write(run: Run) -> Path:
    """Render a lesson's run as lesson.html, in its directory; return the path.

    Raises JournalError if the directory holds no lesson, SchemaMismatchError for a newer schema.
    """
    target = run.path / PAGE
    with style.names_as_text():
        target.write_text(html(facts.read(run.path), run), encoding="utf-8", errors="replace")
    return target


def html(lesson: Lesson, run: Run) -> str:
    """Return the page of a lesson and its run."""
    table = frames([run])
    drawn = {**pooling.pictures(lesson), "cost": cost_figures(run, table)}
    page = template("lesson.html.jinja", count=units.count, digits=units.digits, seconds=units.seconds)
    return page.render(
        policy=content_security_policy([]),
        styles=asset("templates/report.css") + asset("templates/lesson.css") + style.variables(),
        lesson=lesson,
        run=run,
        machine=_machine(run),
        judged=group_by_claim(run.verdicts),
        crossover=crossover(table),
        pictures=drawn,
        example_steps=[(step, f"({', '.join(map(str, shape))})") for step, shape in lesson.example.steps],
        gains=gains(table),
        work=work_rows(lesson),
        verdict_count=len(run.verdicts),
    )


def group_by_claim(verdicts: Sequence[Verdict]) -> list[Judged]:
    """Find the verdicts of each line, as far as the run has them."""
    return [Judged(line, tuple(_of_line(line, verdicts))) for line in LINES]


def _of_line(line: Line, verdicts: Sequence[Verdict]) -> Iterable[tuple[str, str, str]]:
    for implementation in line.implementations:
        mine = [one for one in verdicts if one.claim == line.claim and one.implementation == implementation]
        whole = [one for one in mine if one.quantity == "all" and line.axis in {"", one.axis}]
        for one in [one for one in whole if line.expected in {None, one.expected}][:1]:
            yield implementation, one.verdict, explanation(one)


def crossover(table: pd.DataFrame) -> Crossover | None:
    """Find the n from which scores, softmax and weighted sum take longer than the projections around them."""
    timed = table[
        (table["status"] == "ok")
        & (table["scenario"] == "tutorial")
        & table["implementation"].str.startswith(STEP)
    ]  # fmt: skip
    if timed.empty:
        return None
    times = timed.pivot_table(index="n", columns="implementation", values="law_s", aggfunc="min").dropna()
    width = int(timed["width"].iloc[0])
    return Crossover(width=width, operations=2.0 * width, time=steps.crossover(times))


def gains(table: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """List what the fused call gains over materialised scores at each n: times, speed-up, extra memory."""
    attention = table[(table["status"] == "ok") & (table["scenario"] == "tutorial-attention")]
    found = []
    for n, rows in attention.groupby("n"):
        by_name = {str(row["implementation"]): row for _, row in rows.iterrows()}
        if not {"batched", "sdpa-flash"} <= set(by_name):
            continue
        plain, fused = by_name["batched"], by_name["sdpa-flash"]
        found.append(
            (
                units.plain(float(n)),  # type: ignore[arg-type]
                units.seconds(plain["time_s"]),
                units.seconds(fused["time_s"]),
                units.ratio(plain["time_s"] / fused["time_s"]),
                units.size(plain["extra_bytes"]),
                units.size(fused["extra_bytes"]),
            )
        )
    return tuple(found)


def work_rows(lesson: Lesson) -> tuple[tuple[str, ...], ...]:
    """List the operations of each step at each size, with the share of the quadratic ones."""
    found = []
    for work in lesson.work:
        quadratic = work.phases["scores"] + work.phases["weighted sum"]
        linear = work.phases["projections"] + work.phases["output"]
        shown = [units.count(work.phases[name], "FLOP") for name in work.phases]
        found.append((units.plain(work.n), *shown, units.percent(quadratic / (quadratic + linear))))
    return tuple(found)


def cost_figures(run: Run, table: pd.DataFrame) -> list[Figure]:
    """Draw the measured costs: time of each step, their shares, and what the fused call saves."""
    colors = style.looks(table["implementation"])
    found: list[Figure | None] = []
    for sweep in sweeps([run], table):
        draw = _DRAWN.get(sweep.scenario)
        found += draw(sweep, colors) if draw and sweep.axis is not None else []
    return [figure for figure in found if figure is not None]


def _of_steps(sweep: Sweep, colors: dict[str, style.Appearance]) -> list[Figure | None]:
    timed = sweep.table[sweep.table["implementation"].str.startswith(STEP)]
    return [time.time(sweep, colors), steps.step_times(sweep, timed)]


def _of_attention(sweep: Sweep, colors: dict[str, style.Appearance]) -> list[Figure | None]:
    return [time.time(sweep, colors), memory.memory(sweep, colors)]


_DRAWN: dict[str, Callable[[Sweep, dict[str, style.Appearance]], list[Figure | None]]] = {
    "tutorial": _of_steps,
    "tutorial-attention": _of_attention,
}


def _machine(run: Run) -> str:
    return run.plan.device_name if run.plan and run.plan.device_name else ""
