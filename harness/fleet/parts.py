"""The parts that a merge is made of: run directories, read, put in an order of their own, and held to one code."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.results import journal
from harness.results.closing import canary_floor
from harness.results.documents import JournalError
from harness.results.merged_file import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import Environment, Record
    from harness.results.journal import Entries
    from harness.results.plan_file import Plan
    from harness.results.summary_file import Summary


class MergeError(JournalError):
    """Parts can't be merged; the message says why."""


@dataclass(frozen=True)
class ReadPart:
    """A part as its files have it; `digest` is of their contents, and `label` tells it from the others."""

    label: str
    digest: str
    plan: Plan
    environment: Environment
    entries: Entries
    summary: Summary | None

    @property
    def name(self) -> str:
        """Return what the part is called in the plan that it is part of, "" where it is a plan of its own."""
        return self.plan.part.name if self.plan.part else ""

    @property
    def whole(self) -> dict[str, str]:
        """Return the labels of all cases of the plan that this is a part of, by id."""
        if self.plan.part:
            return self.plan.part.whole
        return {planned.case.id: planned.case.label for planned in self.plan.cases}

    @property
    def hostname(self) -> str:
        """Return the host that it was made on, "" in runs that did not record it."""
        return str(self.environment.volatile.get("hostname", ""))

    @property
    def board(self) -> str:
        """Return what tells its device from others of the class: a GPU's UUID, or host and cores."""
        volatile = self.environment.volatile
        return str(volatile.get("gpu_uuid") or f"{self.hostname} cores {volatile.get('cores', '')}")

    @property
    def canary_floor(self) -> float | None:
        """Return the undisturbed seconds of its canary, None if none was timed."""
        return canary_floor([visit for visits in self.entries.rounds.values() for visit in visits])

    def reading(self) -> Reading | None:
        """Return what it measured of the bridge, None if it has none or did not come to it."""
        record = self.entries.records.get(self.plan.part.bridge) if self.plan.part else None
        return None if record is None else reading_of(record)

    def unfinished(self) -> list[str]:
        """Return the labels of its own cases that it has no closed record of."""
        return [
            planned.case.label
            for planned in self.plan.cases
            if planned.case.id not in self.entries.records and planned.case.id != self.plan.guest
        ]


def reading_of(record: Record) -> Reading:
    """Take the time of a record, if it has one."""
    low, high = (record.time.interval if record.time else None) or (None, None)
    seconds = record.time.seconds if record.time else None
    return Reading(case=record.case.id, status=record.status, seconds=seconds, low=low, high=high)


def read_parts(paths: Sequence[Path]) -> tuple[list[ReadPart], list[str]]:
    """Read parts, each once, in an order that does not depend on how they are listed, and name those without any.

    The latter were ended before they described their device, or got no curve of the plan. Raises JournalError.
    """
    # `Path.resolve` has no answer for a link to itself, which is then refused as what it is.
    places = sorted({Path(os.path.realpath(path)) for path in paths})
    names = Counter(place.name for place in places)
    labels = {place: place.name if names[place.name] == 1 else f"{place.parent.name}/{place.name}" for place in places}
    found = [(labels[place], _read(place, label=labels[place])) for place in places]
    parts = sorted((part for _, part in found if part is not None), key=_order)
    # A copy of a part is that part.
    by_content = {part.digest: part for part in reversed(parts)}
    return sorted(by_content.values(), key=_order), sorted(label for label, part in found if part is None)


def _order(part: ReadPart) -> tuple[str, str, str]:
    return part.environment.id, part.label, part.digest


def _read(directory: Path, *, label: str) -> ReadPart | None:
    if (directory / journal.MERGED).exists():
        raise MergeError(f"{directory} is merged already: merge the parts that it was made of")
    if directory.is_dir() and not any(directory.iterdir()):
        # Where a plan has fewer curves than parts.
        return None
    plan = journal.read_plan(directory)
    if plan is None:
        raise MergeError(f"{directory} is no part of anything: it has no {journal.PLAN}")
    environment = journal.read_environment(directory)
    if environment is None:
        return None
    entries, summary = journal.read(directory), journal.read_summary(directory)
    # What is read has a size that memory holds.
    digest = _digest(directory)
    return ReadPart(label=label, digest=digest, plan=plan, environment=environment, entries=entries, summary=summary)


def _digest(directory: Path) -> str:
    digest = hashlib.sha256()
    for name in (journal.PLAN, journal.ENVIRONMENT, journal.JOURNAL, journal.SUMMARY):
        path = directory / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return digest.hexdigest()


def differences(parts: Sequence[ReadPart]) -> list[str]:
    """Say what must be the same in all parts and is not: the code, the source of an implementation, the policy."""
    said = []
    code = _by_value([(part, str(part.plan.fingerprint.get("code", ""))) for part in parts])
    if len(code) > 1:
        said.append(f"the code: {_listed(code)}")
    keys = dict.fromkeys(key for part in parts for key in sorted(part.plan.digests))
    for key in sorted(keys):
        sources = _by_value([(part, part.plan.digests[key]) for part in parts if key in part.plan.digests])
        if len(sources) > 1:
            said.append(f"the source of {key}: {_listed(sources)}")
    policies = _by_value([(part, _short(part.plan.policy.model_dump_json())) for part in parts])
    if len(policies) > 1:
        said.append(f"the policy: {_listed(policies)}")
    return said


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _by_value(held: Sequence[tuple[ReadPart, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part, value in held:
        found.setdefault(value, []).append(part.label)
    return found


def _listed(values: dict[str, list[str]]) -> str:
    return "; ".join(f"{value[:16] or 'unknown'} in {', '.join(labels)}" for value, labels in sorted(values.items()))
