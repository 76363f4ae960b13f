"""The chapters of a page: each is there where a run has data for it, in one order."""

from __future__ import annotations

import pytest

from harness.results.run import read_runs
from reports import style
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


def test_chapters_stand_in_one_order(cpu):
    assert [found.id for found in chapters_of(cpu)] == ["scaling", "speed", "problem-multihead", "agreement", "device"]


def test_figures_beyond_a_bound_are_left_to_the_explorer(cpu, monkeypatch):
    monkeypatch.setattr(page, "SWEEPS_AT_MOST", 1)
    scaling = chapters_of(cpu)[0]
    assert "open in the explorer: multihead-length (float32, forward)." in scaling.lead
    assert len(scaling.sections) == 1
