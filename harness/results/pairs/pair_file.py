"""The contents of pair.json, which makes a folder of two run directories one measurement, both sides taken in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from harness.records import SCHEMA, DataModel, Record
from harness.results.documents import JournalError, read_model
from harness.results.journal import read_document
from harness.results.run import read_run

if TYPE_CHECKING:
    from pathlib import Path

    from harness.results.run import Run

PAIR, COMPARISON = "pair.json", "comparison.json"
Side = Literal["base", "new"]
# The folders of the two sides, each a run directory.
SIDES: tuple[Side, ...] = get_args(Side)


class SideFile(DataModel):
    """A side: the interpreter that ran its workers, and the files that implementations were loaded from."""

    interpreter: str
    impl_files: list[str] = Field(default_factory=list)


class PairFile(DataModel):
    """The contents of pair.json."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    created: str
    command: list[str] = Field(default_factory=list)
    base: SideFile
    new: SideFile

    model_config = Record.model_config


def is_pair(path: Path) -> bool:
    """Tell whether a folder holds two sides that were measured in turn."""
    return (path / PAIR).is_file()


def read_pair(path: Path) -> PairFile:
    """Read pair.json. Raises JournalError, SchemaMismatchError."""
    document = read_document(path / PAIR)
    if document is None:
        raise JournalError(f"{path} holds no two sides of `attnbench ab`")
    return read_model(PairFile, document, source=str(path / PAIR))


def read_sides(path: Path) -> tuple[Run, Run]:
    """Read both sides, the base first, labelled by folder and side. Raises JournalError, SchemaMismatchError."""
    read_pair(path)
    base, new = (read_run(path / side, label=f"{path.resolve().name}/{side}") for side in SIDES)
    return base, new


def expanded(path: Path) -> list[Path]:
    """Return the run directories of a place: both sides of a pair, else the place itself."""
    return [path / side for side in SIDES] if is_pair(path) else [path]
