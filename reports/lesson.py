"""The lesson as one readable page: what the article says, what the arithmetic says, what this machine measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import lesson_facts
from harness.results.run import read_run
from reports import style, units
from reports.answer.verdicts import with_units
from reports.figures import pooling, speed
from reports.figures.figure import Figure, Sweep, sweeps
from reports.figures.scaling import memory, time
from reports.frame import frames
from reports.render import content_security_policy, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from harness.lesson_facts import Lesson
    from harness.records import Verdict
    from harness.results.run import Run

HERE = Path(__file__).parent
PAGE = "lesson.html"
STEP = "phase/"


@dataclass(frozen=True)
class Line:
    """One line of the complexity analysis.

    `claim`, `axis` and the `expected` exponent find its verdicts, of the named implementations. `remark` is what to
    take away.
    """

    id: str
    article: str
    arithmetic: str
    remark: str
    claim: str
    axis: str
    implementations: tuple[str, ...]
    expected: float | None = None


OURS = "– (ours)"  # noqa: RUF001
# The article's n, k, d are tokens, heads and features a head; it never defines k, and this is how it is read here.
LINES = (
    Line(
        id="A1, in n",
        article="Projections cost O(n · k · 3d).",
        arithmetic="2 · batch · n · 3D²: linear in n.",
        remark="As the article says: twice the text, twice the projections.",
        claim="A1", axis="n", implementations=("phase/projections",),
    ),
    Line(
        id="A1, in width",
        article="Projections cost O(n · k · 3d): linear in the width k · d.",
        arithmetic="2 · batch · n · 3D²: quadratic in the width D = k · d.",
        remark="Each of the D outputs reads all D inputs, so the width counts twice. The article counts it once.",
        claim="A1", axis="width", implementations=("phase/projections",),
    ),
    Line(
        id="A2",
        article="Attention scores cost O(n² · k · d).",
        arithmetic="2 · batch · heads · n² · d: a dot product of length d for each pair of tokens.",
        remark="As the article says.",
        claim="A2", axis="", implementations=("phase/scores",),
    ),
    Line(
        id="A3",
        article="The weighted sum costs O(n · k · d).",
        arithmetic="2 · batch · heads · n² · d: as dear as the scores.",
        remark="A slip of one power: each of the n outputs adds up n values, so the sum is quadratic like the scores.",
        claim="A3", axis="n", implementations=("phase/weighted-sum",),
    ),
    Line(
        id="A4",
        article="In total O(n² · k · d).",
        arithmetic="8nD² + 4n²D for one sequence: n² wins once n passes 2D.",
        remark="True for long texts; below the crossover the projections cost more than attention does.",
        claim="A4", axis="n", implementations=("d2l",),
    ),
    Line(
        id="A5",
        article="The cost grows exponentially with the input.",
        arithmetic="Quadratic: doubling n multiplies the cost by 4, it does not square it.",
        remark="A word that is often used loosely. Exponential growth would multiply the cost by the same factor with "
        "every token added.",
        claim="A5", axis="", implementations=("d2l", "batched"),
    ),
    Line(
        id="A6",
        article="FlashAttention makes it faster (no figure given).",
        arithmetic="The same operations, O(n) instead of O(n²) extra memory, fewer bytes moved.",
        remark="Not less work, but less traffic. What it gains depends on the machine and on n.",
        claim="A6", axis="", implementations=("sdpa-flash",),
    ),
    Line(
        id="B1",
        article=OURS,
        arithmetic="Materialised scores take batch · heads · n² elements a copy.",
        remark="This is the memory that ends long texts first.",
        claim="B1", axis="n", implementations=("batched",),
    ),
    Line(
        id="B2",
        article=OURS,
        arithmetic="A blocked softmax keeps no n² buffer: O(n) extra memory.",
        remark="What flash kernels, and online, their readable form, are for.",
        claim="B2", axis="n", implementations=("sdpa-flash", "online"),
    ),
    Line(
        id="B3, products",
        article=OURS,
        arithmetic="4 · batch · n² · D whatever the number of heads.",
        remark="More heads of a fixed width leave the products as they are.",
        claim="B3", axis="heads at fixed width", implementations=("batched",), expected=0,
    ),
    Line(
        id="B3, softmax",
        article=OURS,
        arithmetic="A constant · batch · heads · n²: a score matrix for each head.",
        remark="But each head has a softmax of its own, whose work and memory grow with the heads.",
        claim="B3", axis="heads at fixed width", implementations=("batched",), expected=1,
    ),
    Line(
        id="B4",
        article=OURS,
        arithmetic="4 · batch · heads · n · d for one more token against a cache of n keys.",
        remark="Writing a text token by token is linear a token, quadratic in all.",
        claim="B4", axis="", implementations=("batched", "sdpa-flash"),
    ),
    Line(
        id="B5",
        article=OURS,
        arithmetic="A causal mask leaves n (n + 1) / 2 of n² pairs.",
        remark="Only kernels that skip masked blocks save the half; a mask alone saves nothing.",
        claim="B5", axis="", implementations=("batched", "sdpa-flash", "online"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """A line with its verdicts: (implementation, verdict, reason), and the measured exponent or ratio in words."""

    line: Line
    verdicts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Crossover:
    """Where attention overtakes projections: by operations, and by the times measured, None where they never meet."""

    width: int
    operations: float
    time: float | None


def write(directory: Path, *, output: Path | None = None) -> Path:
    """Render lesson.html of a lesson's run directory; return the path.

    Raises JournalError where the directory holds no lesson, SchemaMismatchError for a newer schema.
    """
    target = output if output is not None else directory / PAGE
    target.write_text(html(lesson_facts.read(directory), read_run(directory)), encoding="utf-8")
    return target


def html(lesson: Lesson, run: Run) -> str:
    """Return the page of a lesson and its run."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    table = frames([run])
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(count=units.count, digits=units.digits, seconds=units.seconds)
    drawn = {**pooling.pictures(lesson), "cost": cost_figures(run, table)}
    page = environment.get_template("lesson.html.jinja")
    return page.render(
        policy=content_security_policy([]),
        styles=_asset("templates/report.css") + _asset("templates/lesson.css") + variables(),
        lesson=lesson,
        run=run,
        machine=_machine(run),
        judged=judge(run.verdicts),
        crossover=crossover(table),
        pictures=drawn,
        example_steps=[(step, f"({', '.join(map(str, shape))})") for step, shape in lesson.example.steps],
        gains=gains(table),
        work=work_rows(lesson),
        verdict_count=len(run.verdicts),
    )


def judge(verdicts: Sequence[Verdict]) -> list[Judged]:
    """Find the verdicts of each line, as far as the run has them."""
    return [Judged(line, tuple(_of_line(line, verdicts))) for line in LINES]


def _of_line(line: Line, verdicts: Sequence[Verdict]) -> Iterable[tuple[str, str, str]]:
    for implementation in line.implementations:
        mine = [one for one in verdicts if one.claim == line.claim and one.implementation == implementation]
        whole = [one for one in mine if one.quantity == "all" and line.axis in {"", one.axis}]
        for one in [one for one in whole if line.expected in {None, one.expected}][:1]:
            yield implementation, one.verdict, with_units(one.reason)


def crossover(table: pd.DataFrame) -> Crossover | None:
    """Find the n from which scores, softmax and weighted sum take longer than the projections around them."""
    steps = table[
        (table["status"] == "ok")
        & (table["scenario"] == "tutorial")
        & table["implementation"].str.startswith(STEP)
    ]  # fmt: skip
    if steps.empty:
        return None
    times = steps.pivot_table(index="n", columns="implementation", values="best_s", aggfunc="min").dropna()
    width = int(steps["width"].iloc[0])
    return Crossover(width=width, operations=2.0 * width, time=speed.crossover(times))


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
                units.seconds(plain["median_s"]),
                units.seconds(fused["median_s"]),
                units.ratio(plain["median_s"] / fused["median_s"]),
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
        found += draw(sweep, colors) if draw else []
    return [figure for figure in found if figure is not None]


def _of_steps(sweep: Sweep, colors: dict[str, style.Look]) -> list[Figure | None]:
    steps = sweep.table[sweep.table["implementation"].str.startswith(STEP)]
    return [time.time(sweep, colors), speed.step_times(sweep, steps)]


def _of_attention(sweep: Sweep, colors: dict[str, style.Look]) -> list[Figure | None]:
    return [time.time(sweep, colors), memory.memory(sweep, colors)]


_DRAWN: dict[str, Callable[[Sweep, dict[str, style.Look]], list[Figure | None]]] = {
    "tutorial": _of_steps,
    "tutorial-attention": _of_attention,
}


def _machine(run: Run) -> str:
    return run.plan.device_name if run.plan and run.plan.device_name else ""


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
