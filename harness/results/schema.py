"""The version of the files of a run directory: a reader refuses a newer major one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.records import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping


class SchemaMismatchError(ValueError):
    """A file was written by a newer major version of the schema."""


def check_schema(document: Mapping[str, object], *, source: str) -> None:
    """Refuse a newer major version, naming it. Raises SchemaMismatchError."""
    version = str(document.get("schema", ""))[:40]
    try:
        major = int(version.split(".", maxsplit=1)[0])
    except ValueError:
        raise SchemaMismatchError(f"{source} has no schema version that can be read: {version!r}") from None
    ours = int(SCHEMA.split(".", maxsplit=1)[0])
    if major > ours:
        raise SchemaMismatchError(f"{source} has schema {version}; this version reads up to {ours}.x: update attnbench")
