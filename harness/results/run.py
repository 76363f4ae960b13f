"""A run directory, read once: everything that its files say, as models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.results import journal
from harness.results.closing import provisional
from harness.results.documents import JournalError, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.records import Case, Environment, Record, Round
    from harness.results.merged_file import Merged
    from harness.results.plan_file import Plan
    from harness.results.summary_file import Summary
    from harness.results.verdicts_file import Verdict

# Stands in the place of a status for a planned case without a record.
NOT_RUN = "not run"


@dataclass(frozen=True)
class Run:
    """Hold everything a run directory says. `torn` counts journal lines that can't be read, `damages` tells of each.

    `merged` is there where it was merged of parts.
    `records` has those of closed cases, and provisional ones of cases that have rounds but never closed. `waiting` has
    the planned cases without one: the case, what stands for its status, and the reason. `rounds` has the visits to each
    case by its id; a directory of records alone has none.
    """

    path: Path
    label: str
    records: tuple[Record, ...]
    waiting: tuple[tuple[Case, str, str], ...]
    plan: Plan | None
    environment: Environment | None
    summary: Summary | None
    verdicts: tuple[Verdict, ...]
    judged: bool
    torn: int
    rounds: Mapping[str, Sequence[Round]]
    damages: tuple[str, ...] = ()
    merged: Merged | None = None

    @cached_property
    def by_id(self) -> dict[str, Record]:
        """Return records by case id."""
        return {record.case.id: record for record in self.records}


def read_run(path: str | Path, *, label: str | None = None) -> Run:
    """Read a run directory, or one merged of parts of one machine. Raises JournalError, SchemaMismatchError."""
    directory = Path(path)
    merged = of_one_machine(directory)
    entries = journal.read(directory)
    plan = journal.read_plan(directory)
    environment = journal.read_environment(directory)
    verdicts = journal.read_verdicts(directory)
    records = list(entries.records.values())
    if plan is not None:
        records += provisional(
            plan,
            closed=entries.records,
            prepared=entries.prepared,
            rounds=entries.rounds,
            environment=environment,
        )
    return Run(
        path=directory,
        label=whole(label or directory.resolve().name),
        records=tuple(records),
        waiting=tuple(_waiting(plan, records, entries.rounds)) if plan else (),
        plan=plan,
        environment=environment,
        summary=journal.read_summary(directory),
        verdicts=tuple(verdicts.verdicts) if verdicts else (),
        judged=verdicts is not None,
        torn=entries.torn,
        rounds=entries.rounds,
        damages=tuple(entries.damages),
        merged=merged,
    )


def of_one_machine(directory: Path) -> Merged | None:
    """Return what a directory was merged of, None if of nothing. Raises JournalError where it has several machines."""
    merged = journal.read_merged(directory)
    if folders := _folders(merged):
        raise JournalError(f"{directory} holds runs of {len(folders)} machines: name one of {', '.join(folders)} in it")
    return merged


def _folders(merged: Merged | None) -> list[str]:
    """List the folders of a merged directory that has one for each of its machines."""
    return [group.folder for group in merged.groups if group.folder] if merged else []


def _waiting(
    plan: Plan, records: Sequence[Record], rounds: Mapping[str, Sequence[Round]]
) -> Iterator[tuple[Case, str, str]]:
    """Yield the planned cases without a record, each with what stands for its status, and the reason."""
    recorded = {record.case.id for record in records}
    for planned in plan.cases:
        if planned.case.id in recorded:
            continue
        if planned.skip:
            yield planned.case, planned.skip, planned.reason
        else:
            visits = len(rounds.get(planned.case.id, ()))
            reason = "the run ended before this case" if not visits else f"the run ended after {visits} of its rounds"
            yield planned.case, NOT_RUN, reason


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Read several runs, with labels that tell them apart; of a merged directory each of its machines."""
    found = [place for path in paths for place in places(Path(path))]
    names = [place.resolve().name for place in found]
    return [
        read_run(place, label=name if names.count(name) == 1 else f"{place.resolve().parent.name}/{name}")
        for place, name in zip(found, names, strict=True)
    ]


def places(directory: Path) -> list[Path]:
    """List the run directories that one stands for: those of each machine where several were merged, else itself.

    Raises JournalError, SchemaMismatchError.
    """
    return [directory / folder for folder in _folders(journal.read_merged(directory))] or [directory]
