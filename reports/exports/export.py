"""Runs in the formats of other tools; each writer returns the text or bytes of one file."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import statistics
from typing import TYPE_CHECKING, Any, Literal, get_args

from reports import text
from reports.frame import TEXT_COLUMNS, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.records import Record
    from harness.results.run import Run

Format = Literal["csv", "json", "parquet", "pytest-benchmark", "github-action-benchmark", "bencher", "pytorch-hud"]
FORMATS: tuple[str, ...] = get_args(Format)
# A format that is a folder of files: `asv.files`.
FOLDER = "asv"
# What a file of each format is called where no name is given.
SUFFIXES = {
    "csv": ".csv",
    "json": ".json",
    "parquet": ".parquet",
    "pytest-benchmark": ".pytest-benchmark.json",
    "github-action-benchmark": ".github-action-benchmark.json",
    "bencher": ".bencher.json",
    "pytorch-hud": ".pytorch-hud.json",
}
# Bencher refuses longer names of benchmarks.
BENCHER_NAME_CHARACTERS = 1024
# Version of pytest-benchmark whose JSON layout is written here.
PYTEST_BENCHMARK_LAYOUT = "5.1.0"


def export(run: Run, *, to: str) -> bytes:
    """Write a run in another tool's format. Raises ValueError for an unknown format."""
    if to not in FORMATS:
        raise ValueError(f"no export format {to!r} (have: {', '.join((*FORMATS, FOLDER))})")
    written = _WRITERS[to](run)
    return written if isinstance(written, bytes) else text.whole(written).encode()


def name_of(record: Record) -> str:
    """Return a case's stable name: `batched/n=512,d=64,heads=2/float32/forward/hot`."""
    case = record.case
    point = ",".join(f"{name}={_word(value)}" for name, value in sorted(case.point.items()) if value is not None)
    return f"{case.implementation}/{point}/{case.dtype}/{case.device}/{case.direction}/{case.cache}"


def to_csv(run: Run) -> str:
    """Return the table of `load` as CSV; a text that a spreadsheet would compute has a quotation mark before it."""
    table = frame(run)
    for name in TEXT_COLUMNS:
        table[name] = table[name].map(text.csv_cell)
    written: str = table.to_csv(index=False, lineterminator="\n")
    return written


def to_json(run: Run) -> str:
    """Return the table of `load` as a list of JSON objects, absent figures as null."""
    rows = [
        text.json_value({name: _finite(value) for name, value in row.items()}) for row in frame(run).to_dict("records")
    ]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def to_parquet(run: Run) -> bytes:
    """Return the table of `load` as Parquet. Raises ModuleNotFoundError without pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError("Parquet needs pyarrow, which is not installed: pip install 'attnbench[parquet]'")
    target = io.BytesIO()
    table = frame(run)
    # Parquet columns have one type; `causal` mixes booleans with gaps.
    table["causal"] = table["causal"].map({True: True, False: False}).astype("boolean")
    for name in TEXT_COLUMNS:
        table[name] = table[name].map(text.whole)
    table.to_parquet(target, index=False, engine="pyarrow")
    return target.getvalue()


def to_pytest_benchmark(run: Run) -> str:
    """Return the run in the JSON of pytest-benchmark, which its `compare` reads."""
    environment = run.environment
    document = {
        "machine_info": {**(environment.stable if environment else {}), "node": run.label},
        "commit_info": {"id": None, "time": None, "dirty": None, "project": "attnbench", "branch": None},
        "datetime": run.plan.created if run.plan else "",
        "version": PYTEST_BENCHMARK_LAYOUT,
        "benchmarks": [_benchmark(record) for record in _timed(run)],
    }
    return json.dumps(text.json_value(document), indent=1) + "\n"


def to_github_action_benchmark(run: Run) -> str:
    """Return the list that github-action-benchmark reads as `customSmallerIsBetter`, in microseconds."""
    entries = []
    for record in _timed(run):
        time = record.time
        if time is None:
            continue
        entry: dict[str, Any] = {"name": name_of(record), "unit": "us", "value": time.seconds * 1e6}
        # A range wider than the value would be drawn as if it said something.
        if time.interval and time.interval[1] - time.interval[0] < 2 * time.seconds:
            entry["range"] = f"± {(time.interval[1] - time.interval[0]) / 2 * 1e6:.3g}"
        entry["extra"] = f"scenario {record.case.scenario}; {len(time.samples)} samples in {time.rounds} rounds"
        entries.append(entry)
    return json.dumps(text.json_value(entries), indent=1, ensure_ascii=False) + "\n"


def to_bencher(run: Run) -> str:
    """Return the Bencher Metric Format: latency in nanoseconds with its interval, throughput and memory."""
    found: dict[str, dict[str, Any]] = {}
    for record in _timed(run):
        time = record.time
        if time is None:
            continue
        latency = {"value": time.seconds * 1e9}
        if time.interval:
            latency |= {"lower_value": time.interval[0] * 1e9, "upper_value": time.interval[1] * 1e9}
        measures: dict[str, Any] = {"latency": latency}
        if record.counts and time.seconds > 0:
            measures["throughput"] = {"value": record.counts.operations / time.seconds}
        if record.memory and record.memory.extra is not None:
            measures["extra-memory"] = {"value": float(record.memory.extra)}
        found[name_of(record)[:BENCHER_NAME_CHARACTERS]] = measures
    return json.dumps(text.json_value(found), indent=1) + "\n"


def to_pytorch_hud(run: Run) -> str:
    """Return the records of PyTorch's benchmark database, one a metric: time in microseconds, bytes, operations.

    Its schema is in the wiki of pytorch/pytorch, "How to integrate with PyTorch OSS benchmark database".
    """
    stable = run.environment.stable if run.environment else {}
    machine = {name: stable[name] for name in ("cpu", "gpu", "torch", "threads") if name in stable}
    records: list[dict[str, Any]] = []
    for record in _timed(run):
        time, case = record.time, record.case
        figures: dict[str, list[float]] = {
            "latency_us": [] if time is None else [time.seconds * 1e6],
            "extra_memory_bytes": _one(record.memory.extra if record.memory else None),
            "operations": _one(record.counts.operations if record.counts else None),
        }
        benchmark: dict[str, Any] = {
            "name": f"attnbench {case.problem}",
            "mode": "inference" if case.direction == "forward" else "training",
            "dtype": case.dtype,
            "extra_info": {**machine, "device": case.device, "direction": case.direction, "cache": case.cache,
                           "scenario": case.scenario, "id": case.id, "point": case.point},
        }  # fmt: skip
        model: dict[str, Any] = {"name": name_of(record), "type": "micro-benchmark", "backend": case.implementation}
        interval = list(time.interval) if time and time.interval else []
        for name, values in figures.items():
            extra: dict[str, Any] = {"interval_us": [bound * 1e6 for bound in interval]} if name == "latency_us" else {}
            metric: dict[str, Any] = {"name": name, "benchmark_values": values, "extra_info": extra}
            records += [{"benchmark": benchmark, "model": model, "metric": metric}] if values else []
    return json.dumps(text.json_value(records), indent=1) + "\n"


def _one(value: float | None) -> list[float]:
    return [] if value is None else [value]


_WRITERS: Mapping[str, Callable[[Run], str | bytes]] = {
    "csv": to_csv,
    "json": to_json,
    "parquet": to_parquet,
    "pytest-benchmark": to_pytest_benchmark,
    "github-action-benchmark": to_github_action_benchmark,
    "bencher": to_bencher,
    "pytorch-hud": to_pytorch_hud,
}


def _timed(run: Run) -> Iterator[Record]:
    return (record for record in run.records if record.time is not None)


def _benchmark(record: Record) -> dict[str, Any]:
    time = record.time
    samples = sorted(time.samples) if time else []
    first, middle, third = statistics.quantiles(samples, n=4) if len(samples) > 1 else (samples * 3)[:3]
    mean = statistics.fmean(samples)
    return {
        "group": f"{record.case.scenario}/{record.case.dtype}/{record.case.direction}",
        "name": name_of(record),
        "fullname": name_of(record),
        "params": {**record.case.point, "implementation": record.case.implementation, "dtype": record.case.dtype},
        "param": record.case.id,
        "extra_info": {
            "id": record.case.id,
            "approximate": bool(record.agreement and record.agreement.approximation),
            **_ours(record),
        },
        "options": {"timer": "perf_counter", "warmup": True},
        "stats": {
            "min": samples[0],
            "max": samples[-1],
            "mean": mean,
            "stddev": statistics.stdev(samples) if len(samples) > 1 else 0.0,
            "rounds": len(samples),
            "median": middle,
            "iqr": third - first,
            "q1": first,
            "q3": third,
            "iqr_outliers": sum(
                not first - 1.5 * (third - first) <= s <= third + 1.5 * (third - first) for s in samples
            ),
            "stddev_outliers": 0,
            "outliers": "0;0",
            "ld15iqr": samples[0],
            "hd15iqr": samples[-1],
            "ops": 1 / mean if mean else 0.0,
            "total": sum(samples),
            "iterations": time.calls_per_sample if time else 1,
        },
    }


def _ours(record: Record) -> dict[str, Any]:
    """Return what the other tool has no place for: the time that we show, with its interval, counts and bytes."""
    time = record.time
    low, high = (time.interval if time else None) or (None, None)
    return {
        "operations": record.counts.operations if record.counts else None,
        "extra_bytes": record.memory.extra if record.memory else None,
        "time_s": time.seconds if time else None,
        "low_s": low,
        "high_s": high,
        "statistic": time.statistic if time else "",
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _word(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) if not isinstance(value, str) else value
