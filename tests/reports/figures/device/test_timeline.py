"""The machine over the run: what was read is drawn, and marks stand where clocks were held back."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports import style
from reports.figures.device import timeline
from tests.support import runs


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def colors_of(run):
    return style.looks(record.case.implementation for record in run.records)


def test_marks_of_throttling_stand_where_it_was_seen(gpu):
    found = timeline.timeline(gpu)
    spans = sorted((last - first, reason) for first, last, reason in found.marks)
    assert spans == [(pytest.approx(3.9), "software power cap")] * 3
    load = next(record.telemetry for record in gpu.records if record.telemetry)
    first = min(visit.started for visits in gpu.rounds.values() for visit in visits)
    assert found.marks[0][0] == pytest.approx(load.started - first + 2.5)


def test_throttled_rounds_are_marks_as_well(tmp_path):
    record = runs.ok_record("batched", n=256, d=64, heads=2, batch=1)
    throttled = record.time.model_copy(update={"flags": ["throttled"]})
    runs.write_run(tmp_path / "run", [record.model_copy(update={"time": throttled})], judged=False)
    run = read_run(tmp_path / "run")
    assert [mark[0] for mark in timeline.timeline(run).marks] == [240.0, 300.0, 360.0]
    figure = timeline.over_run(run, colors_of(run), key="k", label="")
    assert "hardware thermal slowdown" in figure.finding
    assert ">clocks held back<" in figure.svg


def test_a_run_of_one_visit_is_drawn_for_what_there_is(tmp_path):
    record = runs.ok_record("batched", n=256, d=64, heads=2, batch=1)
    runs.write_run(tmp_path / "run", [record], judged=False, rounds=[runs.rounds_of(record, first=5.0)[:1]])
    run = read_run(tmp_path / "run")
    # Warnings are errors in tests: matplotlib's of axes without a width too.
    assert timeline.over_run(run, colors_of(run), key="k", label="") is not None


def test_a_steady_machine_has_no_marks(tmp_path):
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",), failures=False))
    figure = timeline.over_run(run, colors_of(run), key="k", label="")
    assert "clocks held back" not in figure.svg
    assert "canary" in figure.svg


def test_clock_power_and_temperature_are_drawn_over_the_run(gpu):
    figure = timeline.over_run(gpu, colors_of(gpu), key="k", label="")
    for words in ("SM clock, MHz", "power, W", "temperature, °C", "GPU busy, share", "minutes since the first round"):
        assert f">{words}<" in figure.svg
    assert "Clocks were held back by software power cap." in figure.finding


def test_a_device_that_throttles_in_every_round_swells_no_figure():
    marks = [(float(at), float(at), "hardware thermal slowdown") for at in range(0, 50_000, 3)]
    assert timeline.marked_stretches(marks, last=50_000.0) == [(0.0, pytest.approx(49_998, abs=500))]
    apart = [(100.0, 100.0, "x"), (30_000.0, 31_000.0, "x")]
    assert timeline.marked_stretches(apart, last=50_000.0) == [
        (100.0, pytest.approx(516.7, abs=1)),
        (30_000.0, 31_000.0),
    ]
