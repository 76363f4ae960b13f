"""The journal: an append-only run directory of JSON Lines that survives kill -9."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, JsonValue

from harness.records import Degrees, Environment, Preparation, Record, Round
from harness.results import documents
from harness.results.documents import JournalError, JsonMistakeError
from harness.results.merged_file import Merged
from harness.results.plan_file import Plan
from harness.results.schema import check_schema
from harness.results.summary_file import Summary
from harness.results.verdicts_file import Verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

PLAN, JOURNAL, ENVIRONMENT, SUMMARY, VERDICTS = (
    "plan.json",
    "journal.jsonl",
    "environment.json",
    "summary.json",
    "verdicts.json",
)
REPORT = "report.html"
# Beside these where a directory was merged.
MERGED = "merged.json"
# How the subjects of facts on operation counts begin.
DEGREES = "degrees "
# A line written is safe from the death of any process, one synchronised from a power cut too. Synchronising each line
# would take a few milliseconds between any two visits of a run.
SYNC_SECONDS = 1.0

Model = TypeVar("Model", bound=BaseModel)


def line(kind: str, content: Mapping[str, object]) -> str:
    """Write one line of a journal."""
    return json.dumps({"kind": kind, **content}, separators=(",", ":"), allow_nan=False) + "\n"


class Journal:
    """Append lines `{"kind": ..., ...}` to a run's journal, each in one write, on disk within a second.

    A torn last line, left by a killed writer, is closed before the first new line, so that no two lines merge.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / JOURNAL
        self._descriptor = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_RDWR, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")
        self._synchronised = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.synchronise()
        finally:
            os.close(self._descriptor)

    def synchronise(self) -> None:
        """Put what was written on disk."""
        os.fsync(self._descriptor)
        self._synchronised = time.monotonic()

    def append(self, kind: str, content: Mapping[str, object]) -> None:
        """Write one line. Raises OSError where the disk is full; what was written before stays intact."""
        data = line(kind, content).encode()
        size = os.fstat(self._descriptor).st_size
        written = os.write(self._descriptor, data)
        if written != len(data):
            os.ftruncate(self._descriptor, size)
            raise OSError(28, "no space left for the journal", str(self.path))
        if time.monotonic() - self._synchronised >= SYNC_SECONDS:
            self.synchronise()

    def append_round(self, case: str, samples: Round) -> None:
        """Write the samples of one visit to a case."""
        self.append("round", {"case": case, "round": samples.model_dump(mode="json", by_alias=True)})

    def append_prepared(self, case: str, prepared: Preparation) -> None:
        """Write what was learnt of a case before its rounds."""
        self.append("prepared", {"case": case, "prepared": prepared.model_dump(mode="json", by_alias=True)})

    def append_facts(self, about: str, facts: Mapping[str, object]) -> None:
        """Write facts that belong to no single case, such as the degrees of an implementation's operation count."""
        self.append("facts", {"about": about, "facts": facts})

    def append_replaced(self, implementation: str, cases: Sequence[str], *, facts: Sequence[str]) -> None:
        """Write that an implementation's source changed: what lines before say of these cases and facts is void."""
        self.append("replaced", {"implementation": implementation, "cases": list(cases), "facts": list(facts)})

    def append_record(self, record: Record) -> None:
        """Close a case with its record."""
        self.append("record", {"record": record.model_dump(mode="json", by_alias=True)})


class Entries:
    """What a journal holds: records, preparations and rounds by case id, facts by subject.

    `damages` says of each line that can't be read what is wrong with it: a killed writer tore it, or something else.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.rounds: dict[str, list[Round]] = {}
        self.prepared: dict[str, Preparation] = {}
        self.facts: dict[str, dict[str, JsonValue]] = {}
        self.damages: list[str] = []

    def forget(self, cases: Iterable[str], *, facts: Iterable[str]) -> None:
        """Drop what was said of some cases, and some facts."""
        for case in cases:
            self.records.pop(case, None)
            self.rounds.pop(case, None)
            self.prepared.pop(case, None)
        for about in facts:
            self.facts.pop(about, None)

    @property
    def torn(self) -> int:
        """Return how many lines can't be read."""
        return len(self.damages)

    @property
    def degrees(self) -> dict[str, Degrees]:
        """Return what was counted of implementations' operations, by subject."""
        counted = {about: facts for about, facts in self.facts.items() if about.startswith(DEGREES)}
        return {about: Degrees.model_validate(facts) for about, facts in counted.items()}


def read(directory: Path) -> Entries:
    """Read a journal: damaged lines are told of, the rest is read. Raises JournalError, SchemaMismatchError."""
    path = directory / JOURNAL
    entries = Entries()
    for number, line in documents.lines(path):
        try:
            _enter(entries, line, source=str(path))
        except (JournalError, JsonMistakeError) as error:
            entries.damages.append(f"line {number} {str(error).splitlines()[0]}")
    return entries


def _enter(entries: Entries, line: str | None, *, source: str) -> None:
    """Take one line in. Raises JournalError, JsonMistakeError for a damaged one, SchemaMismatchError."""
    if line is None:
        raise JsonMistakeError(f"is longer than {documents.LINE_BYTES} bytes")
    content = documents.read_json(line)
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise JsonMistakeError("is no line of a journal")
    if content["kind"] == "record":
        document = content.get("record")
        if isinstance(document, dict) and "schema" in document:
            check_schema(document, source=source)
        record = documents.read_model(Record, document, source="record")
        entries.records[record.case.id] = record
    elif content["kind"] == "facts":
        about = _text(content, "about")
        entries.facts[about] = _facts(about, content.get("facts"))
    elif content["kind"] == "round":
        case, visit = _text(content, "case"), documents.read_model(Round, content.get("round"), source="round")
        _check_times(visit)
        entries.rounds.setdefault(case, []).append(visit)
    elif content["kind"] == "prepared":
        case, prepared = _text(content, "case"), content.get("prepared")
        entries.prepared[case] = documents.read_model(Preparation, prepared, source="prepared")
    elif content["kind"] == "replaced":
        entries.forget(_texts(content, "cases"), facts=_texts(content, "facts"))


def _check_times(visit: Round) -> None:
    """Refuse a visit with a time that is none. Raises JsonMistakeError."""
    for name in ("samples", "canary", "graph_samples"):
        if (least := min(getattr(visit, name), default=1.0)) <= 0.0:
            raise JsonMistakeError(f"round.{name} has {least:g}, which is no time")


def _texts(content: Mapping[str, JsonValue], name: str) -> list[str]:
    found = content.get(name)
    if not isinstance(found, list):
        raise JsonMistakeError(f"{name} is no list")
    return [str(item) for item in found]


def _text(content: Mapping[str, JsonValue], name: str) -> str:
    found = content.get(name)
    if not isinstance(found, str):
        raise JsonMistakeError(f"{name} is no text")
    return found


def _facts(about: str, facts: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(facts, dict):
        raise JsonMistakeError("facts is no object")
    if about.startswith(DEGREES):
        documents.read_model(Degrees, facts, source="facts")
    return facts


def read_plan(directory: Path) -> Plan | None:
    """Read plan.json, None if there is none. Raises JournalError, SchemaMismatchError."""
    return _model(directory / PLAN, Plan)


def read_environment(directory: Path) -> Environment | None:
    """Read environment.json, None if there is none. Raises JournalError, SchemaMismatchError."""
    return _model(directory / ENVIRONMENT, Environment)


def read_summary(directory: Path) -> Summary | None:
    """Read summary.json, None if there is none. Raises JournalError, SchemaMismatchError."""
    return _model(directory / SUMMARY, Summary)


def read_verdicts(directory: Path) -> Verdicts | None:
    """Read verdicts.json, None if there is none. Raises JournalError, SchemaMismatchError."""
    return _model(directory / VERDICTS, Verdicts)


def read_merged(directory: Path) -> Merged | None:
    """Read merged.json, None if there is none. Raises JournalError, SchemaMismatchError."""
    return _model(directory / MERGED, Merged)


def _model(path: Path, model: type[Model]) -> Model | None:
    document = read_document(path)
    return None if document is None else documents.read_model(model, document, source=str(path))


def read_document(path: Path) -> dict[str, JsonValue] | None:
    """Read a JSON object, None if the file is missing. Raises JournalError, SchemaMismatchError."""
    document = documents.read_document(path)
    if document is not None:
        check_schema(document, source=str(path))
    return document


def document_text(document: Mapping[str, object]) -> str:
    """Write a JSON object as files of a run have it."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def write_document(path: Path, document: Mapping[str, object]) -> None:
    """Replace a JSON file in one step, so that a reader never sees half of it. Raises OSError on a full disk."""
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(document_text(document))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # What could not be finished must not take up a full disk.
        temporary.unlink(missing_ok=True)


def now() -> str:
    """Return the time with its zone, to the second, as files of a run have it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
