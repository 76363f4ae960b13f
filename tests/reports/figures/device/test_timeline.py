"""The machine over the run: what was read is drawn, and marks stand where clocks were held back."""

from __future__ import annotations

import pytest

from harness.records import Round
from harness.results.run import read_run
from reports import style
from reports.figures.device import timeline
from tests.support import runs
from tests.support.drawn import run_of


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


def visit(at, **known):
    return Round(index=0, started=at, calls_per_sample=1, samples=[1.0], **known)


def test_readings_begin_with_the_first_and_a_canary_is_over_its_best():
    rounds = {"x": [visit(100.0, canary=[2.0, 2.0, 9.0]), visit(160.0, canary=[4.0], sm_clock_mhz=1500.0)]}
    found = timeline.timeline(run_of([], rounds=rounds))
    assert found.rounds == {"canary": [(0.0, 1.0), (60.0, 2.0)], "clock_mhz": [(60.0, 1500.0)]}
    assert (found.names, found.last) == (["canary", "clock_mhz"], 60.0)


def test_a_share_that_nobody_stole_is_not_drawn():
    calm, taken = ({"x": [visit(0.0, steal_share=share), visit(9.0, steal_share=0.0)]} for share in (0.0, 0.2))
    assert "steal_share" not in timeline.timeline(run_of([], rounds=calm)).rounds
    assert timeline.timeline(run_of([], rounds=taken)).rounds["steal_share"] == [(0.0, 0.2), (9.0, 0.0)]


def test_without_a_reading_there_is_no_figure():
    assert timeline.over_run(run_of([], rounds={"x": [visit(0.0)]}), {}, key="k", label="") is None
    assert timeline.over_run(run_of([]), {}, key="k", label="") is None


@pytest.mark.parametrize(("last", "unit"), [(100.0, "seconds"), (200.0, "minutes")])
def test_a_short_run_is_told_in_seconds(last, unit):
    rounds = {"x": [visit(0.0, canary=[1.0]), visit(last, canary=[1.0])]}
    figure = timeline.over_run(run_of([], rounds=rounds), {}, key="k", label="mine")
    assert f">{unit} since the first round<" in figure.svg
    assert figure.title == "The machine over the run, mine"
    assert figure.rows == (("canary, times its best", "2", "1.00", "1.00", "1.00"),)


@pytest.mark.parametrize(
    ("clocks", "words"),
    [
        ((1980.0, 1979.0), "Beside the rounds the clock stayed at 1,980 MHz. No throttling was reported."),
        ((1980.0, 1500.0), "Beside the rounds the clock lay between 1,500 and 1,980 MHz. No throttling was reported."),
    ],
)
def test_a_clock_that_stays_is_told_from_one_that_moves(clocks, words):
    rounds = {"x": [visit(float(at), sm_clock_mhz=clock) for at, clock in enumerate(clocks)]}
    assert timeline.over_run(run_of([], rounds=rounds), {}, key="k", label="").finding == words


def test_marks_are_tabulated_by_reason_with_their_span():
    rounds = {"x": [visit(0.0, canary=[1.0]), visit(5.0, throttle=["heat"]), visit(9.0, throttle=["heat", "power"])]}
    rows = timeline.over_run(run_of([], rounds=rounds), {}, key="k", label="").rows
    assert rows[1:] == (
        ("clocks held back: heat", "2", "5.0 s to 9.0 s", "", ""),
        ("clocks held back: power", "1", "9.0 s to 9.0 s", "", ""),
    )
