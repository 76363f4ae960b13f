"""A comparison for a terminal: what changed, worst first, the means, and what each demand came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.answer import changes as answer
from reports.text import styled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from harness.comparing.results import Changes

# Rows of a terminal's table; the page and the JSON have every case.
ROWS_AT_MOST = 40
# Columns of a terminal that hold every heading; a narrower one gets these.
WIDE = 160
NARROW = ("outcome", "implementation", "point", "ratio", "95 % interval")


def table_of(changes: Changes, *, width: int = WIDE) -> Table | None:
    """Return the cases in which something changed, worst first; None if there is none."""
    rows = answer.rows(changes)
    if not rows:
        return None
    shown = answer.COLUMNS if width >= WIDE else NARROW
    places = [answer.COLUMNS.index(name) for name in shown]
    return _table(shown, [[row.cells[place] for place in places] for row in rows[:ROWS_AT_MOST]])


def means_of(changes: Changes) -> Table | None:
    """Return the geometric means; None if nothing compares."""
    rows = answer.mean_rows(changes)
    return _table(answer.MEAN_COLUMNS, rows) if rows else None


def left_out(changes: Changes) -> str:
    """Say how many changed cases the table leaves out, empty if it has all."""
    more = len(answer.rows(changes)) - ROWS_AT_MOST
    shows = "shows it" if more == 1 else "shows them"
    return f"{units.counted(more, 'more changed case')}: -o page.html or --json {shows}" if more > 0 else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        is_number = name in {"base", "new", "ratio", "95 % interval", "cases", "mean ratio"}
        table.add_column(styled(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(styled(cell) for cell in row))
    return table
