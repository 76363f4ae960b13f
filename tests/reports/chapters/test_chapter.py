"""The chapters of a page: each is there where a run has data for it, in one order."""

from __future__ import annotations

import pytest

from harness.results.run import read_runs
from reports.chapters import chapter
from tests.support import runs


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "cpu", sweeps=("sequence-length", "multihead-length"))


@pytest.fixture(scope="module")
def slower(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "slower", sweeps=("sequence-length",), speed=0.5)


def test_a_long_reason_is_cut_in_its_middle():
    text = chapter.brief("a" * 300 + "b" * 300, at_most=400)
    assert text == "a" * 200 + " … " + "b" * 200
    assert chapter.brief("short") == "short"


def test_a_title_names_its_run_where_there_are_several(cpu, slower):
    one, other = read_runs([cpu, slower])
    assert chapter.of_run(one, "Ceilings", [one]) == "Ceilings"
    assert chapter.of_run(other, "Ceilings", [one, other]) == "Ceilings: slower"
