"""JSON of nvbench: a row for each state, its axes as columns, times of cold calls."""

from __future__ import annotations

import json

import pytest

from harness.tables import benchmarks
from harness.tables.formats import read
from harness.verdicts.table import verify

SIZES = [2**power for power in range(8, 16)]


def said(tag, value, kind="float64"):
    return {"tag": tag, "name": tag, "data": [{"name": "value", "type": kind, "value": str(value)}]}


def state(n, seconds, *, dtype="F16", device=0, skip=""):
    summaries = [
        said("nv/cold/sample_size", 512, "int64"), said("nv/cold/time/cpu/mean", 2 * seconds),
        said("nv/cold/time/gpu/mean", seconds), said("nv/cold/time/gpu/stdev/relative", "inf"),
        said("nv/batch/time/gpu/mean", 0.9 * seconds),
    ]  # fmt: skip
    return {
        "name": f"Device={device} T={dtype} N={n}",
        "device": device,
        "axis_values": [
            {"name": "T", "type": "type", "value": dtype},
            {"name": "N", "type": "int64", "value": str(n)},
            {"name": "Scale", "type": "float64", "value": "0.5"},
        ],
        "summaries": [] if skip else summaries,
        "is_skipped": bool(skip),
        "skip_reason": skip,
    }


def write(tmp_path, *states, name="attend"):
    path = tmp_path / "nvbench.json"
    document = {
        "meta": {"version": {"json": {"string": "1.0.0"}}},
        "devices": [{"id": 0, "name": "a GPU"}],
        "benchmarks": [{"name": name, "index": 0, "axes": [], "devices": [0], "states": list(states)}],
    }
    path.write_text(json.dumps(document))
    return path


def test_the_times_of_cold_calls_are_judged_along_the_first_axis_of_sizes(tmp_path):
    states = [state(n, 1e-9 * n * n * (1 + n % 3 / 100), dtype=dtype) for dtype in ("F16", "BF16") for n in SIZES]
    path = write(tmp_path, *states)
    for x in ("n", "N"):
        (half, other) = verify(path, x=x, y="seconds", exponent=2, by=["T"]).groups
        assert (half.key["T"], other.key["T"]) == ("F16", "BF16")
        assert {half.verdict, other.verdict} == {"consistent"}
    (contradicted, _) = verify(path, x="n", y="seconds", exponent=1, by=["T"]).groups
    assert contradicted.verdict == "contradicted"


def test_each_state_has_its_axes_its_times_and_its_device(tmp_path):
    rows = read(write(tmp_path, state(256, 2e-3, device=1)))
    assert dict(zip(rows.columns, rows.rows[0], strict=True)) == {
        "n": 256.0, "T": "F16", "N": 256.0, "Scale": 0.5, "device": 1.0, "seconds": 2e-3, "cpu_seconds": 4e-3,
        "batch_seconds": pytest.approx(1.8e-3), "benchmark": "attend",
    }  # fmt: skip
    assert rows.axes == {"n", "T", "N", "Scale", "device"}


def test_what_was_skipped_or_has_no_time_is_left_out_with_its_reason(tmp_path):
    timeless = {**state(128, 1e-3), "summaries": []}
    rows = read(write(tmp_path, state(64, 1e-3), state(96, 1e-3, skip="out of memory"), timeless))
    assert [row[rows.columns.index("n")] for row in rows.rows] == [64.0]
    assert rows.notes == ["1 entry skipped ('out of memory') left out", "1 entry without times left out"]


def test_a_file_without_any_time_is_refused_in_a_line(tmp_path):
    with pytest.raises(ValueError, match="is no JSON of nvbench with times: 1 entry skipped") as refused:
        read(write(tmp_path, state(64, 1.0, skip="no GPU")))
    assert "\n" not in str(refused.value)


def test_odd_values_are_left_out_or_text(tmp_path):
    odd = state(64, 1e-3)
    odd["axis_values"] += [7, {"name": "M", "type": "int64", "value": "many"}, {"name": "K", "type": "int64"}]
    odd["summaries"] += [3, {"tag": "nv/batch/time/gpu/mean", "data": [{"name": "value", "value": "nan"}]}]
    odd["device"] = None
    rows = read(write(tmp_path, odd))
    row = dict(zip(rows.columns, rows.rows[0], strict=True))
    assert (row["M"], row["K"], row["device"], row["batch_seconds"]) == ("many", "None", None, None)


def test_asked_for_by_name_it_is_no_other_tools(tmp_path):
    assert read(write(tmp_path, state(64, 1e-3)), source="nvbench").rows
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"benchmarks": [{"name": "BM_x/64", "real_time": 1.0, "time_unit": "ns"}]}))
    with pytest.raises(ValueError, match="is no JSON of nvbench with times"):
        read(other, source="nvbench")


def test_more_states_than_are_read_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks, "BENCHMARKS_AT_MOST", 3)
    with pytest.raises(ValueError, match="more than 3 states"):
        read(write(tmp_path, *(state(n, 1e-3) for n in SIZES)))
