"""Merging: the parts of a plan become one directory, by their files alone and in whatever order they are named."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.fleet.boards import boards
from harness.fleet.parts import MergeError, ReadPart, differences, read_parts
from harness.fleet.union import Taken, of_environment
from harness.results import journal
from harness.results.merged_file import Duplicate, Group, Merged, MergedPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.records import DataModel, Record

# Names that a warning lists; merged.json has all.
NAMED_AT_MOST = 5
# Of a device's name, as it is in a folder's.
FOLDER_CHARACTERS = 40


@dataclass(frozen=True)
class Merging:
    """What a merge makes: the contents of files by their path in the directory, and its document."""

    merged: Merged
    files: dict[str, str] = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)


def merge(paths: Sequence[Path], *, allow_mixed: bool = False) -> Merging:
    """Merge run directories by environment. Raises JournalError where one can't be read, MergeError.

    Only closed records are taken. Of one case that several parts of an environment closed, one record is: samples are
    never added up. `allow_mixed` merges parts of other code, other sources or another policy all the same.
    """
    parts, empty = read_parts(paths)
    if not parts:
        raise MergeError(f"nothing to merge: {', '.join(empty) or 'no part'} measured nothing")
    mixed = differences(parts)
    if mixed and not allow_mixed:
        raise MergeError(f"the parts differ in {'; and in '.join(mixed)}. --allow-mixed merges them all the same")
    groups: dict[str, list[ReadPart]] = {}
    for part in parts:
        groups.setdefault(part.environment.id, []).append(part)
    taken = {identity: of_environment(of_group) for identity, of_group in groups.items()}
    folders = dict.fromkeys(taken, "") if len(taken) == 1 else {name: _folder(one) for name, one in taken.items()}
    merged = _document(taken, folders, mixed=mixed, empty=empty)
    files = {} if len(taken) == 1 else {journal.MERGED: _text(merged)}
    for identity, one in taken.items():
        place = f"{folders[identity]}/" if folders[identity] else ""
        own = _of_group(merged, folders[identity])
        said = one.files(warnings=warnings(own), is_whole=not own.missing)
        files |= {f"{place}{name}": content for name, content in said.items()}
        files[f"{place}{journal.MERGED}"] = _text(own)
    return Merging(merged, files, tuple(record for one in taken.values() for record in one.records))


def write(merging: Merging, directory: Path) -> None:
    """Write a merge into a new directory, in one step. Raises MergeError where there is one, OSError."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise MergeError(f"{directory} exists already: choose another -o")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{directory.name}.", dir=directory.parent) as folder:
        partial = Path(folder) / directory.name
        for name, content in merging.files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        partial.replace(directory)


def _folder(one: Taken) -> str:
    name = "".join(letter if letter.isalnum() else "-" for letter in one.device_name)[:FOLDER_CHARACTERS]
    return f"{'-'.join(filter(None, name.split('-')))}-{one.environment.id[:8]}"


def _document(taken: dict[str, Taken], folders: dict[str, str], *, mixed: list[str], empty: list[str]) -> Merged:
    labels: dict[str, str] = {}
    for one in taken.values():
        labels |= {name: label for part in one.parts for name, label in part.whole.items() if name not in labels}
    closed = {identity: {record.case.id for record in one.records} for identity, one in taken.items()}
    anywhere = set().union(*closed.values())
    parts = [_part(part, taken[part.environment.id], folders) for one in taken.values() for part in one.parts]
    policy = next(iter(taken.values())).plan.policy.comparison
    return Merged(
        groups=[
            Group(
                folder=folders[identity],
                environment_id=identity,
                device_name=one.device_name,
                cases=len(one.records),
                lacks={name: labels.get(name, name) for name in sorted(anywhere - closed[identity])},
            )
            for identity, one in taken.items()
        ],
        parts=parts,
        duplicates=[found for one in taken.values() for found in one.duplicates],
        missing={name: label for name, label in labels.items() if name not in anywhere},
        boards=boards(parts, policy=policy),
        mixed=mixed,
        empty=empty,
    )


def _part(part: ReadPart, of: Taken, folders: dict[str, str]) -> MergedPart:
    summary = part.summary
    return MergedPart(
        label=part.label,
        name=part.name,
        group=folders[part.environment.id],
        environment_id=part.environment.id,
        device=part.plan.device,
        board=part.board,
        hostname=part.hostname,
        cases=sum(record.part == part.label for record in of.records),
        unfinished=part.unfinished(),
        started=summary.started if summary else part.plan.created,
        ended=summary.ended if summary else "",
        wall_seconds=summary.wall_seconds if summary else None,
        complete=summary is not None and summary.complete,
        canary_floor=part.canary_floor,
        ceilings=part.environment.ceilings,
        bridge=part.reading(),
    )


def _of_group(merged: Merged, folder: str) -> Merged:
    """Return what of the document is about one group, which is said in its folder."""
    labels = {part.label for part in merged.parts if part.group == folder}
    return merged.model_copy(
        update={
            "groups": [group.model_copy(update={"folder": ""}) for group in merged.groups if group.folder == folder],
            "parts": [part.model_copy(update={"group": ""}) for part in merged.parts if part.label in labels],
            "duplicates": [one for one in merged.duplicates if one.kept in labels],
            "boards": [one.model_copy(update={"group": ""}) for one in merged.boards if one.group == folder],
        }
    )


def warnings(merged: Merged) -> list[str]:
    """Say what a reader of the merged records must know: what is missing, doubled or mixed, and boards that are off."""
    said = [f"The parts differ in {difference}." for difference in merged.mixed]
    if merged.empty:
        said.append(f"Parts that measured nothing: {_named(merged.empty)}.")
    if merged.missing:
        said.append(f"{_counted(merged.missing)} of the plan {_have(merged.missing)} no closed record: "
                    f"{_named(merged.missing.values())}.")  # fmt: skip
    said += [
        f"{_counted(group.lacks)} {_have(group.lacks)} a record of other machines of the merge and none of this one: "
        f"{_named(group.lacks.values())}."
        for group in merged.groups
        if group.lacks
    ]
    if merged.duplicates:
        said.append(f"{_counted(merged.duplicates)} {_have(merged.duplicates)} records of several parts, of which one "
                    f"is kept: {_named(_duplicate(one) for one in merged.duplicates)}.")  # fmt: skip
    said += [
        f"{board.board} ({_named(board.parts)}) takes {board.ratio:.3f} times as long for the bridge as "
        f"devices of its class do, more than the {board.noise - 1:.1%} that chance explains."
        for board in merged.boards
        if board.is_off
    ]
    return said


def _duplicate(one: Duplicate) -> str:
    return f"{one.label} of {one.kept}, not {one.left}"


def _counted(cases: Sequence[object] | dict[str, str]) -> str:
    return "1 case" if len(cases) == 1 else f"{len(cases)} cases"


def _have(cases: Sequence[object] | dict[str, str]) -> str:
    return "has" if len(cases) == 1 else "have"


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - NAMED_AT_MOST
    return "; ".join(listed[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _text(document: DataModel) -> str:
    return journal.document_text(document.model_dump(mode="json", by_alias=True))
