"""The device under load: its series, its throttled stretches, and what a call costs in energy."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports import style
from reports.figures.device import load
from tests.support import runs


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def colors_of(run):
    return style.looks(record.case.implementation for record in run.records)


def test_the_load_figure_underlays_the_throttled_stretch(gpu):
    figure = load.load_series(gpu.records, colors_of(gpu), key="k", run="")
    assert "var(--bad)" in figure.svg
    assert ("sdpa-flash", "clocks held back: software power cap", "2.5 s to 6.4 s") in figure.rows
