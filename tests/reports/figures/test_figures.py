"""Figures of the report, each from a run made for it: marks of throttling, published rates, fresh memory, launches."""

from __future__ import annotations

import json
import re

import pytest

from harness.records import Allocation, Ceiling
from harness.results.run import read_run, read_runs
from reports import style
from reports.answer.doubts import precision_sentence, warnings
from reports.exports.markdown import markdown
from reports.figures import agreement, fresh_memory
from reports.figures.device import load, timeline
from reports.figures.speed.throughput import throughput
from reports.figures.sweep import sweeps
from reports.frame import frames
from reports.page.render import render
from tests.support import runs


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def colors_of(run):
    return style.looks(record.case.implementation for record in run.records)


def sweep_of(run):
    return next(found for found in sweeps([run], frames([run])) if found.axis == "n")


def with_summary(folder, **changes):
    path = folder / "run"
    runs.make_run(path, sweeps=("batch",), failures=False, judged=False)
    run = read_run(path)
    summary = run.summary.model_copy(update=changes)
    (path / "summary.json").write_text(summary.model_dump_json(by_alias=True), encoding="utf-8")
    return read_run(path)


# --- the device


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


def test_the_load_figure_underlays_the_throttled_stretch(gpu):
    figure = load.load_series(gpu.records, colors_of(gpu), key="k", run="")
    assert "var(--bad)" in figure.svg
    assert ("sdpa-flash", "clocks held back: software power cap", "2.5 s to 6.4 s") in figure.rows


def test_a_device_that_throttles_in_every_round_swells_no_figure():
    marks = [(float(at), float(at), "hardware thermal slowdown") for at in range(0, 50_000, 3)]
    assert timeline.marked_stretches(marks, last=50_000.0) == [(0.0, pytest.approx(49_998, abs=500))]
    apart = [(100.0, 100.0, "x"), (30_000.0, 31_000.0, "x")]
    assert timeline.marked_stretches(apart, last=50_000.0) == [
        (100.0, pytest.approx(516.7, abs=1)),
        (30_000.0, 31_000.0),
    ]


# --- published figures


def test_published_rates_are_laid_over_on_the_same_device(gpu):
    figure = throughput(sweep_of(gpu), colors_of(gpu), machine="NVIDIA H100 80GB HBM3")
    assert ">flash-attention-3 †<" in figure.svg
    assert "FlashAttention-3 paper" in figure.how
    assert re.search(r"sdpa-cudnn reaches \d+ % of the 595 TFLOP/s published for sdpa-cudnn", figure.finding)
    assert ("flash-attention-3 †", "16,384", "648 TFLOP/s", "") in figure.rows


@pytest.mark.parametrize("machine", ["NVIDIA H100 PCIe", "NVIDIA A100-SXM4-80GB", "AMD EPYC", ""])
def test_published_rates_stay_away_from_other_devices(gpu, machine):
    figure = throughput(sweep_of(gpu), colors_of(gpu), machine=machine)
    assert "†" not in figure.svg
    assert "published" not in figure.how


# --- launches and fresh memory


def test_launch_overhead_has_a_table_and_stands_in_the_case(gpu, tmp_path):
    page = render([gpu.path], tmp_path / "page.html").read_text(encoding="utf-8")
    table = page[page.index("Launch overhead apart from kernel time") :]
    assert "40 %" in table[:4000]
    assert "200 calls, 4 input sets" in table[:4000]


def fresh(implementation, n, ratio, *, low=None, high=None):
    cost = Allocation(
        returned=ratio * 1e-3, kept=1e-3, ratio=ratio, low=low, high=high, faults_returned=9000.0, faults_kept=2.0,
        rounds=5,
    )  # fmt: skip
    return runs.ok_record(implementation, n=n, d=64, heads=2, batch=1).model_copy(update={"allocation": cost})


def test_fresh_memory_has_a_figure_with_its_dearest_case_in_words(tmp_path):
    records = [
        fresh("batched", 2048, 1.4, low=1.3, high=1.5),
        fresh("sdpa-flash", 2048, 1.0, low=0.99, high=1.01),
        fresh("online", 2048, 1.1),
    ]
    runs.write_run(tmp_path / "run", records, judged=False)
    run = read_run(tmp_path / "run")
    figure = fresh_memory.fresh_memory(run.records, colors_of(run), key="k")
    assert figure.finding == (
        "Fresh memory makes 1 of 3 cases slower beyond the interval; most batched, by 1.40× (95 %: 1.30 to 1.50), "
        "with 9,000 page faults per call instead of 2."
    )
    assert [row[0] for row in figure.rows] == ["batched", "online", "sdpa-flash"]
    assert "What fresh memory costs" in render([tmp_path / "run"], tmp_path / "p.html").read_text(encoding="utf-8")


def test_without_measured_allocation_there_is_no_such_figure(tmp_path):
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",)))
    assert fresh_memory.fresh_memory(run.records, colors_of(run), key="k") is None


# --- how good the measurement is


def test_wide_intervals_are_one_quiet_sentence_with_advice(tmp_path):
    records = []
    for number, record in enumerate(
        read_run(runs.make_run(tmp_path / "one", sweeps=("batch",), failures=False)).records
    ):
        flags = ["wide"] if number % 2 else []
        half = 1.1 if record.case.implementation == "loop" else 1.05
        time = record.time.model_copy(
            update={"flags": flags, "low": record.time.median / half, "high": record.time.median * half,
                    "stop_reason": "time budget"}
        )  # fmt: skip
        records.append(record.model_copy(update={"time": time}))
    runs.write_run(tmp_path / "run", records, judged=False)
    run = read_run(tmp_path / "run")
    table = frames([run])
    said = precision_sentence(run, table)
    assert said.startswith("Half of the times are known to ±4.9 % or better; ±2 % was asked for, and 31 of 63 miss it")
    assert "loop ±9.5 %" in said
    assert "doubling --time-budget" in said
    assert not any("precis" in doubt for doubt in warnings(run, table))
    assert said.split(";")[0] in markdown([read_run(run.path)]).replace("\\", "")
    page = render([run.path], tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index('class="note precision"') < page.index('class="doubts"')


def test_a_precise_run_has_no_such_sentence(tmp_path):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    sure = record.time.model_copy(update={"flags": []})
    runs.write_run(tmp_path / "run", [record.model_copy(update={"time": sure})], judged=False)
    run = read_run(tmp_path / "run")
    assert precision_sentence(run, frames([run])) == ""


def ceiling(name, value, unit="FLOP/s"):
    return Ceiling(name=name, value=value, unit=unit, how="again")


def test_ceilings_that_moved_are_a_doubt_and_both_stand_in_the_roofline(tmp_path):
    after = [ceiling("matmul float32", 8.1e10), ceiling("copy", 1.79e10, "B/s")]
    run = with_summary(tmp_path, ceilings_after=after, warnings=[])
    doubts = warnings(run, frames([run]))
    assert doubts[0] == "The machine's ceilings moved over the run: matmul float32 by −10 %."
    page = render([run.path], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Measured again at the end of the run: matmul float32 81.0 GFLOP/s (−10 %)" in page
    assert '<th scope="col">at the end</th>' in page


def test_ceilings_that_the_run_itself_doubts_are_not_doubted_twice(tmp_path):
    told = "ceilings differ by 12 % between start and end"
    run = with_summary(tmp_path, ceilings_after=[ceiling("matmul float32", 8.1e10)], warnings=[told])
    assert [doubt for doubt in warnings(run, frames([run])) if "ceiling" in doubt] == [told]


# --- agreement


def test_agreement_is_told_by_dtype_and_feature(tmp_path):
    records = [
        runs.ok_record("batched", n=128, d=64, heads=4, batch=1),
        runs.ok_record("batched", n=128, d=64, heads=4, batch=1, causal=True),
        runs.ok_record("batched", n=128, d=64, heads=4, kv_heads=2, batch=1),
    ]
    runs.write_run(tmp_path / "run", records, judged=False)
    table = frames(read_runs([tmp_path / "run"]))
    assert agreement.features(table) == ["plain forward", "causal", "grouped heads"]
    figure = agreement.by_feature(table)
    for words in ("float32, plain forward", "float32, causal", "float32, grouped heads"):
        assert f">{words}<" in figure.svg
    assert {row[2] for row in agreement.budget_shares(table, style.looks(table["implementation"])).rows} == {
        "plain forward",
        "causal",
        "grouped heads",
    }


# --- sweeps


def test_an_implementation_with_a_base_of_its_own_is_drawn_along_a_line_of_its_own(tmp_path):
    lengths = (64, 128, 256, 512)
    records = [runs.ok_record(name, n=n, d=64, heads=2, batch=1) for n in lengths for name in ("batched", "sdpa-auto")]
    records += [runs.ok_record("loop", n=n, d=64, heads=1, batch=1) for n in lengths]
    runs.write_run(tmp_path / "run", records, sweeps=("sequence-length",), judged=False)
    path = tmp_path / "run" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["scenarios"][0]["own_base"] = {"loop": {"heads": 1}}
    path.write_text(json.dumps(plan), encoding="utf-8")
    run = read_run(tmp_path / "run")
    found = sweeps([run], frames([run]))
    assert [set(sweep.table["implementation"]) for sweep in found] == [{"batched", "sdpa-auto"}, {"loop"}]
    assert ["heads 2" in sweep.fixed for sweep in found] == [True, False]
    assert "heads 1" in found[1].fixed
    assert len({sweep.key for sweep in found}) == 2
    page = render([tmp_path / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f'id="time-{sweep.key}' in page for sweep in found)


# --- every figure


def test_every_panel_has_its_axes_labelled(monkeypatch, tmp_path):
    drawn = []

    def keep(drawing, **options):
        drawn.append((options["prefix"], drawing))
        return to_svg(drawing, **options)

    to_svg = style.to_svg
    monkeypatch.setattr(style, "to_svg", keep)
    names = ("sequence-length", "grid", "multihead-length")
    cpu = runs.make_run(tmp_path / "cpu", sweeps=names, dtypes=("float32", "bfloat16"))
    render([cpu, runs.make_gpu_run(tmp_path / "gpu")], tmp_path / "page.html")
    assert len(drawn) > 30
    for prefix, drawing in drawn:
        for axes in drawing.axes:
            if not axes.axison:
                continue
            assert axes.get_xlabel(), prefix
            # Names of implementations or kinds need no further word.
            named = any(any(c.isalpha() for c in tick.get_text()) for tick in axes.get_yticklabels())
            assert axes.get_ylabel() or named, prefix
