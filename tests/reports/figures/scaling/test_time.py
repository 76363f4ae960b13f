"""The laws that are drawn are those that were judged, and lines that cross are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.results.run import read_run, read_runs
from harness.scaling.law import costs
from reports import style
from reports.figures.scaling.time import judged_laws, time
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example")


def sweep_along(axis, path):
    several = read_runs([path])
    return next(found for found in sweeps(several, frames(several)) if found.axis == axis)


def test_the_law_that_is_drawn_is_the_one_that_was_judged(run):
    sweep = sweep_along("n", run)
    laws = judged_laws(sweep)
    judged = {
        verdict.implementation: verdict.law
        for verdict in read_run(run).verdicts
        if (verdict.axis, verdict.quantity) == ("n", "time")
    }
    assert laws == judged
    rows = sweep.table[sweep.table["implementation"] == "sdpa-flash"]
    misses = costs(laws["sdpa-flash"], rows["n"].to_numpy()) / rows["best_s"].to_numpy() - 1
    assert abs(misses).max() < 0.1
    assert 1.9 < laws["sdpa-flash"].exponent < 2.1


def test_a_law_that_other_cases_were_judged_by_is_not_drawn(run):
    sweep = sweep_along("n", run)
    others = [
        verdict.model_copy(update={"cases": verdict.cases[1:]}) if verdict.implementation == "loop" else verdict
        for verdict in sweep.verdicts
    ]
    assert set(judged_laws(sweep)) - set(judged_laws(replace(sweep, verdicts=tuple(others)))) == {"loop"}


def test_a_run_whose_verdicts_have_no_law_joins_its_points(run):
    sweep = sweep_along("n", run)
    bare = replace(sweep, verdicts=tuple(verdict.model_copy(update={"law": None}) for verdict in sweep.verdicts))
    assert judged_laws(bare) == {}
    assert "Lines join them." in time(bare, style.looks(bare.table["implementation"])).how
