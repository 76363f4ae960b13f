"""Our own exports are tables: CSV and JSON of one run give one verdict."""

from __future__ import annotations

import json

import pytest

from harness.results.run import read_run
from harness.tables import benchmarks
from harness.tables.formats import read
from harness.verdicts.table import verify
from reports.exports.export import export
from reports.terminal.verification import lines
from tests.support import runs


def test_a_run_exported_as_csv_and_as_json_is_judged_alike(tmp_path):
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("sequence-length",)))
    said = {}
    for to in ("csv", "json"):
        file = tmp_path / f"cases.{to}"
        file.write_bytes(export(run, to=to))
        said[to] = list(lines(verify(file, x="n", y="time_s", exponent=2, by=["implementation"])))
    assert said["json"] == said["csv"]
    assert any("implementation=batched: time_s ~ n^2 is consistent" in line for line in said["json"])


def listed(tmp_path, document):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(document))
    return path


def test_a_list_of_objects_is_a_row_for_each(tmp_path):
    rows = read(listed(tmp_path, [{"n": 64, "s": 1.5, "causal": True, "why": None, "deep": [1]}, 7, {"n": 128}]))
    assert rows.columns == ["n", "s", "causal", "why", "deep"]
    assert rows.rows == [[64, 1.5, "True", None, None], [128, None, None, None, None]]
    assert rows.notes == ["1 entry beside the objects left out"]


def test_more_rows_than_are_read_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks, "BENCHMARKS_AT_MOST", 2)
    with pytest.raises(ValueError, match="more than 2 rows"):
        read(listed(tmp_path, [{"n": 1}] * 3))


def test_a_list_is_no_file_of_a_tool_that_was_asked_for_by_name(tmp_path):
    with pytest.raises(ValueError, match="has no benchmarks"):
        read(listed(tmp_path, [{"n": 1}]), source="pytest-benchmark")
