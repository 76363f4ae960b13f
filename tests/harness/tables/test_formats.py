"""A file is taken for what it is: lines with a delimiter, or the JSON of a benchmark; or for what is said of it."""

from __future__ import annotations

import json

import pytest

from harness.tables.formats import read

GOOGLE = {"benchmarks": [{"name": "BM_x/64", "real_time": 2.0, "cpu_time": 1.0, "time_unit": "ms"}]}
PYTEST = {"benchmarks": [{"name": "test_x[64]", "stats": {"min": 0.5, "data": [0.5, 0.6]}}]}


def written(folder, text):
    (folder / "t").write_text(text, encoding="utf-8")
    return folder / "t"


def test_lines_are_rows_of_text(tmp_path):
    found = read(written(tmp_path, "n;seconds\n64;1\n128;2\n"))
    assert (found.columns, found.rows, found.delimiter) == (["n", "seconds"], [["64", "1"], ["128", "2"]], ";")
    assert (found.places, found.axes) == (["line 2", "line 3"], None)


def test_json_is_told_by_how_it_begins(tmp_path):
    found = read(written(tmp_path, "\n  " + json.dumps(GOOGLE)))
    assert found.rows[0][found.columns.index("seconds")] == pytest.approx(2e-3)
    assert found.rows[0][found.columns.index("n")] == 64
    found = read(written(tmp_path, json.dumps(PYTEST)))
    assert found.rows[0][found.columns.index("seconds")] == [0.5, 0.6]


@pytest.mark.parametrize("header", ["[n],[seconds]", "[n] [seconds]"])
def test_a_header_in_brackets_is_a_header(tmp_path, header):
    assert read(written(tmp_path, f"{header}\n64{header[3]}1\n")).columns == ["[n]", "[seconds]"]


@pytest.mark.parametrize("text", ["[", "[]", '["a"]', "[[1, 2]]", "[ {"])
def test_a_json_list_without_objects_is_no_table(tmp_path, text):
    with pytest.raises(ValueError, match=r"is not JSON|has no benchmarks"):
        read(written(tmp_path, text))


def test_a_form_that_is_told_is_not_guessed(tmp_path):
    path = written(tmp_path, json.dumps(GOOGLE))
    assert read(path, source="google-benchmark").rows
    with pytest.raises(ValueError, match="is no JSON of pytest-benchmark with times"):
        read(path, source="pytest-benchmark")
    with pytest.raises(ValueError, match="is not JSON"):
        read(written(tmp_path, "n,seconds\n64,1\n"), source="google-benchmark")
    # Taken for lines, JSON is a table of one odd header.
    with pytest.raises(ValueError, match="a header and no rows"):
        read(written(tmp_path, "{n,seconds\n"), source="csv")
