"""The verdict on anybody's numbers: a table of sizes and times, or what pytest-benchmark and google-benchmark wrote."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.policy import ScalingPolicy
from harness.scaling.judgement import judge
from harness.statistics import best_of, median_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.scaling.decision import Kind, TimeVerdict
    from harness.scaling.judgement import Judgement

Source = Literal["auto", "csv", "pytest-benchmark", "google-benchmark"]
Row = dict[str, str | float]

# The second smallest of fewer samples would be their middle or largest.
BEST_FROM = 3
DELIMITERS = ",;\t"
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# google-benchmark appends these to a benchmark's name; they are no arguments of it.
MODIFIERS = ("threads", "repeats", "iterations", "min_time", "min_warmup_time")


@dataclass(frozen=True)
class Group:
    """Hold one group's sizes with the cost judged at each, and its judgement; None where there was none to make."""

    key: dict[str, str | float]
    sizes: list[float]
    costs: list[float]
    samples: int
    judgement: Judgement | None
    reason: str

    @property
    def verdict(self) -> TimeVerdict:
        """Return the verdict on time alone."""
        return "inconclusive" if self.judgement is None else self.judgement.verdict


@dataclass(frozen=True)
class Verification:
    """Hold the verdict on each group of a table, and notes on how the table was read."""

    exponent: float
    x: str
    y: str
    groups: list[Group]
    notes: list[str]

    def document(self) -> dict[str, Any]:
        """Return the verdicts as one JSON object."""
        return {"verdicts": [_entry(group, claimed=self.exponent) for group in self.groups], "notes": self.notes}

    def fails(self, fail_on: Iterable[str]) -> bool:
        """Tell whether a group has a verdict that was asked to fail on."""
        return any(group.verdict in set(fail_on) for group in self.groups)


def verify(
    file: Path,
    *,
    x: str = "n",
    y: str = "seconds",
    exponent: float,
    by: Sequence[str] = (),
    band: float | None = None,
    kind: Kind = "component",
    source: Source = "auto",
) -> Verification:
    """Judge whether column y grows as column x ** exponent, for each group of rows that agree in the columns `by`.

    Several rows of a size are samples of it: three or more give their second smallest, fewer their median. Benchmark
    files group by benchmark as well. Raises ValueError, one line for the user, for what can't be read or judged.
    """
    policy = ScalingPolicy() if band is None else ScalingPolicy(band=_checked_band(band))
    if not math.isfinite(exponent) or exponent < policy.exponent_low:
        raise ValueError(f"--exponent must be {policy.exponent_low:g} or more, not {exponent:g}")
    rows = read(file, source=source)
    by = tuple(dict.fromkeys([*by, *(["benchmark"] if "benchmark" in rows[0] and x != "benchmark" else [])]))
    for column in (x, y, *by):
        _require(column, rows, file=file)
    tables = _tables(rows, x=x, y=y, by=by, file=file)
    groups = [_judged(key, table, exponent=exponent, kind=kind, policy=policy) for key, table in tables]
    return Verification(exponent=exponent, x=x, y=y, groups=groups, notes=_notes(rows, x=x, y=y, by=by))


def read(file: Path, *, source: Source = "auto") -> list[Row]:
    """Read the rows of a table or of a benchmark's JSON; numbers in the units given, benchmark times in seconds."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"can't read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not a UTF-8 text") from None
    is_json = text.lstrip().startswith("{")
    if source == "csv" or (source == "auto" and not is_json):
        return _csv(text, file=file)
    benchmarks = _benchmarks(text, file=file)
    is_google = source == "google-benchmark" or (source == "auto" and "time_unit" in benchmarks[0])
    try:
        rows = _google(benchmarks) if is_google else _pytest(benchmarks)
    except (KeyError, TypeError, AttributeError) as error:
        form = "google-benchmark" if is_google else "pytest-benchmark"
        raise ValueError(f"{file} is no JSON of {form}: {type(error).__name__} {error}") from None
    if not rows:
        raise ValueError(f"{file} has no benchmark with times")
    return rows


def _checked_band(band: float) -> float:
    if not 0.0 < band <= 1.0:
        raise ValueError(f"--band must be above 0 and at most 1, not {band:g}")
    return band


def _csv(text: str, *, file: Path) -> list[Row]:
    first = text.split("\n", maxsplit=1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    columns = [column.strip() for column in reader.fieldnames or [] if column]
    if not columns:
        raise ValueError(f"{file} is empty")
    doubled = [column for column, count in Counter(columns).items() if count > 1]
    if doubled:
        raise ValueError(f"{file} has two columns {doubled[0]!r}")
    reader.fieldnames = columns
    rows: list[Row] = []
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"{file} line {reader.line_num}: not {len(columns)} fields as the header has")
        rows.append({column: value.strip() for column, value in row.items()})
    if not rows:
        raise ValueError(f"{file} has a header and no rows")
    return rows


def _benchmarks(text: str, *, file: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(benchmarks, list) or not benchmarks or not isinstance(benchmarks[0], dict):
        raise ValueError(f"{file} has no benchmarks: it is neither of pytest-benchmark nor of google-benchmark")
    return benchmarks


def _pytest(benchmarks: Sequence[dict[str, Any]]) -> list[Row]:
    """Read pytest-benchmark: a row a sample where --benchmark-save-data kept them, else one of the minimum."""
    rows: list[Row] = []
    for benchmark in benchmarks:
        stats = benchmark["stats"]
        parameters = {**(benchmark.get("params") or {}), **(benchmark.get("extra_info") or {})}
        shared: Row = {name: value for name, value in parameters.items() if isinstance(value, str | int | float)}
        shared |= {name: value for name, value in stats.items() if isinstance(value, int | float)}
        shared["benchmark"] = str(benchmark["name"]).split("[", maxsplit=1)[0]
        if benchmark.get("group"):
            shared["group"] = str(benchmark["group"])
        rows += [{**shared, "seconds": float(sample)} for sample in stats.get("data") or [stats["min"]]]
    return rows


def _google(benchmarks: Sequence[dict[str, Any]]) -> list[Row]:
    """Read google-benchmark: arguments from names like family/64 or family/n:64, aggregates and errors left out.

    The first argument without a name is also `n`, and each is `arg0`, `arg1`, ...
    """
    rows: list[Row] = []
    for benchmark in benchmarks:
        if benchmark.get("run_type") == "aggregate" or benchmark.get("error_occurred"):
            continue
        name, *parts = str(benchmark.get("run_name") or benchmark["name"]).split("/")
        row: Row = {}
        unnamed = 0
        for part in parts:
            label, _, value = part.rpartition(":")
            if label in MODIFIERS:
                continue
            if re.fullmatch(r"-?\d+(\.\d+)?", value) is None:
                name = f"{name}/{part}"
                continue
            row[label or f"arg{unnamed}"] = float(value)
            unnamed += not label
        if "arg0" in row and "n" not in row:
            row["n"] = row["arg0"]
        unit = SECONDS[benchmark.get("time_unit", "ns")]
        row |= {"benchmark": name, "seconds": unit * float(benchmark["real_time"])}
        row["cpu_seconds"] = unit * float(benchmark["cpu_time"])
        rows.append(row)
    return rows


def _require(column: str, rows: Sequence[Row], *, file: Path) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if column not in columns:
        near = difflib.get_close_matches(column, columns, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise ValueError(f"no column {column!r} in {file}{hint} have: {', '.join(columns)}")


def _tables(
    rows: Sequence[Row], *, x: str, y: str, by: Sequence[str], file: Path
) -> list[tuple[Row, dict[float, list[float]]]]:
    """Group rows, in order of appearance; each group maps sizes to samples."""
    found: dict[tuple[str | float, ...], dict[float, list[float]]] = {}
    for number, row in enumerate(rows, start=1):
        key = tuple(row.get(column, "") for column in by)
        size, cost = (_number(row, column, number=number, file=file) for column in (x, y))
        found.setdefault(key, {}).setdefault(size, []).append(cost)
    return [(dict(zip(by, key, strict=True)), table) for key, table in found.items()]


def _number(row: Row, column: str, *, number: int, file: Path) -> float:
    raw = row.get(column, "")
    try:
        value = float(raw)
    except ValueError:
        raise ValueError(f"{file} row {number}: {column} must be a number, not {raw!r}") from None
    if not math.isfinite(value) or value <= 0.0:
        raise ValueError(f"{file} row {number}: {column} must be positive and finite, not {raw!r}")
    return value


def _judged(key: Row, table: dict[float, list[float]], *, exponent: float, kind: Kind, policy: ScalingPolicy) -> Group:
    sizes = sorted(table)
    costs = [_cost(table[size]) for size in sizes]
    samples = sum(map(len, table.values()))
    try:
        found = judge(sizes, costs, claimed=exponent, kind=kind, intervals=_intervals(table, sizes), policy=policy)
    except ValueError as error:
        return Group(key, sizes, costs, samples, None, str(error))
    return Group(key, sizes, costs, samples, found, found.reason)


def _cost(samples: Sequence[float]) -> float:
    return best_of(samples) if len(samples) >= BEST_FROM else median_interval(samples).median


def _intervals(table: dict[float, list[float]], sizes: Sequence[float]) -> list[tuple[float, float] | None]:
    found = [median_interval(table[size]) for size in sizes]
    return [None if i.low is None or i.high is None else (i.low, i.high) for i in found]


def _entry(group: Group, *, claimed: float) -> dict[str, Any]:
    judgement = group.judgement
    entry: dict[str, Any] = {**group.key, "verdict": group.verdict, "claimed": claimed}
    if judgement is None:
        return {**entry, "exponent": None, "low": None, "high": None, "floor": None, "reason": group.reason}
    return {
        **entry,
        "exponent": judgement.exponent,
        "low": judgement.low,
        "high": judgement.high,
        "floor": judgement.floor,
        "floor_ends": judgement.floor_ends,
        "half": judgement.half,
        "transition": judgement.transition,
        "rivals": judgement.rivals,
        "residual": judgement.residual,
        "reason": judgement.reason,
        "to_decide": judgement.to_decide,
        "sizes": group.sizes,
        "samples": group.samples,
        "slopes": [vars(slope) for slope in judgement.slopes],
    }


def _notes(rows: Sequence[Row], *, x: str, y: str, by: Sequence[str]) -> list[str]:
    """Name text columns that differ within a size of a group: rows of different things may be mixed."""
    text = {column for row in rows for column, value in row.items() if isinstance(value, str) and not _numeric(value)}
    notes = []
    for column in sorted(text - {x, y, *by}):
        seen: dict[tuple[Any, ...], set[Any]] = {}
        for row in rows:
            seen.setdefault((row.get(x), *(row.get(name) for name in by)), set()).add(row.get(column))
        if any(len(values) > 1 for values in seen.values()):
            notes.append(f"rows of one {x} differ in {column!r}; --by {column} judges them apart")
    return notes


def _numeric(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
