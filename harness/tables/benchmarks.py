"""JSON of pytest-benchmark, google-benchmark and nvbench, old and new, and lists of objects -> rows."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from harness.tables.cells import Number, quote, read_cell
from harness.tables.rows import Rows, Value, from_dictionaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Form = Literal["pytest-benchmark", "google-benchmark", "nvbench"]
# One benchmark, as the JSON object that a tool wrote.
Entry = dict[str, Any]

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# google-benchmark appends these to a benchmark's name; they are no arguments of it.
MODIFIERS = ("threads", "repeats", "iterations", "min_time", "min_warmup_time")
# Rows of versions before 1.5, which did not say `run_type`.
OLD_AGGREGATES = ("_mean", "_median", "_stddev", "_cv", "_BigO", "_RMS")
AGGREGATE_JUDGED = "median"
# Sizes in names of old versions count in 1024: BM_x/4k is 4096.
ARGUMENT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[kMG]i?)?")
# nvbench's summaries by their tags: of cold calls, each by itself, and of calls in a batch.
NVBENCH_TIMES = {
    "seconds": "nv/cold/time/gpu/mean",
    "cpu_seconds": "nv/cold/time/cpu/mean",
    "batch_seconds": "nv/batch/time/gpu/mean",
}
BRACKETS = re.compile(r"(?P<name>[^\[\]]*)\[(?P<arguments>.*)\]")
BENCHMARKS_AT_MOST, SAMPLES_AT_MOST, NAME_AT_MOST = 20_000, 500_000, 2000


def read_benchmarks(text: str, *, file: str, form: Form | None) -> Rows:
    """Read what one of the tools wrote, times in seconds, or a list of objects as it is.

    Raises ValueError, one line, for anything else.
    """
    document = _document(text, file=file)
    if form is None and isinstance(document, list) and any(isinstance(entry, dict) for entry in document):
        return _objects_as_rows(document, file=file)
    benchmarks = _entries(document, file=file)
    known = form or _form(benchmarks)
    found = {"google-benchmark": _google, "pytest-benchmark": _pytest, "nvbench": _nvbench}[known](
        benchmarks, file=file
    )
    if not found.rows:
        left = f": {'; '.join(found.notes)}" if found.notes else ""
        raise ValueError(f"{file} is no JSON of {known} with times{left}")
    return found


def _document(text: str, *, file: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply: it is not JSON of a benchmark") from None
    except json.JSONDecodeError as error:
        shown = text.split("\n")[error.lineno - 1 : error.lineno]
        near = "".join(shown)[max(error.colno - 20, 0) : error.colno + 10]
        message = f"{error.msg} on line {error.lineno}, column {error.colno}"
        raise ValueError(f"{file} is not JSON: {message}, near {quote(near)}") from None
    except ValueError as error:
        raise ValueError(f"{file} is not JSON that can be read: {error}") from None


def _entries(document: Any, *, file: str) -> list[Entry]:
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(benchmarks, list) or not any(isinstance(entry, dict) for entry in benchmarks):
        raise ValueError(f"{file} has no benchmarks: it is of none of pytest-benchmark, google-benchmark and nvbench")
    if len(benchmarks) > BENCHMARKS_AT_MOST:
        raise ValueError(f"{file} has more than {BENCHMARKS_AT_MOST:,} benchmarks, which is the most that is read")
    return [entry if isinstance(entry, dict) else {} for entry in benchmarks]


def _objects_as_rows(document: list[Any], *, file: str) -> Rows:
    """Read a list of objects, as `attnbench export --to json` writes: a row for each, texts and numbers alone."""
    if len(document) > BENCHMARKS_AT_MOST:
        raise ValueError(f"{file} has more than {BENCHMARKS_AT_MOST:,} rows, which is the most that is read")
    rows: list[dict[str, Value]] = []
    places, left = [], Counter[str]()
    for number, entry in enumerate(document, start=1):
        if not isinstance(entry, dict):
            left["beside the objects"] += 1
            continue
        rows.append({**dict.fromkeys(entry), **dict(_pairs(entry))})
        places.append(f"object {number}")
    return from_dictionaries(rows, places, notes=_left_notes(left), axes=None)


def _form(benchmarks: Sequence[Entry]) -> Form:
    """Tell by its keys which tool wrote a file."""
    if any(isinstance(entry.get("states"), list) for entry in benchmarks):
        return "nvbench"
    return "google-benchmark" if _is_google(benchmarks) else "pytest-benchmark"


def _is_google(benchmarks: Sequence[Entry]) -> bool:
    return not any("stats" in entry for entry in benchmarks) and any(
        {"time_unit", "real_time", "cpu_time", "run_type", "big_o"} & entry.keys() for entry in benchmarks
    )


def _finite(value: Any) -> float | None:
    """Return a JSON number as a float; None for anything else, infinite or beyond what a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _pytest(benchmarks: Sequence[Entry], *, file: str) -> Rows:
    """Read pytest-benchmark: all samples of a row where --benchmark-save-data kept them, else its minimum.

    Old versions have no parameters apart from the name: test_x[64-causal] has arg0 and arg1, and the first is also n.
    """
    rows: list[dict[str, Value]] = []
    places, left, axes, samples = [], Counter[str](), {"n"}, 0
    for number, entry in enumerate(benchmarks, start=1):
        stats = entry.get("stats")
        times = _pytest_times(stats) if isinstance(stats, dict) else []
        if not times:
            left["without times"] += 1
            continue
        samples += len(times)
        if samples > SAMPLES_AT_MOST:
            raise ValueError(f"{file} has more than {SAMPLES_AT_MOST:,} samples, which is the most that is read")
        name, given = _pytest_arguments(str(entry.get("name", "")))
        named = {key: value for part in ("params", "extra_info") for key, value in _pairs(entry.get(part))}
        row: dict[str, Value] = {**({} if named else given), **named}
        axes |= row.keys()
        row |= {key: value for key, value in _pairs(stats) if not isinstance(value, str)}
        row["benchmark"] = name
        if entry.get("group"):
            row["group"] = str(entry["group"])
        rows.append({**row, "seconds": times if len(times) > 1 else times[0]})
        places.append(f"benchmark {number}")
    return from_dictionaries(rows, places, notes=_left_notes(left), axes=frozenset(axes))


def _pytest_times(stats: Entry) -> list[float]:
    samples = stats.get("data")
    given = samples if isinstance(samples, list) and samples else [stats.get("min")]
    return [time for time in map(_finite, given) if time is not None]


def _pairs(values: Any) -> Iterator[tuple[str, str | float]]:
    """Return what of a JSON object is a text or a finite number."""
    for key, value in values.items() if isinstance(values, dict) else ():
        if isinstance(value, str) or _finite(value) is not None:
            yield str(key), value
        elif isinstance(value, bool | int | float):
            yield str(key), str(value)


def _pytest_arguments(name: str) -> tuple[str, dict[str, Value]]:
    found = BRACKETS.fullmatch(name)
    if found is None:
        return name, {}
    parts = [part for part in found.group("arguments").split("-") if part]
    row: dict[str, Value] = {f"arg{place}": part for place, part in enumerate(parts)}
    sizes = [part for part in parts if ARGUMENT.fullmatch(part)]
    return found.group("name"), row | ({"n": sizes[0]} if sizes else {})


def _google(benchmarks: Sequence[Entry], *, file: str) -> Rows:
    """Read google-benchmark: arguments from names like family/64 or family/n:64, errors and aggregates left out.

    The first argument without a name is also `n`, and each is `arg0`, `arg1`, ... Where a file has aggregates only,
    the medians are read.
    """
    single = [_aggregate(entry) == "" for entry in benchmarks]
    wanted = "" if any(single) else AGGREGATE_JUDGED
    rows: list[dict[str, Value]] = []
    places, left, axes = [], Counter[str](), {"n"}
    for number, entry in enumerate(benchmarks, start=1):
        reason = _why_left_out(entry, wanted=wanted)
        if reason:
            left[reason] += 1
            continue
        unit = entry.get("time_unit", "ns")
        if not isinstance(unit, str) or unit not in SECONDS:
            raise ValueError(
                f"{file} benchmark {number}: time_unit must be {', '.join(SECONDS)}, not {quote(str(unit))}"
            )
        row = _google_arguments(str(entry.get("run_name") or entry.get("name", "")).removesuffix(f"_{wanted}"))
        axes |= row.keys() - {"benchmark"}
        for column, key in (("seconds", "real_time"), ("cpu_seconds", "cpu_time")):
            time = _finite(entry.get(key))
            row[column] = None if time is None else SECONDS[unit] * time
        counters = {key: value for key, value in _pairs(entry) if not isinstance(value, str) and key not in row}
        rows.append({**counters, **row})
        places.append(f"benchmark {number}")
    notes = _left_notes(left) + ([f"the file has aggregates only: their {wanted}s are judged"] if wanted else [])
    return from_dictionaries(rows, places, notes=notes, axes=frozenset(axes))


def _nvbench(benchmarks: Sequence[Entry], *, file: str) -> Rows:
    """Read nvbench: a row for each state, with its axes, its device, and the means of its times in seconds.

    The first axis of whole numbers is also `n` where none is called so. Of types and texts an axis has the text.
    """
    rows: list[dict[str, Value]] = []
    places, left, axes = [], Counter[str](), {"n", "device"}
    for name, state in _states(benchmarks, file=file):
        said = {str(one.get("tag")): _nvbench_value(one.get("data")) for one in _objects(state.get("summaries"))}
        if state.get("is_skipped"):
            reason = state.get("skip_reason")
            left[f"skipped{f' ({quote(str(reason))})' if reason else ''}"] += 1
            continue
        if said.get(NVBENCH_TIMES["seconds"]) is None:
            left["without times"] += 1
            continue
        point: dict[str, Value] = {}
        for axis in _objects(state.get("axis_values")):
            value = _nvbench_number(axis.get("value")) if axis.get("type") in {"int64", "float64"} else None
            point[str(axis.get("name"))] = str(axis.get("value")) if value is None else value
        sizes = [value for value in point.values() if isinstance(value, float) and value.is_integer()]
        row: dict[str, Value] = {**({"n": sizes[0]} if sizes else {}), **point, "device": _finite(state.get("device"))}
        axes |= row.keys()
        row |= {column: said.get(tag) for column, tag in NVBENCH_TIMES.items()}
        rows.append({**row, "benchmark": name})
        places.append(f"state {quote(str(state.get('name', '')))} of {quote(name)}")
    return from_dictionaries(rows, places, notes=_left_notes(left), axes=frozenset(axes))


def _states(benchmarks: Sequence[Entry], *, file: str) -> Iterator[tuple[str, Entry]]:
    count = 0
    for entry in benchmarks:
        for state in _objects(entry.get("states")):
            count += 1
            if count > BENCHMARKS_AT_MOST:
                raise ValueError(f"{file} has more than {BENCHMARKS_AT_MOST:,} states, which is the most that is read")
            yield str(entry.get("name", "")), state


def _objects(values: Any) -> list[Entry]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _nvbench_value(data: Any) -> float | None:
    """Return the value of a summary: a list of name, type and text."""
    return next((_nvbench_number(one.get("value")) for one in _objects(data) if one.get("name") == "value"), None)


def _nvbench_number(value: Any) -> float | None:
    """Return a number that nvbench wrote as text, as it does with all of them."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _aggregate(entry: Entry) -> str:
    """Name the aggregate that an entry is; "" for one that was measured."""
    name = str(entry.get("name", ""))
    if entry.get("run_type") == "aggregate":
        return str(entry.get("aggregate_name") or name.rpartition("_")[2])
    if "run_type" not in entry and name.endswith(OLD_AGGREGATES):
        return name.rpartition("_")[2]
    return ""


def _why_left_out(entry: Entry, *, wanted: str) -> str:
    """Say which kind of entry has no time to judge; "" for one that has."""
    message = entry.get("error_message") or entry.get("skip_message")
    if entry.get("error_occurred") or entry.get("skipped"):
        return f"with an error{f' ({quote(str(message))})' if message else ''}"
    if _aggregate(entry) != wanted:
        return f"of aggregates ({quote(_aggregate(entry))})" if _aggregate(entry) else "of single runs"
    return "without times" if _finite(entry.get("real_time")) is None else ""


def _left_notes(left: Counter[str]) -> list[str]:
    return [f"{count} {'entry' if count == 1 else 'entries'} {reason} left out" for reason, count in left.items()]


def _google_arguments(run_name: str) -> dict[str, Value]:
    name, *parts = _split_outside_brackets(run_name)
    row: dict[str, Value] = {}
    unnamed = 0
    for part in parts:
        label, _, text = part.rpartition(":")
        if label in MODIFIERS:
            continue
        value = _argument(text)
        if value is None:
            name = f"{name}/{part}"
            continue
        row[label or f"arg{unnamed}"] = value
        unnamed += not label
    if "arg0" in row and "n" not in row:
        row["n"] = row["arg0"]
    row["benchmark"] = name
    return row


def _argument(text: str) -> float | None:
    """Return a size in a name: 64, 4k, or 0.976562k, which old versions wrote for 1000."""
    cell = read_cell(text) if ARGUMENT.fullmatch(text) else None
    if not isinstance(cell, Number):
        return None
    value = cell.value(thousand=1024)
    whole = round(value)
    return float(whole) if abs(value - whole) <= 1e-6 * max(abs(value), 1.0) else value


def _split_outside_brackets(name: str) -> list[str]:
    """Split a name at slashes, but not inside of the brackets of template arguments."""
    if len(name) > NAME_AT_MOST:
        return [name]
    parts, depth = [""], 0
    for sign in name:
        depth += (sign in "<(") - (sign in ">)" and depth > 0)
        if sign == "/" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
