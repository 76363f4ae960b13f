"""The data that the page carries: columns of all cases and the details of each, compressed."""

from __future__ import annotations

import base64
import gzip
import json
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.records import Memory
from reports import units
from reports.figures.device.load import throttle_facts
from reports.frame import APPROXIMATE, AXES, COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.records import Case, Environment, Record
    from harness.results.plan_file import Plan
    from harness.results.run import Run

# A reason longer than this is shortened in the page; the journal keeps it whole.
REASON_CHARACTERS = 2000
# Samples are stored as shares of their median in steps of 1e-4, below any timer's or machine's noise.
SAMPLE_STEPS = 10_000
# Facts of an environment that stand beside each case.
SETTING = ("device", "cpu", "gpu", "gpu_driver", "torch", "threads", "python", "kernel")
MEMORY_FIELDS = tuple(name for name in Memory.model_fields if name != "reasons")


def pack(runs: Sequence[Run], table: pd.DataFrame) -> str:
    """Compress what the table, the case view and the explorer need, as base64 of gzipped JSON."""
    content = {
        "columns": {name: _column(table[name]) for name in ["run", *COLUMNS] if name == "run" or _used(table[name])},
        "details": [detail for run in runs for detail in _details(run)],
        "environments": {run.environment.id: _setting(run.environment) for run in runs if run.environment},
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


def reproduce(case: Case, *, run: Run | None = None) -> str:
    """Write the command that measures one case again, as the run did that it comes from."""
    plan = run.plan if run else None
    preset = [f"--{plan.preset}"] if plan and plan.preset != "default" else []
    return shlex.join(["attnbench", "run", *_selecting(case, plan), *preset])


def profiling(case: Case, *, plan: Plan | None = None) -> str:
    """Write the command that takes one case of a plan apart."""
    return shlex.join(["attnbench", "profile", *_selecting(case, plan)])


def _selecting(case: Case, plan: Plan | None) -> list[str]:
    """Return the words that select one case as its plan has it, and the device and threads that it has."""
    skipped = followers(plan, case.scenario)
    words = [_scenario_argument(plan, case.scenario), "--impl", case.implementation.removesuffix(APPROXIMATE)]
    given = [word for word in (plan.command if plan else ()) if word.partition("=")[0] in skipped]
    words += [part for word in given for part in ("-a", word)]
    for name, value in case.point.items():
        if name not in skipped and not isinstance(value, list | dict):
            words += ["-a", f"{name}={str(value).lower() if isinstance(value, bool | None) else value}"]
    words += ["--dtype", case.dtype, "--device", case.device, "--direction", case.direction]
    declared = next((one for one in plan.scenarios if one.name == case.scenario), None) if plan else None
    words += ["--cache", case.cache] if case.cache != "hot" or (declared and declared.caches != ["hot"]) else []
    if plan:
        for path in plan.impl_files:
            words += ["--impl-file", path]
        if plan.threads is not None and case.device == "cpu":
            words += ["--threads", str(plan.threads)]
    return words


def _scenario_argument(plan: Plan | None, name: str) -> str:
    """Return the file that a plan's command named for a scenario, or the scenario's own name."""
    files = [word for word in (plan.command if plan else ()) if word.endswith(".toml")]
    if plan and len(files) == len(plan.scenarios) == 1:
        return files[0]
    return next((word for word in files if Path(word).stem == name), name)


def followers(plan: Plan | None, scenario: str) -> frozenset[str]:
    """Return the sizes of a scenario that it computes from another one."""
    for declared in plan.scenarios if plan else []:
        if declared.name == scenario:
            return frozenset(name for axis in declared.axes for name in axis.tied)
    return frozenset()


def _details(run: Run) -> list[dict[str, Any]]:
    found = [
        _detail(record)
        | {"again": reproduce(record.case, run=run)}
        | ({"profile": profiling(record.case, plan=run.plan)} if record.status == "ok" else {})
        for record in run.records
    ]
    return found + [{"again": reproduce(case, run=run)} for case, _, _ in run.waiting]


def _setting(environment: Environment) -> dict[str, str]:
    """Return the facts of an environment that a reader of one case looks for; the page has all of them."""
    return {name: units.fact(name, value) for name in SETTING if (value := environment.stable.get(name)) is not None}


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
        detail["ran"] = record.ran.shown
        detail["backend"] = record.ran.backend
        detail["kernel_seconds"] = _number(record.ran.kernel_seconds)
    if record.memory:
        detail["memory"] = {
            name: value for name in MEMORY_FIELDS if isinstance(value := getattr(record.memory, name), int)
        }
    if record.telemetry:
        detail["telemetry"] = [units.sensor(name, value) for name, value in record.telemetry.summary.items()]
        detail["telemetry"] += throttle_facts(record.telemetry)
    if record.allocation:
        detail["allocation"] = {name: _number(value) for name, value in record.allocation}
    if record.launch:
        detail["launch"] = {name: _number(value) for name, value in record.launch if name != "samples"}
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
