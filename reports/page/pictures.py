"""One figure of a page as a file, for a paper or a README: SVG, PNG or its numbers as CSV; a card adds the answer."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from harness.results.run import read_runs
from reports import style, units
from reports.answer.sentences import sentences
from reports.answer.tiles import Tile, place_of
from reports.chapters.chapter import machine
from reports.frame import frames, with_marks
from reports.page.chapters import chapters
from reports.text import csv_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.results.run import Run
    from reports.figures.figure import Figure
    from reports.style import Theme

CARD = "card"
FORMATS = ("svg", "png", "csv")
# As many names are listed in an error.
NAMED_AT_MOST = 8
# Figures that a card may show, the best first.
CARD_KINDS = ("time", "overview", "memory", "throughput")


def figures(runs: Sequence[Run]) -> list[Figure]:
    """Draw every figure of the page of some runs."""
    with style.names_as_text():
        table = frames(runs)
        return [figure for chapter in chapters(runs, table, style.looks(table["implementation"]))
                for figure in chapter.figures]  # fmt: skip


def picture(directories: Sequence[Path], name: str, *, form: str, theme: Theme = "light") -> bytes:
    """Return one figure of some runs as a file's content; `card` is the main one under the answer in words.

    Raises ValueError for an unknown name or form, JournalError where a directory holds no run.
    """
    if form not in FORMATS:
        raise ValueError(f"a figure can't be written as {form!r}; have: {', '.join(FORMATS)}")
    runs = [with_marks(run) for run in read_runs(directories)]
    with style.kept_drawings() as drawings:
        drawn = figures(runs)
        words = _words(runs[0]) if name == CARD else None
        chosen = _main(drawn, runs[0]) if name == CARD else find(drawn, name)
    if form == "csv":
        return numbers(chosen).encode()
    if form == "svg":
        return style.alone_svg(chosen.svg, theme, words=words).encode()
    with style.names_as_text():
        return style.alone_png(drawings[_prefix(chosen, drawings)], theme, words=words)


def _prefix(figure: Figure, drawings: Mapping[str, object]) -> str:
    """Return under which name a figure's drawing was kept: its own, or the beginning of it."""
    return (
        figure.id if figure.id in drawings else max((name for name in drawings if figure.id.startswith(name)), key=len)
    )


def find(drawn: Sequence[Figure], name: str) -> Figure:
    """Return the figure of a name, or the only one whose name has all its words in their order. Raises ValueError."""
    exact = [figure for figure in drawn if figure.id == name]
    alike = exact or [figure for figure in drawn if _has_words(figure.id, name)]
    if len(alike) == 1:
        return alike[0]
    listed = alike or list(drawn)
    shown = ", ".join(figure.id for figure in listed[:NAMED_AT_MOST])
    more = f" and {len(listed) - NAMED_AT_MOST} more (--figure list)" if len(listed) > NAMED_AT_MOST else ""
    if alike:
        raise ValueError(f"several figures fit {name!r}: {shown}{more}")
    raise ValueError(f"no figure {name!r}; have: {CARD}, {shown}{more}")


def _has_words(name: str, wanted: str) -> bool:
    """Tell whether the words of a name contain others in their order: `time-n-float32` in `time-run-n-float32-hot`."""
    words = iter(name.split("-"))
    return all(word in words for word in wanted.split("-"))


def numbers(figure: Figure) -> str:
    """Write the numbers of a figure as CSV: of quantities the values, their unit in the heading."""
    target = io.StringIO()
    writer = csv.writer(target)
    columns = list(zip(*figure.rows, strict=True))
    writer.writerow(
        csv_cell(f"{heading} ({unit})" if (unit := _unit(cells)) else heading)
        for heading, cells in zip(figure.columns, columns or [()] * len(figure.columns), strict=True)
    )
    for row in figure.rows:
        writer.writerow(_cell(cell) for cell in row)
    return target.getvalue()


def _unit(cells: Sequence[str]) -> str:
    found = {cell.unit for cell in cells if isinstance(cell, units.Quantity)}
    return found.pop() if len(found) == 1 else ""


def _cell(cell: str) -> object:
    if isinstance(cell, units.Quantity):
        return f"{cell.value:.9g}"
    return "" if cell == units.ABSENT else csv_cell(cell)


def _main(drawn: Sequence[Figure], run: Run) -> Figure:
    """Return the figure that a card shows. Raises ValueError if there is none."""
    ids = [figure.id for figure in drawn]
    for kind in CARD_KINDS:
        place = place_of(Tile("", "", kind=kind), ids, run)
        if place:
            return drawn[ids.index(place)]
    raise ValueError("no figure for a card: the run has no sweep with a time")


def _words(run: Run) -> style.Words:
    created = run.plan.created[:10] if run.plan else ""
    source = ", ".join(part for part in (machine(run), created, "attnbench") if part)
    return style.Words(tuple(sentences(run, frames([run]))), source)
