"""The chapters of a page in their order, of those that the runs have data for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.lesson import facts
from reports.chapters.evidence import agreement_chapter, device_chapter
from reports.chapters.parts import parts_chapter
from reports.chapters.problems import problem_chapter
from reports.chapters.runs import runs_chapter
from reports.chapters.sweeps import scaling_chapter, speed_chapter
from reports.figures.sweep import sweeps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.results.run import Run
    from reports.chapters.chapter import Chapter
    from reports.style import Appearance

# Figures of sweeps beyond this many are left to the explorer, so that the cost of a page stays bounded.
SWEEPS_AT_MOST = 12
# Chapters of a page of several runs that show their first section at once: a page as long as that of one run.
OPENED = {"runs", "scaling", "speed", "parts"}


def chapters(runs: Sequence[Run], table: pd.DataFrame, colors: dict[str, Appearance]) -> list[Chapter]:
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
    lesson_facts = next((lesson for run in runs if (lesson := facts.found(run.path)) is not None), None)
    others = [sweep.problem for sweep in every if sweep.problem != "attention"] + ["pooling"] * (
        lesson_facts is not None
    )
    found += [
        problem_chapter(problem, runs, [s for s in drawn if s.problem == problem], colors, lesson=lesson_facts)
        for problem in dict.fromkeys(others)
    ]
    found += [parts_chapter(runs), agreement_chapter(table, colors), device_chapter(runs, drawn, colors)]
    made = [chapter for chapter in found if chapter is not None]
    return made if len(runs) == 1 else [_folded(chapter) for chapter in made]


def _folded(chapter: Chapter) -> Chapter:
    """Fold the sections of a chapter of several runs: what opens it alone where it is on the runs or attention."""
    opened = 1 if chapter.id in OPENED else 0
    return replace(
        chapter,
        sections=tuple(replace(one, is_folded=place >= opened) for place, one in enumerate(chapter.sections)),
    )
