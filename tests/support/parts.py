"""Parts of a plan as several machines would have measured them, cut by the shards that a run is cut by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.fleet.shards import bridge_of, shards, with_bridge
from harness.results.journal import write_document
from harness.results.run import read_run
from tests.support.runs import make_run, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from harness.records import PlannedCase, Record

SWEEPS = ("sequence-length", "head-dim")


def whole_run(folder: Path, *, failures: bool = False, **changes: Any) -> Path:
    """Write the run of the whole plan that parts are cut from."""
    return make_run(folder / "whole", sweeps=SWEEPS, dtypes=("float32", "bfloat16"), failures=failures, **changes)


def make_parts(
    folder: Path,
    *,
    count: int = 3,
    environments: tuple[str, ...] = ("0123456789abcdef",),
    slow: dict[int, float] | None = None,
    failures: bool = False,
) -> list[Path]:
    """Write the parts of a synthetic run, `part-1` and so on: environments in turn, some boards so much slower."""
    run = read_run(whole_run(folder, failures=failures))
    assert run.plan is not None
    planned = run.plan.cases
    records = run.by_id

    def seconds(one: PlannedCase) -> float:
        time = records[one.case.id].time
        return time.median if time else 0.0

    bridge = bridge_of(planned, baseline="sdpa-math", call_seconds=seconds)
    made = []
    for number, chunk in enumerate(shards(planned, count=count, seconds=seconds), start=1):
        cases, part = with_bridge(planned, chunk, name=f"{number}/{count}", bridge=bridge)
        own = [slowed(records[one.case.id], (slow or {}).get(number, 1.0)) for one in cases]
        made.append(folder / f"part-{number}")
        write_run(made[-1], own, sweeps=SWEEPS, judged=False)
        plan = change(made[-1] / "plan.json", part=part.model_dump(), fingerprint={"code": "c0"})
        assert len(plan["cases"]) == len(cases)
        environment = json.loads((made[-1] / "environment.json").read_text())
        volatile = {**environment["volatile"], "hostname": f"host-{number}", "cores": "0-1"}
        change(made[-1] / "environment.json", id=environments[(number - 1) % len(environments)], volatile=volatile)
    return made


def slowed(record: Record, factor: float) -> Record:
    """Return a record whose times are so many times as long."""
    if record.time is None or factor == 1.0:
        return record
    figures = {name: factor * getattr(record.time, name) for name in ("median", "low", "high", "best")}
    samples = [factor * sample for sample in record.time.samples]
    return record.model_copy(update={"time": record.time.model_copy(update={**figures, "samples": samples})})


def change(path: Path, **changes: Any) -> dict[str, Any]:
    """Change fields of a JSON file, and return what it holds now."""
    document: dict[str, Any] = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    write_document(path, document)
    return document
