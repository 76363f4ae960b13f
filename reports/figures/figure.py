"""The figure as the page shows it, and what the numbers below it have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports import units

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd


# What axes are called where a reader meets them.
AXIS_WORDS = {
    "n": "tokens n",
    "n_q": "queries n_q",
    "n_k": "keys n_k",
    "d": "features per head d",
    "d_v": "value features per head d_v",
    "heads": "heads",
    "kv_heads": "key-value heads",
    "batch": "batch",
    "width": "width (heads × d)",  # noqa: RUF001
}


@dataclass(frozen=True)
class Figure:
    """A drawing with the words around it.

    `how` says how to read it, `finding` what this run shows, `alt` describes it to who can't see it; `rows` under
    `columns` are the numbers drawn.
    """

    id: str
    title: str
    svg: str
    alt: str
    how: str
    finding: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    wide: bool = False


def slug(text: str) -> str:
    """Return a text as part of an id: what is neither letter nor digit becomes a hyphen."""
    return "".join(character if character.isalnum() else "-" for character in text)


def ends(table: pd.DataFrame, x: str, y: str) -> dict[str, tuple[float, float]]:
    """Return the last drawn point of each implementation's line."""
    found = {}
    for name, rows in table.dropna(subset=[x, y]).groupby("implementation"):
        last = rows.sort_values(x).iloc[-1]
        found[str(name)] = (float(last[x]), float(last[y]))
    return found


def numbers(
    table: pd.DataFrame, x: str, columns: Iterable[tuple[str, str, Any]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Tabulate what a figure draws: implementation, size, then `columns` of (heading, column, writer)."""
    columns = list(columns)
    rows = tuple(
        (str(row["implementation"]), units.plain(row[x]), *(write(row[column]) for _, column, write in columns))
        for row in table.to_dict("records")
    )
    return ("implementation", x, *(heading for heading, _, _ in columns)), rows


def top(table: pd.DataFrame, column: str) -> pd.Series:
    """Return the row with the largest value of a column."""
    return table.sort_values(column).iloc[-1]
