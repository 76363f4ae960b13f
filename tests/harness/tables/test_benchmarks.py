"""JSON of google-benchmark and pytest-benchmark, old and new, with what its users put into it."""

from __future__ import annotations

import json

import pytest

from harness.tables.formats import read
from harness.verdicts.table import verify

SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192]


def write(tmp_path, document):
    path = tmp_path / "b.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def entry(name, time, **more):
    return {"name": name, "iterations": 10, "real_time": time, "cpu_time": time, "time_unit": "ns", **more}


def new(name, time, **more):
    return entry(name, time, run_name=name, run_type="iteration", **more)


def aggregate(family, kind, **more):
    return {"name": f"{family}_{kind}", "run_name": family, "run_type": "aggregate", "aggregate_name": kind, **more}


def google(benchmarks):
    return {"context": {}, "benchmarks": benchmarks}


def test_aggregates_of_the_current_form_are_left_out_with_a_note(tmp_path):
    rows = [new(f"BM_x/{n}", 3.0 * n * n * (1 + n % 3 / 100)) for n in SIZES]
    rows += [
        aggregate("BM_x", "BigO", cpu_coefficient=3.0, big_o="N^2", time_unit="ns"),
        aggregate("BM_x", "RMS", rms=0.02),
    ]
    found = verify(write(tmp_path, google(rows)), exponent=2)
    assert [group.verdict for group in found.groups] == ["consistent"]
    assert found.groups[0].sizes == SIZES
    assert found.notes == ["1 entry of aggregates ('BigO') left out", "1 entry of aggregates ('RMS') left out"]


def test_an_aggregate_of_any_name_is_told_in_letters_that_a_terminal_has(tmp_path):
    rows = [new("BM_x/1", 5.0), aggregate("BM_x", "\ud800\n")]
    notes = verify(write(tmp_path, google(rows)), exponent=2).notes
    assert notes == ["1 entry of aggregates ('\\ud800') left out"]


def test_rows_of_the_old_form_without_times_are_left_out(tmp_path):
    rows = [entry(f"BM_x/{n}", 3.0 * n * n * (1 + n % 3 / 100)) for n in SIZES]
    rows += [
        {"name": "BM_x_BigO", "cpu_coefficient": 3.0, "real_coefficient": 3.0, "big_o": "N^2", "time_unit": "ns"},
        {"name": "BM_x_RMS", "rms": 0.02},
        {"name": "BM_y/64"},
    ]
    found = verify(write(tmp_path, google(rows)), exponent=2)
    assert [group.verdict for group in found.groups] == ["consistent"]
    assert "1 entry without times left out" in found.notes


@pytest.mark.parametrize(
    ("text", "size"), [("4k", 4096), ("256k", 262144), ("1M", 2**20), ("0.976562k", 1000), ("512", 512)]
)
def test_sizes_of_old_names_count_in_1024(tmp_path, text, size):
    rows = read(write(tmp_path, google([entry(f"BM_x/{text}", 5.0)])))
    assert rows.rows[0][rows.columns.index("n")] == size


def test_json_that_is_broken_is_named_with_line_and_column(tmp_path):
    text = json.dumps(google([entry("BM_x/64", 5.0), {"name": "BM_x_RMS", "rms": 2}]), indent=1)
    path = write(tmp_path, text.replace('"rms": 2', '"rms": 2%'))
    with pytest.raises(ValueError, match=r"is not JSON: .* on line 13, column 12, near '\"rms\": 2%'") as caught:
        verify(path, exponent=2)
    assert "\n" not in str(caught.value)


def test_mixed_units_of_time_are_read_in_seconds(tmp_path):
    rows = [new("BM_x/1", 5.0, time_unit="us"), new("BM_x/2", 7.0, time_unit="ms"), new("BM_x/3", 9.0, time_unit="s")]
    assert verify(write(tmp_path, google(rows)), exponent=2).groups[0].costs == pytest.approx([5e-6, 7e-3, 9.0])
    rows.append(new("BM_x/4", 5.0, time_unit="weeks"))
    with pytest.raises(ValueError, match="benchmark 4: time_unit must be ns, us, ms, s, not 'weeks'"):
        verify(write(tmp_path, google(rows)), exponent=2)


def test_an_error_at_the_largest_size_leaves_the_rest(tmp_path):
    rows = [new(f"BM_x/{n}", 3.0 * n * n * (1 + n % 3 / 100)) for n in SIZES]
    rows.append(new("BM_x/16384", 0.0, error_occurred=True, error_message="out of memory"))
    rows.append(new("BM_x/32768", 0.0, skipped=True, skip_message="too large"))
    found = verify(write(tmp_path, google(rows)), exponent=2)
    assert found.groups[0].sizes == SIZES
    assert found.notes == [
        "1 entry with an error ('out of memory') left out",
        "1 entry with an error ('too large') left out",
    ]


def test_names_with_template_arguments_and_slashes_are_families(tmp_path):
    name = "bench<fn<int, a/b>>/{}/manual_time"
    rows = [new(name.format(f"n:{n}/threads:2"), 1.0 + n) for n in SIZES]
    group = verify(write(tmp_path, google(rows)), exponent=1).groups[0]
    assert group.key == {"benchmark": "bench<fn<int, a/b>>/manual_time"}
    assert group.sizes == SIZES


def test_a_file_of_aggregates_only_is_judged_by_its_medians(tmp_path):
    rows = [
        {**aggregate(f"BM_x/{n}", kind), "real_time": time, "cpu_time": time, "time_unit": "ns"}
        for n in SIZES
        for kind, time in (("mean", 9.0), ("median", 1.0 * n), ("stddev", 0.1), ("cv", 0.01))
    ]
    found = verify(write(tmp_path, google(rows)), exponent=1)
    assert found.groups[0].costs == pytest.approx([1e-9 * n for n in SIZES])
    assert "the file has aggregates only: their medians are judged" in found.notes


def test_nothing_but_errors_is_said_with_their_number(tmp_path):
    rows = [new("BM_x/64", 0.0, error_occurred=True, error_message="no device")]
    with pytest.raises(ValueError, match=r"with times: 1 entry with an error \('no device'\) left out"):
        verify(write(tmp_path, google(rows)), exponent=1)


def stats(low, **more):
    return {"min": low, "max": 2 * low, "mean": 1.5 * low, "rounds": 3, "iterations": 1, **more}


def test_pytest_benchmark_of_old_versions_has_its_sizes_in_names(tmp_path):
    rows = [{"name": f"test_x[{n}-causal]", "fullname": "t.py::test_x", "stats": stats(1e-6 * n)} for n in SIZES]
    found = verify(write(tmp_path, {"version": "2.5.0", "benchmarks": rows}), exponent=1)
    assert found.groups[0].key == {"benchmark": "test_x"}
    assert found.groups[0].sizes == SIZES


def test_pytest_benchmark_of_new_versions_has_parameters_and_samples(tmp_path):
    rows = [
        {
            "name": f"test_x[{impl}-{n}]",
            "params": {"n": n, "impl": impl, "other": [1, 2]},
            "extra_info": {"d": 64},
            "group": None,
            "stats": stats(1e-6 * n, data=[1.0, 1e-6 * n, 1.1e-6 * n, 2.0]),
        }
        for impl in ("a", "b")
        for n in SIZES
    ]
    rows.append({"name": "test_y", "stats": None})
    found = verify(write(tmp_path, {"benchmarks": rows}), exponent=1, by=["impl"])
    assert [group.key for group in found.groups] == [{"impl": name, "benchmark": "test_x"} for name in "ab"]
    assert found.groups[0].samples == 4 * len(SIZES)
    assert found.groups[0].costs == pytest.approx([1.1e-6 * n for n in SIZES])
    assert found.notes == ["1 entry without times left out"]


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "{}",
        '{"benchmarks": 5}',
        '{"benchmarks": [1, 2]}',
        '{"benchmarks": [{"name": "x", "stats": {"min": "fast"}}]}',
        '{"benchmarks": [{"name": "x", "stats": {"min": NaN, "data": [null, {}]}}]}',
        '{"benchmarks": [{"name": ["x"], "real_time": [], "time_unit": {}}]}',
        '{"benchmarks": [{"name": "x/64", "real_time": 1e999, "time_unit": "ns"}]}',
        '{"benchmarks": [{"name": "x/64", "real_time": ' + "9" * 400 + ', "time_unit": "ns"}]}',
        '{"benchmarks": [{"name": "x/64", "real_time": 1, "time_unit": ["ns"]}]}',
    ],
)
def test_json_of_another_shape_is_one_line(tmp_path, document):
    with pytest.raises(ValueError, match=r"b\.json") as caught:
        verify(write(tmp_path, document), exponent=1)
    assert "\n" not in str(caught.value)


def test_more_samples_than_can_be_judged_in_time_are_refused(tmp_path):
    rows = [{"name": "t[64]", "stats": {"min": 1.0, "data": [1.5] * 500_001}}]
    with pytest.raises(ValueError, match="more than 500,000 samples"):
        verify(write(tmp_path, {"benchmarks": rows}), exponent=1)
