"""Baselines: snapshots in small files that one can commit, a line for each implementation at some points.

Earlier files have `groups` of rows, a line for each case; they are read as well.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from harness.comparing.grids import Grid, packed, text, unpacked
from harness.comparing.snapshot import Figures, Snapshot
from harness.records import SCHEMA, Case, DataModel, Record, case_id
from harness.results.documents import JournalError, read_model, reading
from harness.results.journal import read_document
from scenarios.scenario import Cache, Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER = "baselines"
SUFFIX = ".json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# In earlier files, of each row after the values of the point.
COLUMNS = ("seconds", "low", "high", "rounds", "operations", "attended", "extra_bytes", "error")


class Group(DataModel):
    """Cases that share all but some values of their points, which `varies` names; `without` has those without a time.

    A row of `without` has the values, the status, the reason.
    """

    scenario: str
    problem: str
    implementation: str
    dtype: str
    device: str
    direction: Direction
    cache: Cache = "hot"
    digest: str = ""
    statistic: str = ""
    processes: int = 1
    point: dict[str, JsonValue]
    varies: list[str]
    rows: list[list[JsonValue]] = Field(default_factory=list)
    without: list[list[JsonValue]] = Field(default_factory=list)


class Baseline(DataModel):
    """The contents of a baseline's file."""

    kind: Literal["attnbench baseline"] = "attnbench baseline"
    schema_version: str = Field(default=SCHEMA, alias="schema")
    name: str
    created: str = ""
    command: list[str] = Field(default_factory=list)
    device: str = ""
    environment_id: str = ""
    stable: dict[str, JsonValue] = Field(default_factory=dict)
    commit: str = ""
    canary_floor: float | None = None
    process_deviation: float
    digests: list[str] = Field(default_factory=list)
    grids: list[Grid] = Field(default_factory=list)
    columns: list[str] = Field(default_factory=lambda: list(COLUMNS))
    groups: list[Group] = Field(default_factory=list)

    model_config = Record.model_config


def written(snapshot: Snapshot) -> str:
    """Return the text of a baseline's file."""
    digests, grids = packed(snapshot.cases)
    shared = {
        name: getattr(snapshot, name) for name in Snapshot.model_fields if name not in {"cases", "schema_version"}
    }
    baseline = Baseline(**shared, digests=digests)
    document = baseline.model_dump(mode="json", by_alias=True, exclude={"grids", "columns", "groups"})
    lines = [f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)},\n" for name, value in document.items()]
    return "{\n" + "".join(lines) + ' "grids": [\n' + ",\n".join(map(text, grids)) + "\n ]\n}\n"


def read(path: Path) -> Snapshot:
    """Read a baseline's file. Raises JournalError, SchemaMismatchError."""
    document = read_document(path)
    if document is None:
        raise JournalError(f"{path}: no such file")
    if document.get("kind") != "attnbench baseline":
        raise JournalError(f"{path} is no baseline: `attnbench baseline save RUN NAME` writes one")
    baseline = read_model(Baseline, document, source=str(path))
    cases = [one for group in baseline.groups for one in _cases(group, baseline.columns, source=str(path))]
    cases += [one for grid in baseline.grids for one in unpacked(baseline.digests, grid, source=str(path))]
    return Snapshot(
        **{name: getattr(baseline, name) for name in Snapshot.model_fields if name not in {"cases", "schema_version"}},
        cases=cases,
    )


def _cases(group: Group, columns: Sequence[str], *, source: str) -> Iterator[Figures]:
    known = [name for name in columns if name in COLUMNS]
    for row in group.rows:
        if len(row) != len(group.varies) + len(columns):
            raise JournalError(f"{source}: a row of {group.implementation} has {len(row)} values")
        values = dict(zip(columns, row[len(group.varies) :], strict=True))
        figures = {
            "case": _case(group, row),
            "status": "ok",
            "digest": group.digest,
            "statistic": group.statistic,
            "processes": group.processes,
            **{name: values[name] for name in known},
        }
        yield read_model(Figures, figures, source=source)
    for row in group.without:
        if len(row) != len(group.varies) + 2:
            raise JournalError(f"{source}: a row of {group.implementation} has {len(row)} values")
        status, reason = row[len(group.varies) :]
        figures = {"case": _case(group, row), "status": status, "reason": reason, "digest": group.digest}
        yield read_model(Figures, figures, source=source)


def _case(group: Group, row: Sequence[JsonValue]) -> Case:
    point = group.point | dict(zip(group.varies, row, strict=False))
    identity = {
        name: getattr(group, name) for name in ("problem", "dtype", "device", "direction", "cache", "implementation")
    }
    return Case(id=case_id(point=point, **identity), scenario=group.scenario, point=point, **identity)


def is_baseline(path: Path) -> bool:
    """Tell whether a file begins as a baseline does; what it holds is for `read` to check. Raises JournalError."""
    with reading(path), path.open("rb") as file:
        return b'"attnbench baseline"' in file.read(200)


def path_of(name: str, *, folder: Path) -> Path:
    """Return the file of a baseline. Raises JournalError for a name that is none."""
    if not NAME.fullmatch(name):
        raise JournalError(f"no name for a baseline: {name!r}; letters, digits, dots, dashes and underscores make one")
    return folder / f"{name}{SUFFIX}"


def names(folder: Path) -> list[str]:
    """Return the names of the baselines in a folder."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}") if path.is_file())
