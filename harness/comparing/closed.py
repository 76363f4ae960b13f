"""Runs that closed, read for their records alone: what comparisons take of a directory, without all that reports show.

Nothing is said of damage here. Where a directory is not as a closed run leaves it (a torn line, a case without its
record, a number that is none), `read_closed` returns None, and `harness.results.run` reads all of it and says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.comparing.snapshot import Figures, Snapshot, commit_of, figures
from harness.policy import ComparisonPolicy
from harness.records import SCHEMA, Case, Status
from harness.results import documents, journal
from harness.results.closing import floor_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

# Numbers that a float can hold, and no text of three hundred digits.
Whole = Annotated[int, Field(ge=-(2**63), le=2**63)]
# A newer major version is for the whole reading to refuse.
SCHEMA_PATTERN = rf"^{SCHEMA.partition('.')[0]}\."
# How lines of each kind begin, as the journal writes them; the last two hold nothing that is taken.
RECORD, ROUND = b'{"kind":"record",', b'{"kind":"round",'
OTHERS = (b'{"kind":"prepared",', b'{"kind":"facts",')

Part = TypeVar("Part", bound=BaseModel)


class OtherwiseError(ValueError):
    """A directory is not as a closed run leaves it."""


class Read(BaseModel):
    """The base of what is read here: fields beside those named are passed over, every number is finite."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class ReadTime(Read):
    """What is taken of `harness.records.Time`."""

    rounds: Whole
    processes: Whole = 1
    median: float
    low: float | None = None
    high: float | None = None
    statistic: str = ""
    value: float | None = None
    value_low: float | None = None
    value_high: float | None = None

    @property
    def seconds(self) -> float:
        """Return the time to show; the median in runs that have no statistic."""
        return self.median if self.value is None else self.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of `seconds`, None if too few samples allow one."""
        low, high = (self.low, self.high) if self.value is None else (self.value_low, self.value_high)
        return None if low is None or high is None else (low, high)


class ReadCounts(Read):
    """What is taken of `harness.records.Counts`."""

    operations: Whole
    attended: Whole


class ReadMemory(Read):
    """What is taken of `harness.records.Memory`."""

    inputs: Whole
    outputs: Whole | None = None
    peak: Whole | None = None

    @property
    def extra(self) -> int | None:
        """Return the peak beyond inputs and outputs."""
        return None if self.peak is None or self.outputs is None else max(0, self.peak - self.outputs)


class ReadCheck(Read):
    """What is taken of `harness.records.Check`."""

    ratio: float | None


class ReadAgreement(Read):
    """What is taken of `harness.records.Agreement`."""

    checks: list[ReadCheck]

    @property
    def ratio(self) -> float | None:
        """Return the largest error over its budget."""
        return max((check.ratio for check in self.checks if check.ratio is not None), default=None)


class ReadTelemetry(Read):
    """What is taken of `harness.records.Telemetry`."""

    summary: dict[str, float] = Field(default_factory=dict)


class ReadRecord(Read):
    """What is taken of `harness.records.Record`."""

    schema_version: str = Field(default=SCHEMA, alias="schema", pattern=SCHEMA_PATTERN)
    case: Case
    status: Status
    reason: str = ""
    agreement: ReadAgreement | None = None
    time: ReadTime | None = None
    counts: ReadCounts | None = None
    memory: ReadMemory | None = None
    telemetry: ReadTelemetry | None = None
    digest: str = ""


class RecordLine(Read):
    """A line of a journal that closes a case."""

    record: ReadRecord


class ReadRound(Read):
    """What is taken of `harness.records.Round`: times, all above zero."""

    samples: list[Annotated[float, Field(gt=0)]]
    canary: list[Annotated[float, Field(gt=0)]] = Field(default_factory=list)


class RoundLine(Read):
    """A line of a journal that has one visit to a case."""

    round: ReadRound


class ReadPlannedCase(Read):
    """What is taken of `harness.records.PlannedCase`."""

    case: Case
    skip: Status | None = None
    reason: str = ""


class ReadPolicy(Read):
    """What is taken of `harness.policy.Policy`."""

    comparison: ComparisonPolicy = Field(default_factory=ComparisonPolicy)


class ReadPlan(Read):
    """What is taken of `harness.results.plan_file.Plan`."""

    schema_version: str = Field(alias="schema", pattern=SCHEMA_PATTERN)
    created: str
    command: list[str]
    device: str
    policy: ReadPolicy
    cases: list[ReadPlannedCase]


@dataclass(frozen=True)
class Closed:
    """A closed run as comparisons see it, and the constants of comparing that it was made under."""

    snapshot: Snapshot
    policy: ComparisonPolicy


def read_closed(directory: Path, *, has_canary: bool) -> Closed | None:
    """Read a run directory for its records; None if it is not as a closed run leaves it.

    With `has_canary` the rounds are read as well, for the canary's undisturbed time, which the snapshot else lacks.
    Raises JournalError, SchemaMismatchError for what no reading could take.
    """
    try:
        return _closed(directory, has_canary=has_canary)
    except OtherwiseError:
        return None


def _closed(directory: Path, *, has_canary: bool) -> Closed:
    if (directory / journal.MERGED).exists():
        raise OtherwiseError(journal.MERGED)
    records, canary = _lines(directory / journal.JOURNAL, has_canary=has_canary)
    plan = _parsed(ReadPlan, _content(directory / journal.PLAN))
    environment = journal.read_environment(directory)
    return Closed(
        Snapshot(
            name=directory.resolve().name,
            created=plan.created,
            command=plan.command,
            device=plan.device,
            environment_id=environment.id if environment else "",
            stable=environment.stable if environment else {},
            commit=commit_of(environment),
            canary_floor=floor_of(canary),
            process_deviation=plan.policy.comparison.process_deviation,
            cases=[
                *map(figures, records.values()),
                *(_skipped(one) for one in plan.cases if one.case.id not in records),
            ],
        ),
        plan.policy.comparison,
    )


def _lines(path: Path, *, has_canary: bool) -> tuple[dict[str, ReadRecord], list[float]]:
    """Return the records of a journal by case id, and the canary's seconds if asked for. Raises OtherwiseError."""
    records: dict[str, ReadRecord] = {}
    canary: list[float] = []
    file = documents.open_regular(path, at_most=documents.JOURNAL_BYTES)
    if file is None:
        raise OtherwiseError(path.name)
    with file, documents.reading(path):
        while line := file.readline(documents.LINE_BYTES):
            if not line.endswith(b"\n"):
                raise OtherwiseError("a line without its end")
            if line.startswith(RECORD):
                record = _parsed(RecordLine, line).record
                _check(record)
                records[record.case.id] = record
            elif line.startswith(ROUND):
                if has_canary:
                    canary += _parsed(RoundLine, line).round.canary
            elif not line.startswith(OTHERS):
                raise OtherwiseError("a line of another kind")
    return records, canary


def _parsed(model: type[Part], content: bytes) -> Part:
    try:
        return model.model_validate_json(content)
    except ValidationError:
        raise OtherwiseError(model.__name__) from None


def _content(path: Path) -> bytes:
    file = documents.open_regular(path, at_most=documents.DOCUMENT_BYTES)
    if file is None:
        raise OtherwiseError(path.name)
    with file, documents.reading(path):
        return file.read(documents.DOCUMENT_BYTES)


def _check(record: ReadRecord) -> None:
    """Refuse what `harness.records.Record` refuses. Raises OtherwiseError."""
    is_ok = record.status == "ok"
    if is_ok != (record.time is not None) or (not is_ok and not record.reason):
        raise OtherwiseError("a status without what belongs to it")
    _check_point(record.case.point)


def _check_point(point: Mapping[str, JsonValue]) -> None:
    for value in point.values():
        is_plain = value is None or isinstance(value, str | int | float)
        if not is_plain or (isinstance(value, int | float) and not (abs(value) <= 2**63 and math.isfinite(value))):
            raise OtherwiseError("a point of more than plain values")


def _skipped(planned: ReadPlannedCase) -> Figures:
    """Return the figures of a planned case without a record. Raises OtherwiseError where it was meant to run."""
    if planned.skip is None:
        raise OtherwiseError("a case that never closed")
    _check_point(planned.case.point)
    return Figures(case=planned.case, status=planned.skip, reason=planned.reason)
