"""A problem beside attention has a chapter of its sweeps: the whole, its steps, and of pooling its fits."""

from __future__ import annotations

from reports.chapters.problems import problem_chapter
from reports.figures.speed.steps import LINEAR_STEPS, QUADRATIC_STEPS
from reports.figures.sweep import sweeps
from tests.support import lessons, runs
from tests.support.drawn import colors_of, run_of, table_of, timed

SIZES = (64, 128, 256)
STEPS = (*LINEAR_STEPS, *QUADRATIC_STEPS)


def module(implementation, n, *, phases=None):
    record = runs.ok_record("d2l", n=n, width=256, heads=4)
    changed = {"implementation": implementation, "problem": "multihead", "id": f"{implementation} {n}"}
    counts = record.counts.model_copy(update={"phases": phases or {"projections": 64 * n, "scores": n * n}})
    return timed(record, 1e-7 * n**1.5).model_copy(
        update={"case": record.case.model_copy(update=changed), "counts": counts}
    )


def chapter_of(records, *, problem="multihead", lesson=None):
    run = run_of(records)
    colors = colors_of(*(record.case.implementation for record in records))
    return problem_chapter(problem, [run], sweeps([run], table_of(run)), colors, lesson=lesson)


def test_a_module_is_drawn_whole_and_by_its_steps():
    records = [module(name, n) for n in SIZES for name in ("d2l", *STEPS)]
    chapter = chapter_of(records)
    assert (chapter.id, chapter.title) == ("problem-multihead", "Multi-head attention")
    (section,) = chapter.sections
    kinds = [[figure.id.split("-")[0] for figure in figures] for figures in (section.figures, section.more)]
    assert kinds == [["time", "memory"], ["slope", "steps", "phases"]]
    # The whole's figures leave the steps out.
    assert {row[0] for row in section.figures[0].rows} == {"d2l"}


def test_steps_alone_have_no_figure_of_the_whole():
    chapter = chapter_of([module(name, n) for n in SIZES for name in STEPS])
    assert [figure.id.split("-")[0] for figure in chapter.sections[0].figures] == ["steps"]


def test_implementations_that_count_alike_need_one_split():
    other = {"projections": 1, "scores": 2}
    records = [module(name, n) for n in SIZES for name in ("d2l", "torch-module")]
    records += [module("online", n, phases=other) for n in SIZES]
    figures = chapter_of(records).sections[0].more
    split = [figure.title for figure in figures if figure.id.startswith("phases")]
    assert [title.split(" by ")[0] for title in split] == ["Operations of d2l", "Operations of online"]


def test_a_joint_sweep_or_none_is_no_chapter():
    assert chapter_of([module("d2l", 64)]) is None


def test_pooling_begins_with_what_it_predicts_where_a_lesson_is_known():
    chapter = chapter_of([module("d2l", 64)], problem="pooling", lesson=lessons.lesson())
    assert chapter.title == "Attention pooling"
    assert [section.title for section in chapter.sections] == ["What pooling predicts", "Learning one parameter"]
    assert [len(section.figures) for section in chapter.sections] == [3, 4]
    assert chapter_of([module("d2l", 64)], problem="multihead", lesson=lessons.lesson()) is None
