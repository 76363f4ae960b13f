"""The journal: an append-only run directory of JSON Lines that survives kill -9."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, Self, TextIO, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from harness.records import Degrees, Environment, Preparation, Record, Round, Summary, check_schema
from harness.results.plan_file import Plan
from harness.results.verdicts_file import Verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PLAN, JOURNAL, ENVIRONMENT, SUMMARY, VERDICTS = (
    "plan.json",
    "journal.jsonl",
    "environment.json",
    "summary.json",
    "verdicts.json",
)
REPORT = "report.html"
# How the subjects of facts on operation counts begin.
DEGREES = "degrees "
# A line written is safe from the death of any process, one synchronised from a power cut too. Synchronising each line
# would take a few milliseconds between any two visits of a run.
SYNC_SECONDS = 1.0

Model = TypeVar("Model", bound=BaseModel)


class JournalError(ValueError):
    """A run directory can't be read or written; the message is one line for the user."""


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
        line = json.dumps({"kind": kind, **content}, separators=(",", ":"), allow_nan=False) + "\n"
        data = line.encode()
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

    def append_record(self, record: Record) -> None:
        """Close a case with its record."""
        self.append("record", {"record": record.model_dump(mode="json", by_alias=True)})


class Entries:
    """What a journal holds: records, preparations and rounds by case id, facts by subject, the count of torn lines."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.rounds: dict[str, list[Round]] = {}
        self.prepared: dict[str, Preparation] = {}
        self.facts: dict[str, dict[str, JsonValue]] = {}
        self.torn = 0

    @property
    def degrees(self) -> dict[str, Degrees]:
        """Return what was counted of implementations' operations, by subject."""
        counted = {about: facts for about, facts in self.facts.items() if about.startswith(DEGREES)}
        return {about: Degrees.model_validate(facts) for about, facts in counted.items()}


def read(directory: Path) -> Entries:
    """Read a journal, counting lines that a killed writer tore. Raises JournalError, SchemaMismatchError."""
    entries = Entries()
    for number, line in _lines(directory / JOURNAL):
        try:
            content = json.loads(line)
            kind = content["kind"]
        except (ValueError, TypeError, KeyError):
            entries.torn += 1
            continue
        try:
            if kind == "record":
                check_schema(content["record"], source=str(directory / JOURNAL))
                record = Record.model_validate(content["record"])
                entries.records[record.case.id] = record
            elif kind == "round":
                entries.rounds.setdefault(content["case"], []).append(Round.model_validate(content["round"]))
            elif kind == "prepared":
                entries.prepared[content["case"]] = Preparation.model_validate(content["prepared"])
            elif kind == "facts":
                entries.facts[content["about"]] = content["facts"]
        except ValidationError as error:
            raise JournalError(f"{directory / JOURNAL} line {number}: {_first_mistake(error)}") from None
    return entries


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise JournalError(f"{path.parent} is no run directory: it has no {path.name}") from None


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


def _model(path: Path, model: type[Model]) -> Model | None:
    document = read_document(path)
    if document is None:
        return None
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise JournalError(f"{path}: {_first_mistake(error)}") from None


def _first_mistake(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"


def read_document(path: Path) -> dict[str, JsonValue] | None:
    """Read a JSON object, None where the file is missing. Raises JournalError, SchemaMismatchError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JournalError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise JournalError(f"{path} holds no JSON object")
    check_schema(document, source=str(path))
    return document


def write_document(path: Path, document: Mapping[str, object]) -> None:
    """Replace a JSON file in one step, so that a reader never sees half of it. Raises OSError on a full disk."""
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # What could not be finished must not take up a full disk.
        temporary.unlink(missing_ok=True)


def now() -> str:
    """Return the time with its zone, to the second, as files of a run have it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


class DeviceHeldError(JournalError):
    """Another run holds the device."""


class DeviceLock:
    """Hold a device for one run at a time on this machine, by an advisory file lock that dies with the process.

    `device` is what tells the device from others, `name` what messages call it. If the file can't be opened, `problem`
    says so, and nothing is held.
    """

    def __init__(self, device: str, *, folder: Path, name: str = "") -> None:
        self._path = folder / f"attnbench-{device.replace(':', '-')}.lock"
        self._name = name or device
        self._file: TextIO | None = None
        self.problem = ""
        try:
            self._file = os.fdopen(_shared_file(self._path), "r+", encoding="utf-8")
        except OSError as error:
            self.problem = f"Other runs on {self._name} go unnoticed: {self._path} can't be opened ({error.strerror})."

    def __enter__(self) -> Self:
        if self._file is None:
            return self
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise DeviceHeldError(
                f"device {self._name} is held by another run (process {holder}); wait for it"
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _shared_file(path: Path) -> int:
    """Open a file for reading and writing, made for everybody if there is none.

    In a folder like /tmp the kernel refuses to open another user's file with O_CREAT (fs.protected_regular).
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o666)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o666)
        return descriptor
