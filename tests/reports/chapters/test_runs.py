"""Several runs are set beside the first, where they share anything."""

from __future__ import annotations

import pytest

from harness.results.run import read_run, read_runs
from reports import style
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


def test_several_runs_are_compared_first(cpu, slower):
    first = chapters_of(cpu, slower)[0]
    assert first.id == "runs"
    assert [row[0] for row in first.sections[0].tables[-1].rows] == ["slower"] * len(runs.ATTENTION)


def test_runs_that_share_nothing_have_no_chapter(cpu):
    run = read_run(cpu)
    assert runs_chapter([run], [], frames([run]), {}) is None
