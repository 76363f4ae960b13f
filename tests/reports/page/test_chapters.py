"""The chapters of a page: each is there where a run has data for it, in one order."""

from __future__ import annotations

import pytest

from harness.lesson import facts
from harness.results.run import read_run
from reports import style
from reports.page import chapters as page
from tests.support import lessons, runs
from tests.support.drawn import run_of, swept, table_of

SIZES = (64, 128)


def chapters_of(*several):
    table = table_of(*several)
    return page.chapters(several, table, style.looks(table["implementation"]))


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "cpu"
    module = [runs._case("multihead-length", "multihead", "d2l", {"n": n, "width": 256}, "float32", "cpu", "forward")
              for n in SIZES]  # fmt: skip
    records = [
        runs.ok_record("d2l", n=n).model_copy(update={"case": case}) for n, case in zip(SIZES, module, strict=True)
    ]
    runs.write_run(path, [*swept("batched", "loop", sizes=SIZES), *records], judged=False)
    return read_run(path)


def test_chapters_stand_in_one_order(cpu):
    assert [found.id for found in chapters_of(cpu)] == ["scaling", "speed", "problem-multihead", "agreement", "device"]


def test_several_runs_are_compared_before_all_else(cpu):
    assert next(iter(chapters_of(cpu, run_of(swept("batched", sizes=SIZES), label="other")))).id == "runs"


def test_of_several_runs_what_opens_runs_scaling_and_speed_is_shown_and_the_rest_folded(cpu):
    found = chapters_of(cpu, run_of(swept("batched", "loop", sizes=SIZES), label="other"))
    opened = [
        (chapter.id, place) for chapter in found for place, one in enumerate(chapter.sections) if not one.is_folded
    ]
    assert opened == [("runs", 0), ("scaling", 0), ("speed", 0)]
    folded = [one for chapter in found for one in chapter.sections if one.is_folded]
    assert len(folded) > len(opened)
    assert all(one.title for one in folded)


def test_figures_beyond_a_bound_are_left_to_the_explorer(cpu, monkeypatch):
    monkeypatch.setattr(page, "SWEEPS_AT_MOST", 1)
    found = chapters_of(cpu)
    assert "open in the explorer: multihead-length (float32, forward)." in found[0].lead
    assert len(found[0].sections) == 1
    assert [chapter.id for chapter in found] == ["scaling", "speed", "agreement", "device"]


def test_a_lesson_beside_a_run_has_a_chapter_of_its_pictures(tmp_path):
    facts.write(lessons.lesson(), tmp_path)
    found = chapters_of(run_of(swept("batched", sizes=SIZES), path=tmp_path))
    assert "problem-pooling" in [chapter.id for chapter in found]


def test_a_run_of_failures_has_their_reasons_alone():
    failed = run_of([runs.failed_record("loop", "oom", "too much", n=64, d=64, heads=2, batch=1)])
    assert [chapter.id for chapter in chapters_of(failed)] == ["agreement", "device"]
