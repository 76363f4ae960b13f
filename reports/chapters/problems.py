"""The problems beside attention: time and memory, steps stacked by size; of pooling, its fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reports.chapters.chapter import (
    PROBLEM_TITLES,
    Chapter,
    Section,
    heading,
    judging_band,
    made,
    names_of,
    opened_first,
)
from reports.figures import pooling
from reports.figures.figure import slug
from reports.figures.scaling import memory, slopes, time
from reports.figures.speed import steps
from reports.figures.speed.steps import STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.lesson.facts import Lesson
    from harness.results.run import Run
    from reports.figures.figure import Figure
    from reports.figures.sweep import Sweep
    from reports.style import Appearance

# Figures of a sweep that are shown at once; the others open on demand.
SHOWN = 2
LEAD_POOLING = (
    "Fifty noisy points of 2 sin(x) + x^0.8 are the keys and values, a hundred places the queries; one fixed seed."
)
LEAD_LEARNING = (
    "The scale w of the Gaussian kernel is trained as the tutorial does it, each point predicted from the others, and "
    "set beside the scale that a scalar optimiser finds for the same loss."
)


def problem_chapter(
    problem: str,
    runs: Sequence[Run],
    drawn: Sequence[Sweep],
    colors: dict[str, Appearance],
    *,
    lesson: Lesson | None = None,
) -> Chapter | None:
    """Show the sweeps of a problem beside attention: time, memory, its phases stacked by size; of pooling, its fits."""
    sections = _fits(lesson) if problem == "pooling" and lesson is not None else []
    named = {run.label: run for run in runs}
    names = names_of(drawn)
    swept = [sweep for sweep in drawn if sweep.axis is not None]
    sections += opened_first(replace(_costs(one, named[one.run], colors), name=names[one.key]) for one in swept)
    if not sections:
        return None
    title = PROBLEM_TITLES.get(problem, problem.capitalize())
    return Chapter(f"problem-{slug(problem)}", title, "", tuple(sections))


def _fits(lesson: Lesson) -> list[Section]:
    """Show what pooling predicts, and how its one parameter is learned."""
    pictures = pooling.pictures(lesson)
    return [
        Section("What pooling predicts", LEAD_POOLING, tuple(pictures["pooling"])),
        Section("Learning one parameter", LEAD_LEARNING, tuple(pictures["learning"])),
    ]


def _costs(sweep: Sweep, run: Run, colors: dict[str, Appearance]) -> Section:
    """Show what the whole costs along a sweep, and what its steps do."""
    is_step = sweep.table["implementation"].str.startswith(STEP)
    shared_steps = sweep.shared["implementation"].str.startswith(STEP)
    whole = replace(sweep, table=sweep.table[~is_step], shared=sweep.shared[~shared_steps])
    grown: tuple[Figure, ...] = ()
    if len(whole.table):
        grown = made(
            [
                time.time(whole, colors),
                memory.memory(whole, colors),
                slopes.slopes(whole, colors, band=judging_band(run)),
            ]
        )
    figures = (*grown, *made([steps.step_times(sweep, sweep.table[is_step]), *_phases(run, whole)]))
    return Section(heading(sweep), sweep.conditions, figures[:SHOWN], more=figures[SHOWN:])


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
            steps.phases(records, str(sweep.axis), key=f"{sweep.key}-{slug(name)}", conditions=sweep.conditions)
        )
    return found
