"""The data that the page carries: columns of all cases and the details of each, compressed."""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import TYPE_CHECKING, Any

from harness.records import Memory
from reports.frame import AXES, COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.records import Case, Record
    from reports.frame import Run

# A reason longer than this is shortened in the page; the journal keeps it whole.
REASON_CHARACTERS = 2000
# Samples are stored as shares of their median in steps of 1e-4, below any timer's or machine's noise.
SAMPLE_STEPS = 10_000
MEMORY_FIELDS = tuple(name for name in Memory.model_fields if name != "reasons")


def pack(runs: Sequence[Run], table: pd.DataFrame) -> str:
    """Compress what the table, the case view and the explorer need, as base64 of gzipped JSON."""
    content = {
        "columns": {name: _column(table[name]) for name in ["run", *COLUMNS] if name == "run" or _used(table[name])},
        "details": [detail for run in runs for detail in _details(run)],
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # Level 6 halves the time of level 9 for about one percent of size; mtime 0 keeps renderings identical.
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def shortened(text: str) -> str:
    """Cut a text that no reader would read to its end, saying how long it was; its last lines name the cause."""
    if len(text) <= REASON_CHARACTERS:
        return text
    half = REASON_CHARACTERS // 2
    return f"{text[:half]} … [{len(text):,} characters, whole in journal.jsonl] … {text[-half:]}"


def reproduce(case: Case, *, followers: frozenset[str] = frozenset()) -> str:
    """Write the command that measures one case again; `followers` are sizes that the scenario computes from others."""
    sizes = " ".join(
        f"-a {name}={json.dumps(value) if not isinstance(value, str) else value}"
        for name, value in case.point.items()
        if name not in followers and not isinstance(value, list | dict)
    )
    return (
        f"attnbench run {case.scenario} --impl {case.implementation} {sizes} --dtype {case.dtype} "
        f"--device {case.device} --direction {case.direction}"
    )


def followers(run: Run) -> dict[str, frozenset[str]]:
    """Return, for each scenario of a run, the sizes that follow another one."""
    found: dict[str, frozenset[str]] = {}
    for scenario in run.plan.scenarios if run.plan else []:
        axes = scenario.get("axes")
        tied = [axis.get("tied") or {} for axis in (axes if isinstance(axes, list) else []) if isinstance(axis, dict)]
        found[str(scenario.get("name", ""))] = frozenset(
            name for names in tied if isinstance(names, dict) for name in names
        )
    return found


def _details(run: Run) -> list[dict[str, Any]]:
    tied = followers(run)

    def again(case: Case) -> str:
        return reproduce(case, followers=tied.get(case.scenario, frozenset()))

    found = [_detail(record) | {"again": again(record.case)} for record in run.records]
    return found + [{"again": again(case)} for case, _, _ in run.waiting]


def _detail(record: Record) -> dict[str, Any]:
    detail: dict[str, Any] = {}
    if (time := record.time) and time.median > 0:
        detail["samples"] = [
            round(sample / time.median * SAMPLE_STEPS) for sample in time.samples if math.isfinite(sample)
        ]
        detail["rounds"] = time.round_lengths
        detail["canary"] = [round(value, 3) for value in time.canary if math.isfinite(value)]
        detail["calls"] = time.calls_per_sample
    if record.agreement:
        detail["checks"] = [
            [
                check.name,
                _number(check.error),
                _number(check.budget),
                _number(check.ratio),
                check.passed,
                check.detail,
            ]
            for check in record.agreement.checks
        ]
        detail["worst"] = record.agreement.worst
    if record.ran:
        detail["ran"] = record.ran.operators
        detail["backend"] = record.ran.backend
    if record.memory:
        detail["memory"] = {
            name: value for name in MEMORY_FIELDS if (value := getattr(record.memory, name)) is not None
        }
    if record.telemetry:
        detail["telemetry"] = {name: _number(value) for name, value in record.telemetry.summary.items()}
    if record.notes:
        detail["notes"] = [shortened(note) for note in record.notes]
    if record.environment_id:
        detail["environment"] = record.environment_id
    return detail


def _column(column: pd.Series) -> dict[str, Any]:
    """Store text as indices into its distinct values, numbers with seven significant digits."""
    if column.name in AXES or column.dtype == float:
        values = [None if value is None or value != value else value for value in column.tolist()]  # noqa: PLR0124
        return {"values": [_number(value) for value in values]}
    words = [shortened(str(value)) for value in column]
    distinct = list(dict.fromkeys(words))
    places = {word: index for index, word in enumerate(distinct)}
    return {"words": distinct, "index": [places[word] for word in words]}


def _number(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.7g}")
    return value


def _used(column: pd.Series) -> bool:
    return bool((column.notna() & (column.astype(str) != "")).any())
