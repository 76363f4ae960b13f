"""A run in the formats of other tools: they read it, and find the figures that we have."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys

import jsonschema
import pytest

from harness.results.journal import JournalError
from harness.results.run import read_run
from reports.exports.export import BENCHER_NAME_CHARACTERS, FORMATS, SUFFIXES, export, name_of
from reports.frame import COLUMNS, load
from tests.support import runs

# "Bencher Metric Format", and the entry of "customSmallerIsBetter", as their documentation has them.
BENCHER = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"minLength": 1, "maxLength": BENCHER_NAME_CHARACTERS},
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9-]{1,64}$"},
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
            "additionalProperties": False,
        },
    },
}
SMALLER_IS_BETTER = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["name", "unit", "value"],
        "properties": {
            **{name: {"type": "string", "minLength": 1} for name in ("name", "unit", "range", "extra")},
            "value": {"type": "number", "exclusiveMinimum": 0},
        },
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example", sweeps=("sequence-length",))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_every_format_has_content_and_a_suffix(run, name):
    assert len(export(read_run(run), to=name)) > 1000
    assert SUFFIXES[name].startswith(".")


def test_a_csv_export_round_trips(run, tmp_path):
    import pandas as pd

    (tmp_path / "cases.csv").write_bytes(export(read_run(run), to="csv"))
    again = pd.read_csv(tmp_path / "cases.csv")
    assert list(again.columns) == list(COLUMNS)
    assert math.isclose(again["median_s"].sum(), load(run)["median_s"].sum())


def test_a_parquet_export_round_trips(run, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    import pandas as pd

    (tmp_path / "cases.parquet").write_bytes(export(read_run(run), to="parquet"))
    assert list(pd.read_parquet(tmp_path / "cases.parquet").columns) == list(COLUMNS)


def test_parquet_without_its_library_is_a_line_that_names_the_extra(run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'attnbench\[parquet\]'$"):
        export(read_run(run), to="parquet")


def test_json_has_null_where_a_figure_is_absent(run):
    rows = json.loads(export(read_run(run), to="json"))
    assert {row["median_s"] for row in rows if row["status"] != "ok"} == {None}
    assert len(rows) == len(load(run))


def test_pytest_benchmark_compares_our_export(run, tmp_path):
    (tmp_path / "0001_run.json").write_bytes(export(read_run(run), to="pytest-benchmark"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(tmp_path / "0001_run.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sdpa-flash" in done.stdout


def test_github_action_benchmark_gets_name_unit_and_value(run):
    entries = json.loads(export(read_run(run), to="github-action-benchmark"))
    assert all(entry["unit"] == "us" and entry["value"] > 0 for entry in entries)
    assert len({entry["name"] for entry in entries}) == len(entries)


@pytest.mark.parametrize(("to", "schema"), [("github-action-benchmark", SMALLER_IS_BETTER), ("bencher", BENCHER)])
def test_an_export_is_what_its_tool_documents(run, to, schema):
    found = json.loads(export(read_run(run), to=to))
    jsonschema.validate(found, schema)
    timed = [record for record in read_run(run).records if record.time]
    assert len(found) == len(timed)
    entries = found if to != "bencher" else [one["latency"] for one in found.values()]
    scale = 1e9 if to == "bencher" else 1e6
    expected = [pytest.approx(record.time.seconds * scale) for record in timed]
    assert [entry["value"] for entry in entries] == expected


def test_bencher_gets_measures_with_bounds(run):
    found = json.loads(export(read_run(run), to="bencher"))
    latency = next(iter(found.values()))["latency"]
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]


def test_bencher_gets_no_longer_name_than_it_takes(tmp_path):
    record = runs.ok_record(n=64)
    long = record.case.model_copy(update={"implementation": "x" * 2 * BENCHER_NAME_CHARACTERS})
    runs.write_run(tmp_path / "run", [record.model_copy(update={"case": long})], judged=False)
    assert [len(name) for name in json.loads(export(read_run(tmp_path / "run"), to="bencher"))] == [
        BENCHER_NAME_CHARACTERS
    ]


def test_pytorchs_database_gets_a_record_for_each_metric(run):
    records = json.loads(export(read_run(run), to="pytorch-hud"))
    timed = {record.case.id: record for record in read_run(run).records if record.time}
    assert all(set(record) == {"benchmark", "model", "metric"} for record in records)
    of = {
        name: [record for record in records if record["metric"]["name"] == name]
        for name in ("latency_us", "operations")
    }
    assert len(of["latency_us"]) == len(of["operations"]) == len(timed)
    for record in of["latency_us"]:
        mine = timed[record["benchmark"]["extra_info"]["id"]]
        assert record["metric"]["benchmark_values"] == [pytest.approx(mine.time.seconds * 1e6)]
        assert record["benchmark"]["dtype"] == "float32"
        assert record["model"]["backend"] == mine.case.implementation


def test_a_name_is_the_same_in_whatever_order_a_point_was_written(run):
    one, other = runs.ok_record(n=64, d=32), runs.ok_record(d=32, n=64)
    assert name_of(one) == name_of(other) == "batched/d=32,n=64/float32/cpu/forward/hot"
    assert len({name_of(record) for record in read_run(run).records}) == len(read_run(run).records)


def test_an_unknown_format_names_the_choices(run):
    with pytest.raises(ValueError, match="have: csv, json"):
        export(read_run(run), to="xlsx")


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(JournalError, match="no run directory"):
        export(read_run(tmp_path), to="csv")
