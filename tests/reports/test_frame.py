"""A run as a table: one row per planned case, documented columns, one type per column."""

from __future__ import annotations

import gc
import math

import pytest

from harness.results.run import read_run, read_runs
from reports import frame as module
from reports.frame import AXES, COLUMNS, TEXT_COLUMNS, frame, frames, load
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(runs.make_run(tmp_path_factory.mktemp("frame") / "run", sweeps=("batch",), complete=False))


def written(directory, records, **more):
    runs.write_run(directory, records, sweeps=("sequence-length",), judged=False, **more)
    return read_run(directory)


def test_the_columns_are_those_that_are_described_in_their_order(run):
    assert list(frame(run).columns) == list(COLUMNS)
    assert all(COLUMNS.values())
    assert set(AXES) | set(TEXT_COLUMNS) <= set(COLUMNS)


def test_every_planned_case_has_one_row(run):
    table = frame(run)
    assert sorted(table["id"]) == sorted(planned.case.id for planned in run.plan.cases)
    assert (table["status"] == "not run").sum() == len(run.waiting) == 3


def test_a_row_says_what_the_record_says(tmp_path):
    record = runs.ok_record("batched", n=64, d=8, heads=2, batch=1)
    (row,) = frame(written(tmp_path / "run", [record])).to_dict("records")
    assert (row["n"], row["d"], row["implementation"]) == (64.0, 8.0, "batched")
    assert (row["median_s"], row["best_s"]) == (record.time.median, record.time.best)
    assert row["samples"] == len(record.time.samples)
    assert row["tflops"] == pytest.approx(record.counts.operations / record.time.median / 1e12)
    assert row["extra_bytes"] == record.memory.peak - record.memory.outputs
    assert row["agreement_ratio"] == record.agreement.ratio


def test_a_case_without_a_time_has_gaps_and_a_reason(tmp_path):
    failed = runs.failed_record("loop", "timeout", "no answer within 60 s", n=64)
    (row,) = frame(written(tmp_path / "run", [failed])).to_dict("records")
    assert (row["status"], row["reason"]) == ("timeout", "no answer within 60 s")
    assert math.isnan(row["median_s"])
    assert math.isnan(row["operations"])
    assert row["flags"] == ""


def test_each_column_has_one_type_also_where_points_differ(tmp_path):
    records = [runs.ok_record("batched", n=64, causal=True), runs.ok_record("batched", n=64, valid_lens="rows")]
    table = frame(written(tmp_path / "run", records))
    for name in COLUMNS:
        if name in TEXT_COLUMNS:
            assert all(isinstance(value, str) for value in table[name]), name
        elif name != "causal":
            assert table[name].dtype == float, name
    assert table["causal"].tolist() == [True, None]
    assert table["valid_lens"].tolist() == ["", "rows"]


def test_several_runs_stand_under_one_another_by_their_labels(tmp_path):
    for name in ("a", "b"):
        runs.make_run(tmp_path / name / "run", sweeps=("batch",), failures=False)
    several = read_runs([tmp_path / "a" / "run", tmp_path / "b" / "run"])
    table = frames(several)
    assert list(table.columns) == ["run", *COLUMNS]
    assert table["run"].unique().tolist() == ["a/run", "b/run"]
    assert len(table) == sum(len(frame(one)) for one in several)
    assert table.index.is_unique


def test_loading_a_directory_gives_its_table(run):
    assert load(run.path).equals(frame(run))
    assert load(str(run.path)).equals(frame(run))


def test_the_cycle_collector_rests_while_a_run_becomes_a_table(tmp_path, monkeypatch):
    seen = []

    def read(paths):
        seen.append(gc.isenabled())
        return read_runs(paths)

    monkeypatch.setattr(module, "read_runs", read)
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)])
    load(tmp_path / "run")
    assert seen == [False]
