"""The chapters of a page: each is there where a run has data for it, in one order."""

from __future__ import annotations

import pytest

from harness.results.run import read_run, read_runs
from reports import style
from reports.chapters import chapter, evidence
from reports.chapters.runs import runs_chapter
from reports.frame import frames
from reports.page import chapters as page
from tests.support import runs


def chapters_of(*paths):
    several = read_runs(paths)
    table = frames(several)
    return page.chapters(several, table, style.looks(table["implementation"]))


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "cpu", sweeps=("sequence-length", "multihead-length"))


@pytest.fixture(scope="module")
def slower(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "slower", sweeps=("sequence-length",), speed=0.5)


def test_chapters_stand_in_one_order(cpu):
    assert [found.id for found in chapters_of(cpu)] == ["scaling", "speed", "problem-multihead", "agreement", "device"]


def test_several_runs_are_compared_first(cpu, slower):
    first = chapters_of(cpu, slower)[0]
    assert first.id == "runs"
    assert [row[0] for row in first.sections[0].tables[-1].rows] == ["slower"] * len(runs.ATTENTION)


def test_runs_that_share_nothing_have_no_chapter(cpu):
    run = read_run(cpu)
    assert runs_chapter([run], [], frames([run]), {}) is None


def test_figures_beyond_a_bound_are_left_to_the_explorer(cpu, monkeypatch):
    monkeypatch.setattr(page, "SWEEPS_AT_MOST", 1)
    scaling = chapters_of(cpu)[0]
    assert "open in the explorer: multihead-length (float32, forward)." in scaling.lead
    assert len(scaling.sections) == 1


def test_every_case_without_a_time_is_counted_with_its_reason(cpu):
    run = read_run(cpu)
    table = frames([run])
    found = evidence.agreement_chapter(table, style.looks(table["implementation"]))
    rows = found.sections[-1].tables[0].rows
    assert sum(int(row[2]) for row in rows) == int((table["status"] != "ok").sum()) > 0
    assert {row[0] for row in rows} == {status.replace("_", " ") for status in set(table["status"]) - {"ok"}}


def test_a_run_without_sensors_says_so(tmp_path):
    records = [runs.ok_record("batched", n=64, d=64, heads=2, batch=1).model_copy(update={"telemetry": None})]
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",), failures=False))
    bare = evidence.device_chapter(
        [type(run)(**{**vars(run), "records": tuple(records), "rounds": {}})], [], style.looks(["batched"])
    )
    assert bare.lead == "No utilization, power or temperature was recorded in this run."
    assert bare.sections == ()


def test_a_long_reason_is_cut_in_its_middle():
    text = chapter.brief("a" * 300 + "b" * 300, at_most=400)
    assert text == "a" * 200 + " … " + "b" * 200
    assert chapter.brief("short") == "short"


def test_a_title_names_its_run_where_there_are_several(cpu, slower):
    one, other = read_runs([cpu, slower])
    assert chapter.of_run(one, "Ceilings", [one]) == "Ceilings"
    assert chapter.of_run(other, "Ceilings", [one, other]) == "Ceilings: slower"
