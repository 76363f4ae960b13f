"""The device under load: its series, its throttled stretches, and what a call costs in energy."""

from __future__ import annotations

import pytest

from harness.records import Telemetry
from harness.results.run import read_run
from reports import style
from reports.figures.device import load
from reports.figures.device.load import draw_loads, energy, throttle_facts
from tests.support import runs
from tests.support.drawn import colors_of as looks_of
from tests.support.drawn import sweep_of, swept


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def colors_of(run):
    return style.looks(record.case.implementation for record in run.records)


def test_the_load_figure_underlays_the_throttled_stretch(gpu):
    figure = load.load_series(gpu.records, colors_of(gpu), key="k", run="")
    assert "var(--bad)" in figure.svg
    assert ("sdpa-flash", "clocks held back: software power cap", "2.5 s to 6.4 s") in figure.rows


def told(record, **telemetry):
    return record.model_copy(update={"telemetry": Telemetry(**telemetry)})


SERIES = {"power_w": [(0.0, 50.0), (1.0, 60.0)], "core_0": [(0.0, 1.0)], "cpu_utilization": []}


def test_the_case_of_most_operations_stands_for_its_implementation():
    small, large = swept("batched", sizes=(64, 128))
    records = [
        told(large, series=SERIES, summary={"power_w": 61.0}),
        told(small, series=SERIES, summary={"power_w": 9.0}),
    ]
    figure = load.load_series(records, looks_of("batched"), key="k", run="mine")
    assert figure.rows == (("batched", "power", "61.0 W"),)
    assert figure.title == "The device under sustained load, mine"
    assert figure.finding == "Watts drawn: 61.0 for all. No throttling was reported."


def test_a_span_over_implementations_names_both_ends():
    records = [
        told(record, series=SERIES, summary={"power_w": watts, "gpu_utilization": busy}, throttle=["heat"])
        for record, watts, busy in zip(swept("batched", "loop", sizes=(64,)), (61.0, 45.0), (0.98, 0.5), strict=True)
    ]
    finding = load.load_series(records, looks_of("batched", "loop"), key="k", run="").finding
    assert "The GPU was busy 50 % (loop) to 98 % (batched)." in finding
    assert "Watts drawn: 45.0 (loop) to 61.0 (batched)." in finding
    assert finding.endswith("Clocks were held back by heat.")


@pytest.mark.parametrize("series", [{}, {"core_0": [(0.0, 1.0)]}, {"power_w": []}])
def test_without_a_series_of_the_machine_there_is_no_figure(series):
    records = [told(record, series=series) for record in swept("batched", sizes=(64,))]
    assert load.load_series(records, looks_of("batched"), key="k", run="") is None


def test_idle_power_is_a_dashed_line():
    loads = {"batched": Telemetry(series={"power_w": SERIES["power_w"]}, summary={"idle_power_w": 20.0})}
    axes = draw_loads(loads, ["power_w"], looks_of("batched")).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines][:2] == [[50.0, 60.0], [20.0, 20.0]]


def test_throttling_is_told_by_reason_with_its_span_and_how_long_it_held():
    spans = [(1.0, 2.0, "heat"), (4.0, 4.5, "power"), (5.0, 5.25, "heat")]
    assert throttle_facts(Telemetry(throttle_spans=spans)) == [
        ("clocks held back: heat", "1.0 s to 5.2 s, 1.2 s in 2 stretches"),
        ("clocks held back: power", "4.0 s to 4.5 s"),
    ]


def test_energy_is_drawn_where_two_sizes_have_one():
    def of(joules, sizes):
        records = swept("batched", "loop", sizes=sizes)
        return sweep_of([
            told(r, summary={"energy_j": joules[r.case.implementation] * r.case.point["n"], "power_w": 50.0})
            for r in records
        ])  # fmt: skip

    figure = energy(of({"batched": 0.002, "loop": 0.01}, (64, 128)), looks_of("batched", "loop"))
    assert figure.finding == "At n = 128 batched needs 0.256 J, loop 1.28 J."
    assert figure.rows[0] == ("batched", "64", "0.128", "50")
    assert energy(of({"batched": 0.002, "loop": 0.0}, (64,)), looks_of("batched", "loop")) is None
    assert energy(of({"batched": 0.0, "loop": 0.0}, (64, 128)), looks_of("batched", "loop")) is None
