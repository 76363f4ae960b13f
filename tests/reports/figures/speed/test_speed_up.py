"""A speed-up is drawn as the number it is, with a mark where no difference is significant."""

from __future__ import annotations

import pytest

from harness.results.run import read_runs
from reports import units
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example")


def test_the_numbers_written_in_a_heat_map_are_the_speed_ups(run):
    from reports.figures.speed.speed_up import speed_up, speed_ups

    several = read_runs([run])
    sweep = next(found for found in sweeps(several, frames(several)) if found.scenario == "sequence-length")
    svg = speed_up(sweep, baseline="sdpa-math").svg
    joined = speed_ups(sweep.table, baseline="sdpa-math")
    for value in joined["speed_up"]:
        assert f">{units.digits(value, significant=2)}<" in svg
