"""A sweep holds the cases along one axis, whoever asked for them."""

from __future__ import annotations

import pytest

from harness.results.run import read_runs
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example")


def test_a_case_that_two_scenarios_share_is_drawn_in_both(run):
    several = read_runs([run])
    drawn = {
        found.scenario: sorted(set(found.table[found.axis])) for found in sweeps(several, frames(several)) if found.axis
    }
    assert drawn["sequence-length"] == runs.SWEEPS["sequence-length"]["axes"]["n"]
    assert drawn["head-dim"] == runs.SWEEPS["head-dim"]["axes"]["d"]
