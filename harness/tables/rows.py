"""What every form of a table is read into: columns by name, a row per measurement, and where each row stands."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from harness.tables.reading import printable

# What a message names of columns.
SHOWN_COLUMNS, SHOWN_NAME = 40, 60

# A list holds the samples of one row.
Value = str | float | list[float] | None


@dataclass(frozen=True)
class Rows:
    """Hold a table as it is written. `places` say where a row stands, for messages: "line 3".

    `delimiter` separated its cells, "" for JSON; `axes` are the columns that may be axes, None for all of them.
    """

    columns: list[str]
    rows: list[list[Value]]
    places: list[str]
    notes: list[str] = field(default_factory=list)
    delimiter: str = ""
    axes: frozenset[str] | None = None

    def index(self, column: str, *, file: str) -> int:
        """Return the place of a column. Raises ValueError for one that is not there, naming those that are."""
        if column in self.columns:
            return self.columns.index(column)
        near = difflib.get_close_matches(column, [name[:SHOWN_NAME] for name in self.columns], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        have = ", ".join(printable(name[:SHOWN_NAME]) for name in self.columns[:SHOWN_COLUMNS])
        raise ValueError(f"no column {column!r} in {file}{hint} have: {have}")


def from_dictionaries(
    rows: list[dict[str, Value]], places: list[str], *, notes: list[str], axes: frozenset[str] | None
) -> Rows:
    """Return rows from dictionaries that need not agree in their keys."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    values = [[row.get(column) for column in columns] for row in rows]
    return Rows(columns=columns, rows=values, places=places, notes=notes, axes=axes)
