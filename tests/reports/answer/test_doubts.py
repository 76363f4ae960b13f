"""What a reader should know before trusting a number is said, once, and nothing that is not so."""

from __future__ import annotations

import pytest

from harness.records import Ceiling
from harness.results.run import read_run
from reports.answer.doubts import precision_sentence, warnings
from reports.exports.markdown import markdown
from reports.frame import frame, frames
from reports.page.render import render
from tests.support import runs


def with_summary(folder, **changes):
    path = folder / "run"
    runs.make_run(path, sweeps=("batch",), failures=False, judged=False)
    run = read_run(path)
    summary = run.summary.model_copy(update=changes)
    (path / "summary.json").write_text(summary.model_dump_json(by_alias=True), encoding="utf-8")
    return read_run(path)


def test_wide_intervals_are_one_quiet_sentence_with_advice(tmp_path):
    records = []
    for record in read_run(runs.make_run(tmp_path / "one", sweeps=("batch",), failures=False)).records:
        half = {"loop": 1.1, "batched": 1.05}.get(record.case.implementation, 1.01)
        time = record.time.model_copy(
            update={"flags": ["wide"], "low": record.time.median / half, "high": record.time.median * half,
                    "stop_reason": "time budget"}
        )  # fmt: skip
        records.append(record.model_copy(update={"time": time}))
    runs.write_run(tmp_path / "run", records, judged=False)
    run = read_run(tmp_path / "run")
    table = frames([run])
    said = precision_sentence(run, table)
    assert said.startswith("Half of the times are known to ±1.0 % or better; ±2 % was asked for, and 18 of 63 miss it")
    assert "(widest: loop ±9.5 % and batched ±4.9 %)" in said
    assert "doubling --time-budget" in said
    assert not any("precis" in doubt for doubt in warnings(run, table))
    assert said.split(";")[0] in markdown([read_run(run.path)]).replace("\\", "")
    page = render([run.path], tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index('class="note precision"') < page.index('class="doubts"')


def test_a_precise_run_has_no_such_sentence(tmp_path):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    median = record.time.median
    sure = record.time.model_copy(update={"flags": ["wide"], "low": median / 1.01, "high": median * 1.01})
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


def run_of(path, verdicts, **point):
    record = runs.ok_record("batched", **{"n": 64, "d": 64, "heads": 2, "batch": 1, **point})
    runs.write_run(path / "run", [record], verdicts=verdicts)
    return read_run(path / "run")


@pytest.mark.parametrize(("half", "words"), [(1.03, "±3.0 %"), (1.049, "±4.8 %"), (2.0, "a factor of 2.00")])
def test_how_well_times_are_known_is_a_share_or_a_factor(tmp_path, half, words):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    median = record.time.median
    time = record.time.model_copy(
        update={"flags": [], "low": median / half, "high": median * half, "stop_reason": "rounds"}
    )
    runs.write_run(tmp_path / "run", [record.model_copy(update={"time": time})], judged=False)
    run = read_run(tmp_path / "run")
    said = precision_sentence(run, frame(run))
    assert said.startswith(f"Half of the times are known to {words} or better; ±2 % was asked for, and 1 of 1 miss it.")
    assert "rounds would narrow them; --rigorous takes more" in said


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (8.1e10, ["The machine's ceilings moved over the run: matmul float32 by −10 %."]),
        (1.8e11, ["The machine's ceilings moved over the run: matmul float32 by +100 %."]),
        (8.9e10, []),
    ],
)
def test_a_ceiling_that_moved_is_a_doubt_with_its_change(tmp_path, after, words):
    run = run_of(tmp_path, [])
    moved = Ceiling(name="matmul float32", value=after, unit="FLOP/s", how="again")
    summary = run.summary.model_copy(update={"ceilings_after": [moved], "warnings": []})
    (run.path / "summary.json").write_text(summary.model_dump_json(by_alias=True), encoding="utf-8")
    run = read_run(run.path)
    assert [text for text in warnings(run, frame(run)) if "ceiling" in text] == words
