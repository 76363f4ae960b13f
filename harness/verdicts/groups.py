"""Rows of a table -> groups of sizes with their costs; all cells that can be neither number nor marker are named."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.tables.cells import Marker, Mistake, Number, quote, read_cell
from harness.tables.columns import decimal_mark, read_cells, thousand, unit_mistakes, with_plain_unit
from harness.tables.delimited import all_of
from harness.verdicts.riding import Ride, find_ride

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.tables.cells import Cell, DecimalMark
    from harness.tables.columns import Conventions
    from harness.tables.rows import Rows, Value

Key = tuple[str | float, ...]

# Beyond these, other columns are not searched for what rides or differs: advice is not worth seconds.
SEARCHED_COLUMNS, SEARCHED_ROWS = 50, 2000


@dataclass
class Costs:
    """Hold one group's costs by size, all samples of each; `exact` has costs as they are written, one per size.

    `left_out` counts the group's rows without a size or a cost.
    """

    key: dict[str, str | float]
    samples: dict[float, list[float]] = field(default_factory=dict)
    exact: dict[float, Number] = field(default_factory=dict)
    is_exact: bool = True
    left_out: int = 0
    rides: list[Ride] = field(default_factory=list)

    def add(self, size: float, costs: Sequence[float], exact: Number | None) -> None:
        """Add a row's costs. Samples of a size that differ, or that are no written numbers, are not exact."""
        self.samples.setdefault(size, []).extend(costs)
        self.is_exact = self.is_exact and exact is not None and self.exact.setdefault(size, exact) == exact


@dataclass(frozen=True)
class Choice:
    """Hold which columns are sizes, costs and groups; costs are divided by column `per`, "" for none."""

    x: str
    y: str
    by: tuple[str, ...] = ()
    per: str = ""

    @property
    def judged(self) -> tuple[str, ...]:
        """Return the columns that have to hold numbers."""
        return (self.x, self.y, self.per) if self.per else (self.x, self.y)

    @property
    def cost(self) -> str:
        """Return what is judged, in words."""
        return f"{self.y} per {self.per}" if self.per else self.y


class Table:
    """Hold the cells of the columns that are judged, each read once."""

    def __init__(self, rows: Rows, choice: Choice, *, how: Conventions, file: str) -> None:
        """Read the cells. Raises ValueError for a column that is not there."""
        self.rows, self.choice, self.how = rows, choice, how
        self.place = {name: rows.index(name, file=file) for name in (*choice.judged, *choice.by)}
        values = {name: [row[self.place[name]] for row in rows.rows] for name in choice.judged}
        texts = (value for column in values.values() for value in column if isinstance(value, str))
        shown, note = decimal_mark(texts, delimiter=rows.delimiter)
        self.mark: DecimalMark = how.decimal or shown
        self.mark_note = "" if how.decimal else note
        self.cells = {
            name: [
                with_plain_unit(cell, how.plain.get(name)) if isinstance(cell, Number) else cell
                for cell in read_cells(column, how=how, decimal=self.mark)
            ]
            for name, column in values.items()
        }
        self.thousand = thousand(self.cells[choice.x])
        self.keys: list[Key] = [tuple(_key(row[self.place[name]]) for name in choice.by) for row in rows.rows]
        self.left_out = [self._why_left_out(number) for number in range(len(rows.rows))]

    def mistakes(self) -> list[str]:
        """Return what is wrong with which cells, in the order of rows; units of a group have to go together."""
        found = [
            (number, name, cell.reason)
            for name, column in self.cells.items()
            for number, cell in enumerate(column)
            if isinstance(cell, Mistake)
        ]
        for name, column in self.cells.items():
            if len({cell.unit.dimension for cell in column if isinstance(cell, Number)}) < 2:  # noqa: PLR2004
                continue
            by_key: dict[Key, list[tuple[int, Number]]] = {}
            for number, cell in enumerate(column):
                if isinstance(cell, Number):
                    by_key.setdefault(self.keys[number], []).append((number, cell))
            for numbers in by_key.values():
                found += [(row, name, reason) for row, reason in unit_mistakes(numbers, places=self.rows.places)]
        found.sort(key=lambda mistake: mistake[0])
        return [
            f"{self.rows.places[row]}, {name}: {quote(self.text(row, name))} {reason}" for row, name, reason in found
        ]

    def groups(self) -> list[Costs]:
        """Return each group's costs, in order of appearance; rows that are left out only count."""
        found: dict[Key, Costs] = {}
        kept: dict[Key, list[int]] = {}
        for number, key in enumerate(self.keys):
            costs = found.setdefault(key, Costs(dict(zip(self.choice.by, key, strict=True))))
            if self.left_out[number] is not None:
                costs.left_out += 1
                continue
            kept.setdefault(key, []).append(number)
            size, divisor = self.size(number), self._divisor(number)
            cost = self.cells[self.choice.y][number]
            if isinstance(cost, list):
                costs.add(size, [sample / divisor for sample in cost if sample > 0.0], None)
            elif isinstance(cost, Number):
                costs.add(size, [cost.value() / divisor], None if self.choice.per else cost)
        for key, numbers in kept.items():
            found[key].rides = self._rides(numbers)
        return list(found.values())

    def size(self, number: int) -> float:
        """Return a row's size; 0 if it has none."""
        cell = self.cells[self.choice.x][number]
        return cell.value(thousand=self.thousand) if isinstance(cell, Number) else 0.0

    def text(self, number: int, name: str) -> str:
        """Return a cell as it is written."""
        value = self.rows.rows[number][self.place[name]]
        return "" if value is None else str(value)

    def whole(self, value: Value) -> float | None:
        """Return a cell of another column as a whole number without a unit; None for any other."""
        cell = None if value is None or isinstance(value, list) else _plain(str(value), self.mark)
        if not isinstance(cell, Number) or cell.unit.dimension:
            return None
        number = cell.value(thousand=self.thousand)
        return number if number.is_integer() else None

    def other_columns(self) -> list[tuple[int, str]]:
        """Return places and names of columns that are neither judged nor grouped by."""
        used = {*self.choice.judged, *self.choice.by}
        return [(place, name) for place, name in enumerate(self.rows.columns) if name not in used][:SEARCHED_COLUMNS]

    def _divisor(self, number: int) -> float:
        cell = self.cells[self.choice.per][number] if self.choice.per else None
        return cell.value(thousand=self.thousand) if isinstance(cell, Number) else 1.0

    def _why_left_out(self, number: int) -> tuple[str, str] | None:
        """Return why a row is left out, with the cell that says so; None for a row with a positive size and cost."""
        for name, cells in self.cells.items():
            cell = cells[number]
            thing = "size" if name == self.choice.x else "cost" if name == self.choice.y else name
            if isinstance(cell, Marker):
                return ("" if thing == "cost" else f"it is no {thing}"), cell.text
            if isinstance(cell, Number) and cell.amount <= 0:
                return f"no {thing} is {'negative' if cell.amount < 0 else 'zero'}", self.text(number, name)
            if isinstance(cell, list) and (name != self.choice.y or not any(sample > 0.0 for sample in cell)):
                return f"it has no {thing}", "samples"
        return None

    def _rides(self, numbers: Sequence[int]) -> list[Ride]:
        """Return the columns that ride on the sizes of a group."""
        few = numbers[:SEARCHED_ROWS]
        sizes = [self.size(number) for number in few]
        found = []
        for place, name in self.other_columns():
            if self.rows.axes is None or name in self.rows.axes:
                values = self._wholes(place, few)
                ride = find_ride(name, values, sizes, x=self.choice.x)
                found += [ride] if ride else []
        return found

    def _wholes(self, place: int, numbers: Sequence[int]) -> Iterator[float | None]:
        return (self.whole(self.rows.rows[number][place]) for number in numbers)


def group(rows: Rows, choice: Choice, *, how: Conventions, file: str) -> tuple[Table, list[Costs]]:
    """Group the rows. Raises ValueError with all cells that can be neither numbers nor markers, a line each."""
    table = Table(rows, choice, how=how, file=file)
    mistakes = [f"{file} {mistake}" for mistake in table.mistakes()]
    if mistakes:
        raise ValueError(all_of(mistakes))
    return table, table.groups()


def _key(value: Value) -> str | float:
    return "" if value is None or isinstance(value, list) else value


@functools.lru_cache(maxsize=4096)
def _plain(text: str, mark: DecimalMark) -> Cell:
    return read_cell(text, decimal=mark)
