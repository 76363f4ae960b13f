"""Times that came as a file: of pytest-benchmark, google-benchmark, nvbench, or an export of ours -> a snapshot.

Other tools claim no interval. Theirs is that of the median of independent samples, from the interquartile range; what
differs between processes is added as for runs.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import statistics
from typing import TYPE_CHECKING, Any

from harness.comparing.snapshot import FOREIGN, Figures, Snapshot
from harness.policy import DEFAULT
from harness.results.documents import JournalError, JsonMistakeError, read_json, read_model
from harness.tables.benchmarks import read_benchmarks
from harness.tables.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# The 95 % interval of a median of normal samples: 1.96 x 1.2533 x the deviation, which is the quartiles' range / 1.349.
MEDIAN_INTERVAL = 1.82
# Fewer samples have no such interval.
SAMPLES_AT_LEAST = 3
# Columns of rows that are figures or names, and no part of a point.
NAMED = frozenset(
    {"implementation", "dtype", "id", "operations", "extra_bytes", "time_s", "low_s", "high_s", "statistic"}
)
# Of the context that other tools write, what says which machine it was; clock rates do not.
CONTEXT = ("num_cpus", "host_name", "node", "machine", "python_version", "system")
# Columns of our own exports that are no part of a point, and whose values are texts.
TEXTS = ("id", "scenario", "problem", "implementation", "dtype", "device", "direction", "cache")


def read(path: Path) -> Snapshot:
    """Read a file of times. Raises ValueError, which says what it is not."""
    text = read_text(path)
    name = path.name.split(".")[0]
    if path.suffix.lower() == ".csv":
        return _snapshot(name, _exported(list(csv.DictReader(io.StringIO(text))), source=str(path)), {})
    try:
        document = read_json(text)
    except JsonMistakeError as error:
        raise JournalError(f"{path} {error}") from None
    if isinstance(document, list):
        return _snapshot(name, _exported(document, source=str(path)), {})
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(benchmarks, list):
        raise JournalError(f"{path} is no run, no baseline, and no JSON of a benchmark")
    stable = _machine(document)
    if any(isinstance(entry, dict) and "states" in entry for entry in benchmarks):
        return _snapshot(name, _nvbench(benchmarks, source=str(path)), stable)
    return _snapshot(name, _benchmarks(text, source=str(path)), stable)


def _snapshot(name: str, cases: Iterable[Figures], stable: dict[str, Any]) -> Snapshot:
    return Snapshot(
        name=name,
        stable=stable,
        process_deviation=DEFAULT.comparison.process_deviation,
        cases=list({figures.case.id: figures for figures in cases}.values()),
    )


def _machine(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says of its machine; our own export has all stable facts and the run's name as the node."""
    known = document.get("machine_info") or document.get("context")
    if not isinstance(known, dict):
        return {}
    if "threads" in known:
        return {name: value for name, value in known.items() if name != "node"}
    processor = known.get("cpu")
    brand = (
        {"cpu": processor.get("brand_raw"), "cpu_cores": processor.get("count")} if isinstance(processor, dict) else {}
    )
    return {**{name: known[name] for name in CONTEXT if name in known}, **brand}


def _benchmarks(text: str, *, source: str) -> list[Figures]:
    """Read pytest-benchmark or google-benchmark, whose repetitions are samples of one case."""
    rows = read_benchmarks(text, file=source, form=None)
    axes = (rows.axes or frozenset()) - NAMED
    gathered: dict[str, tuple[dict[str, Any], list[float]]] = {}
    for values in rows.rows:
        row = {name: value for name, value in zip(rows.columns, values, strict=True) if value is not None}
        point = {name: value for name, value in row.items() if name in axes}
        key = str(row.get("id") or _hash(row.get("benchmark"), row.get("group"), point))
        _, samples = gathered.setdefault(key, (row, []))
        seconds = row.get("seconds")
        samples += seconds if isinstance(seconds, list) else [float(seconds)] if isinstance(seconds, float) else []
    return [
        _figures(
            key,
            {
                "implementation": row.get("implementation") or row.get("benchmark"),
                "dtype": row.get("dtype", ""),
                "scenario": row.get("group", ""),
                "point": {name: _whole(row[name]) for name in row if name in axes},
            },
            {**_time(row, samples), **{name: row[name] for name in ("operations", "extra_bytes") if name in row}},
            source=source,
        )
        for key, (row, samples) in gathered.items()
    ]


def _time(row: Mapping[str, Any], samples: Sequence[float]) -> dict[str, Any]:
    """Return seconds with an interval: ours where the file has them, else of the median."""
    if "time_s" in row:
        return {
            "seconds": row["time_s"], "low": row.get("low_s"), "high": row.get("high_s"),
            "statistic": row.get("statistic", ""), "rounds": row.get("rounds", SAMPLES_AT_LEAST),
        }  # fmt: skip
    if len(samples) >= SAMPLES_AT_LEAST:
        first, middle, third = statistics.quantiles(samples, n=4)
        return _of_median(middle, third - first, len(samples))
    if isinstance(row.get("median"), float | int):
        return _of_median(float(row["median"]), row.get("iqr"), row.get("rounds", 1))
    return {"seconds": statistics.median(samples) if samples else None, "rounds": len(samples)}


def _of_median(median: float, spread: Any, count: Any) -> dict[str, Any]:
    known = {"seconds": median, "rounds": int(count)}
    if not isinstance(spread, float | int) or count < SAMPLES_AT_LEAST or median <= 0:
        return known
    half = MEDIAN_INTERVAL * float(spread) / math.sqrt(count) / median
    return {**known, "low": median * math.exp(-half), "high": median * math.exp(half)}


def _nvbench(benchmarks: Sequence[Any], *, source: str) -> list[Figures]:
    """Read nvbench: the mean of each state's cold GPU times, with its relative deviation and number of samples."""
    found = []
    for benchmark in benchmarks:
        for state in benchmark.get("states") or () if isinstance(benchmark, dict) else ():
            if not isinstance(state, dict):
                continue
            point = {str(axis.get("name")): _whole(axis.get("value")) for axis in state.get("axis_values") or ()}
            name = str(benchmark.get("name", ""))
            said = {str(summary.get("tag")): _number(summary.get("data")) for summary in state.get("summaries") or ()}
            mean, deviation = said.get("nv/cold/time/gpu/mean"), said.get("nv/cold/time/gpu/stdev/relative")
            count = int(said.get("nv/cold/sample_size") or 0)
            time: dict[str, Any] = {"seconds": mean, "rounds": count}
            if mean and deviation is not None and count >= SAMPLES_AT_LEAST:
                half = 1.96 * deviation / math.sqrt(count)
                time |= {"low": mean * math.exp(-half), "high": mean * math.exp(half)}
            skipped = bool(state.get("is_skipped")) or mean is None
            reason = str(state.get("skip_reason") or "no time in the file")
            figures = {"status": "crashed", "reason": reason} if skipped else time
            place = {"implementation": name, "point": point, "scenario": str(state.get("type_config_index", ""))}
            found.append(_figures(_hash(name, str(state.get("device", "")), point), place, figures, source=source))
    return found


def _number(data: Any) -> float | None:
    """Return the value of an nvbench summary: a list of name, type and text."""
    for item in data if isinstance(data, list) else ():
        if isinstance(item, dict) and item.get("name") == "value":
            return _float(item.get("value"))
    return None


def _exported(rows: Sequence[Any], *, source: str) -> list[Figures]:
    """Read rows of our own export as JSON or CSV."""
    known = [row for row in rows if isinstance(row, dict) and row.get("id") and "time_s" in row]
    if not known:
        raise JournalError(f"{source} has no rows of an export: `attnbench export RUN --to csv` writes some")
    found = []
    for row in known:
        texts = {name: str(row.get(name) or "") for name in TEXTS}
        axes = list(row)[list(row).index("implementation") + 1 : list(row).index("dtype")] if "dtype" in row else []
        point = {name: _whole(row[name]) for name in axes if row[name] not in (None, "")}
        figures = {
            "status": row.get("status", "ok"),
            "reason": row.get("reason") or "",
            "seconds": _float(row.get("time_s")),
            "low": _float(row.get("low_s")),
            "high": _float(row.get("high_s")),
            "statistic": row.get("statistic") or "",
            "rounds": int(_float(row.get("rounds")) or 0),
            "operations": _integer(row.get("operations")),
            "extra_bytes": _integer(row.get("extra_bytes")),
            "error": _float(row.get("agreement_ratio")),
            "energy": _float(row.get("energy_j")),
        }
        found.append(_figures(texts.pop("id"), {**texts, "point": point}, figures, source=source))
    return found


def _figures(key: str, place: Mapping[str, Any], figures: Mapping[str, Any], *, source: str) -> Figures:
    case = {"problem": FOREIGN, "dtype": "", "device": "", "direction": "forward", "cache": "hot", "scenario": ""}
    document = {"status": "ok", **figures, "case": {**case, **place, "id": key}}
    return read_model(Figures, document, source=source)


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    number = _float(value)
    return None if number is None else int(number)


def _whole(value: Any) -> Any:
    """Return 64.0 or "64" as 64; what is no number stays."""
    number = _float(value) if not isinstance(value, bool) else None
    return int(number) if number is not None and number.is_integer() else value
