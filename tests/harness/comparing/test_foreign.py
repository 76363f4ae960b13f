"""Files of other tools compare with files of theirs, and our own exports with runs."""

from __future__ import annotations

import json
import random

import pytest

from harness.comparing import foreign
from harness.comparing.compare import compare
from harness.comparing.snapshot import snapshot
from harness.policy import ComparisonPolicy
from harness.results.run import read_run
from reports.exports.export import export
from tests.support import runs

POLICY = ComparisonPolicy()


def outcomes(base, new):
    return {one.case.implementation: one.outcome for one in compare(base, new, policy=POLICY).cases}


def written(path, document):
    path.write_text(json.dumps(document))
    return foreign.read(path)


def samples(seconds, *, seed=0, count=30):
    noise = random.Random(seed)
    return [seconds * (1 + noise.uniform(0, 0.02)) for _ in range(count)]


def pytest_benchmark(path, *, machine="One CPU", **seconds):
    entries = []
    for name, value in seconds.items():
        data = samples(value, seed=len(entries))
        stats = {"min": min(data), "median": sorted(data)[15], "iqr": 0.01 * value, "rounds": 30, "data": data}
        entries.append({"name": f"test_{name}[64]", "params": {"n": 64}, "stats": stats})
    return written(path, {"machine_info": {"node": "box", "cpu": {"brand_raw": machine}}, "benchmarks": entries})


def test_pytest_benchmark_against_pytest_benchmark(tmp_path):
    base = pytest_benchmark(tmp_path / "a.json", quick=1e-3, slow=1e-3)
    new = pytest_benchmark(tmp_path / "b.json", quick=0.8e-3, slow=1.3e-3)
    assert outcomes(base, new) == {"test_quick": "faster", "test_slow": "slower"}
    assert base.cases[0].case.point == {"n": 64}


def test_another_processor_is_another_machine_whatever_its_clock(tmp_path):
    base = pytest_benchmark(tmp_path / "a.json", one=1e-3)
    assert outcomes(base, pytest_benchmark(tmp_path / "b.json", machine="Two CPU", one=1e-3)) == {
        "test_one": "not comparable"
    }


def test_google_benchmark_with_repetitions(tmp_path):
    def file(path, factor):
        return written(
            path,
            {
                "context": {"num_cpus": 2, "mhz_per_cpu": 2000 + factor, "host_name": "box"},
                "benchmarks": [
                    {"name": f"BM_x/{n}", "run_name": f"BM_x/{n}", "run_type": "iteration", "time_unit": "us",
                     "real_time": 1e6 * seconds, "cpu_time": 1.0}
                    for n in (64, 128) for seconds in samples(factor * n * 1e-6, seed=n, count=12)
                ],
            },
        )  # fmt: skip

    base, new = file(tmp_path / "a.json", 1.0), file(tmp_path / "b.json", 1.4)
    changes = compare(base, new, policy=POLICY)
    assert [(one.case.implementation, one.case.point["n"], one.outcome) for one in changes.cases] == [
        ("BM_x", 64, "slower"),
        ("BM_x", 128, "slower"),
    ]
    assert changes.cases[0].ratio == pytest.approx(1.4, rel=0.02)


def nvbench(path, mean, *, skip=""):
    def said(tag, value):
        return {"tag": tag, "data": [{"name": "value", "type": "float64", "value": str(value)}]}

    summaries = [
        said("nv/cold/sample_size", 200), said("nv/cold/time/gpu/mean", mean),
        said("nv/cold/time/gpu/stdev/relative", 0.02),
    ]  # fmt: skip
    state = {
        "name": "Device=0 N=2^10", "device": 0, "axis_values": [{"name": "N", "type": "int64", "value": "1024"}],
        "summaries": [] if skip else summaries, "is_skipped": bool(skip), "skip_reason": skip,
    }  # fmt: skip
    return written(path, {"benchmarks": [{"name": "attend", "index": 0, "states": [state]}]})


def test_nvbench_by_its_cold_mean(tmp_path):
    base, new = nvbench(tmp_path / "a.json", 1e-4), nvbench(tmp_path / "b.json", 1.2e-4)
    changes = compare(base, new, policy=POLICY)
    assert changes.unknown == ["a", "b"]
    [one] = changes.cases
    assert (one.case.implementation, one.case.point, one.outcome) == ("attend", {"N": 1024}, "slower")
    skipped = compare(base, nvbench(tmp_path / "c.json", 1.0, skip="out of memory"), policy=POLICY).cases[0]
    assert (skipped.outcome, skipped.reason) == ("not comparable", "crashed in NEW: out of memory")


@pytest.mark.parametrize("to", ["csv", "json", "pytest-benchmark"])
def test_our_exports_compare_with_runs_case_by_case(to, tmp_path):
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("sequence-length",), failures=to != "pytest-benchmark"))
    path = tmp_path / ("export.csv" if to == "csv" else "export.json")
    path.write_bytes(export(run, to=to))
    base, new = foreign.read(path), snapshot(run)
    changes = compare(base, new, policy=POLICY)
    assert changes.comparable == 91
    assert {one.outcome for one in changes.cases if one.outcome != "not comparable"} <= {"same", "inconclusive"}
    assert all(one.ratio == pytest.approx(1.0) for one in changes.cases if one.ratio)
    assert not any(one.memory.is_other or one.operations.is_other for one in changes.cases if one.memory)
    assert not any(one.reason.startswith("only in") for one in changes.cases)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{}", "no JSON of a benchmark"),
        ("a.json", "no", "is not JSON"),
        ("a.json", "[]", "has no rows of an export"),
        ("a.csv", "n,seconds\n1,2\n", "has no rows of an export"),
        ("a.json", '{"benchmarks": [{"name": "x"}]}', "with times"),
        ("a.json", '{"benchmarks": [{"name": 1, "states": [7, {"axis_values": null}]}]}', ""),
    ],
)
def test_a_file_that_is_none_of_these_is_refused_in_a_line(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    if not message:
        assert foreign.read(tmp_path / name).cases[0].status == "crashed"
        return
    with pytest.raises(ValueError, match=message) as refused:
        foreign.read(tmp_path / name)
    assert len(str(refused.value).splitlines()) == 1
