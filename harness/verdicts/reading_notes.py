"""How a table was read, in sentences: its marks and units, what was left out and where, what may be mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.tables.cells import Mistake, Number, quote, read_cell
from harness.tables.reading import printable
from harness.tables.units import BINARY_THOUSAND, DECIMAL_THOUSAND
from harness.verdicts.groups import SEARCHED_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.verdicts.groups import Key, Table

# Sizes, groups and kinds of cells that notes name before they end in a number.
SHOWN_SIZES, SHOWN_GROUPS, SHOWN_KINDS = 4, 3, 12
# Names that are also used for powers of 1024.
OFTEN_BINARY = frozenset({"KB", "kB", "MB", "GB", "TB"})


def notes(table: Table) -> list[str]:
    """Return notes on how a table was read."""
    read = [*table.rows.notes, table.mark_note, _thousand(table), _units(table, table.choice.x)]
    return [note for note in (*read, _units(table, table.choice.y), *_left_out(table), *_mixed(table)) if note]


def _thousand(table: Table) -> str:
    cells = table.cells[table.choice.x]
    bare = next((n for n, cell in enumerate(cells) if isinstance(cell, Number) and cell.unit.thousands), None)
    if bare is None:
        return ""
    other = DECIMAL_THOUSAND if table.thousand == BINARY_THOUSAND else BINARY_THOUSAND
    text, name = table.text(bare, table.choice.x), table.choice.x
    return f"{quote(text)} in {name} is {table.size(bare):g} (--units k={other} for the other reading)"


def _units(table: Table, name: str) -> str:
    units = [cell.unit for cell in table.cells[name] if isinstance(cell, Number) and cell.unit.dimension]
    if not units:
        return ""
    names = list(dict.fromkeys(unit.name for unit in units))
    dimensions = list(dict.fromkeys(unit.dimension for unit in units))
    decimal = next((unit for unit in names if unit in OFTEN_BINARY and unit not in table.how.defined), "")
    hint = f"; {decimal} counts in 1000 (--units {decimal}=... where it does not)" if decimal else ""
    return f"{name} is read in {' and '.join(dimensions)} from {', '.join(names[:6])}{hint}"


def _left_out(table: Table) -> list[str]:
    """Count and quote the cells that made rows be left out, with the groups and sizes."""
    left: dict[tuple[str, str], list[int]] = {}
    for number, why in enumerate(table.left_out):
        if why is not None:
            left.setdefault(why, []).append(number)
    found = []
    for (reason, text), numbers in list(left.items())[:SHOWN_KINDS]:
        rows = "1 row" if len(numbers) == 1 else f"{len(numbers)} rows"
        cell = quote(text) if text else "an empty cell"
        found.append(f"{rows} of {cell} left out{_where(table, numbers)}{': ' if reason else ''}{reason}")
    more = len(left) - SHOWN_KINDS
    return [*found, f"{more} more kinds of cells left out" if more > 0 else ""]


def _where(table: Table, numbers: Sequence[int]) -> str:
    """Name groups and sizes of rows that were left out."""
    places: dict[Key, list[str]] = {}
    for number in numbers:
        sizes = places.setdefault(table.keys[number], [])
        if table.size(number) > 0.0:
            sizes.append(f"{table.size(number):.10g}")
    shown = []
    for key, sizes in list(places.items())[:SHOWN_GROUPS]:
        name = ", ".join(f"{column}={printable(value)}" for column, value in zip(table.choice.by, key, strict=True))
        dots = ", ..." if len(sizes) > SHOWN_SIZES else ""
        at = f"{table.choice.x} = {', '.join(sizes[:SHOWN_SIZES])}{dots}" if sizes else ""
        shown.append(" at ".join(part for part in (name, at) if part))
    more = len(places) - SHOWN_GROUPS
    text = "; ".join(part for part in shown if part) + (f"; and {more} more groups" if more > 0 else "")
    return f" ({text})" if text else ""


def _mixed(table: Table) -> list[str]:
    """Name columns that differ within a size of a group: rows of different things may be mixed."""
    numbers = [number for number in range(min(len(table.keys), SEARCHED_ROWS)) if table.left_out[number] is None]
    places = [(table.size(number), table.keys[number]) for number in numbers]
    found = []
    for index, column in table.other_columns():
        values = [table.rows.rows[number][index] for number in numbers]
        texts = [None if value is None or isinstance(value, list) else str(value) for value in values]
        seen: dict[tuple[float, Key], set[str]] = {}
        for place, text in zip(places, texts, strict=True):
            seen.setdefault(place, set()).update([] if text is None else [text])
        if any(len(kinds) > 1 for kinds in seen.values()) and _names_things(table, [t for t in texts if t is not None]):
            found.append(f"rows of one {table.choice.x} differ in {column!r}; --by {column} judges them apart")
    return found


def _names_things(table: Table, texts: Sequence[str]) -> bool:
    """Tell names, or another axis in whole numbers, from measurements and from repeats that count up."""
    distinct = set(texts)
    if any(isinstance(read_cell(text, decimal=table.mark), Mistake) for text in distinct):
        return True
    whole = {table.whole(text) for text in distinct}
    if table.rows.axes is not None or None in whole or 2 * len(distinct) > len(texts):
        return False
    return not whole <= {float(count) for count in range(len(distinct) + 1)}
