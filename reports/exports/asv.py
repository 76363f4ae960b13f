"""A run as airspeed velocity keeps its results: a folder that `asv show`, `compare` and `publish` read."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import statistics
from datetime import datetime
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from harness.comparing.machines import SOFTWARE
from harness.comparing.snapshot import COMMIT, commit_of
from harness.records import SKIPPED
from reports.text import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import JsonValue

    from harness.records import Record
    from harness.results.run import Run

# Of the layouts of results and of benchmarks.json, and of machine.json ("Developer Docs" of asv 0.6).
RESULTS_LAYOUT, BENCHMARKS_LAYOUT, MACHINE_LAYOUT = 2, 2, 1
COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25"),
    *("stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
)
# Results of another version of a benchmark are ignored by asv: raised where what we write means something else.
VERSION = "attnbench 1"
# asv has a value for each combination of parameters. Where shapes are values that go together those would be mostly
# gaps: beyond so many cells for each case a shape is one parameter.
CELLS_AT_MOST = 4
# asv wants intervals of 99 %, ours are of 95 %: log times are taken as normal.
WIDER = NormalDist().inv_cdf(0.995) / NormalDist().inv_cdf(0.975)
# asv names a file of results by so many characters of its commit.
COMMIT_CHARACTERS = 8
QUANTITIES: Mapping[str, tuple[str, str]] = {
    "time": ("time", "seconds"),
    "extra_memory": ("memory", "bytes"),
    "operations": ("track", "operations"),
}
BENCHMARKS = "benchmarks.json"


def files(run: Run, *, commit: str = "", known: Mapping[str, JsonValue] | None = None) -> dict[str, bytes]:
    """Return the files of a folder of asv's results by their path in it.

    `commit` is what the results are of, that of attnbench where it is not given; `known` are the benchmarks.json that
    the folder has, whose other benchmarks stay. Samples are left out, since asv would take them for independent: it
    decides by the interval, which allows for what processes differ by. Raises ValueError without a commit, and for
    what is none.
    """
    commit = commit or commit_of(run.environment).rstrip("+")
    if not commit:
        raise ValueError("the run names no commit, and asv keeps results by it: add --commit HASH")
    if not COMMIT.fullmatch(commit):
        raise ValueError(f"--commit {commit!r} is no commit: 7 to 64 hexadecimal digits, all that there are")
    stable = run.environment.stable if run.environment else {}
    machine = _machine(stable)
    software = {name: whole(str(stable[name])) for name in ("torch",) if name in stable}
    python = whole(str(stable.get("python", "")))
    environment = _file_name("-".join(["attnbench", *(f"{name}{version}" for name, version in software.items())]))
    benchmarks, results = _tables(run.records)
    content = {
        "commit_hash": commit,
        "env_name": environment,
        "date": _milliseconds(run.plan.created if run.plan else ""),
        "params": {**machine, **software, "python": python},
        "python": python,
        "requirements": software,
        "env_vars": {},
        "result_columns": COLUMNS,
        "results": results,
        "durations": {},
        "version": RESULTS_LAYOUT,
    }
    place = machine["machine"]
    return {
        BENCHMARKS: _json({**(known or {}), **benchmarks, "version": BENCHMARKS_LAYOUT}),
        f"{place}/machine.json": _json({**machine, "version": MACHINE_LAYOUT}),
        f"{place}/{commit[:COMMIT_CHARACTERS]}-{environment}.json": _json(content),
    }


def _machine(stable: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return the facts that asv keeps of a machine; its name is of all that decides whether times compare."""
    facts = {name: value for name, value in stable.items() if name not in SOFTWARE}
    system, _, arch = str(stable.get("system", "")).rpartition(" ")
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    said = {
        "machine": _file_name(f"{stable.get('device', 'machine')}-{digest}"),
        "os": system,
        "arch": arch,
        "cpu": str(stable.get("gpu") or stable.get("cpu", "")),
        "num_cpu": str(stable.get("cpu_cores", "")),
        "ram": "",
    }
    return {key: whole(value) for key, value in said.items()}


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII)


def _tables(records: Iterable[Record]) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return benchmarks and results by name: a benchmark for each implementation, scenario and quantity."""
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(whole(f"{record.case.scenario}.{record.case.implementation}"), []).append(record)
    benchmarks: dict[str, JsonValue] = {}
    results: dict[str, JsonValue] = {}
    for name, of in by_name.items():
        names, values, cells = _grid(of)
        for quantity, (kind, unit) in QUANTITIES.items():
            full = f"{name}.{quantity}"
            benchmarks[full] = {
                "name": full,
                "code": "",
                "params": [list(column) for column in values],
                "param_names": list(names),
                "type": kind,
                "unit": unit,
                "version": VERSION,
            }
            results[full] = _row(quantity, cells, values)
    return benchmarks, results


def _grid(records: Sequence[Record]) -> tuple[list[str], list[list[str]], dict[tuple[str, ...], Record]]:
    """Return parameters, the texts of their values, and the record of each combination that has one."""
    axes = sorted({name for record in records for name in record.case.point})
    names = [*axes, "dtype", "device", "direction", "cache"]

    def each_axis(record: Record) -> tuple[str, ...]:
        return (*(_literal(record.case.point.get(axis)) for axis in axes), *_others(record))

    values = _values(records, each_axis, len(names))
    if math.prod(map(len, values)) <= CELLS_AT_MOST * len(records):
        return names, values, {each_axis(record): record for record in records}

    def one_shape(record: Record) -> tuple[str, ...]:
        shape = ", ".join(f"{axis}={record.case.point[axis]}" for axis in axes if axis in record.case.point)
        return (_literal(shape), *_others(record))

    names = ["shape", *names[len(axes) :]]
    return names, _values(records, one_shape, len(names)), {one_shape(record): record for record in records}


def _others(record: Record) -> tuple[str, ...]:
    case = record.case
    return tuple(map(_literal, (case.dtype, case.device, case.direction, case.cache)))


def _values(records: Sequence[Record], key: Callable[[Record], tuple[str, ...]], count: int) -> list[list[str]]:
    """Return the values of each parameter, in the order of the plan."""
    rows = [key(record) for record in records]
    return [list(dict.fromkeys(row[place] for row in rows)) for place in range(count)]


def _row(quantity: str, cells: Mapping[tuple[str, ...], Record], values: Sequence[Sequence[str]]) -> list[Any]:
    """Return a benchmark's row of `COLUMNS`: null is a case that failed, NaN one that was not to run."""
    found = [cells.get(key) for key in itertools.product(*values)]
    row: list[Any] = [[_result(quantity, record) for record in found], [list(column) for column in values], VERSION]
    if quantity != "time":
        return row
    stats = [_stats(record) for record in found]
    columns = [[one.get(name.removeprefix("stats_")) for one in stats] for name in COLUMNS if name.startswith("stats_")]
    return [*row, None, None, *columns]


def _result(quantity: str, record: Record | None) -> float | None:
    if record is None or record.status in SKIPPED:
        return math.nan
    if record.time is None:
        return None
    if quantity == "time":
        return record.time.seconds
    if quantity == "operations":
        return math.nan if record.counts is None else record.counts.operations
    return math.nan if record.memory is None or record.memory.extra is None else record.memory.extra


def _stats(record: Record | None) -> dict[str, float]:
    """Return what asv keeps of a time's samples; without an interval it is endless, and nothing differs from it."""
    if record is None or record.time is None:
        return {}
    time = record.time
    first, _, third = statistics.quantiles(time.samples, n=4) if len(time.samples) > 1 else (time.seconds,) * 3
    low, high = time.interval if time.interval and time.seconds > 0 else (-math.inf, math.inf)
    return {
        "ci_99_a": _wider(low, time.seconds),
        "ci_99_b": _wider(high, time.seconds),
        "q_25": first,
        "q_75": third,
        "number": time.calls_per_sample,
        "repeat": len(time.samples),
    }


def _wider(bound: float, seconds: float) -> float:
    return bound if math.isinf(bound) else seconds * (bound / seconds) ** WIDER


def _literal(value: JsonValue) -> str:
    return whole(repr(value))


def _milliseconds(created: str) -> int:
    return int(datetime.fromisoformat(created).timestamp() * 1000) if created else 0


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
