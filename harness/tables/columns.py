"""Columns of a table -> numbers in one unit: which decimal mark it has, what a `k` is, which cells are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from harness.tables.cells import LONGEST, Cell, DecimalMark, Number, read_cell
from harness.tables.units import BINARY_THOUSAND, DECIMAL_THOUSAND, NO_UNIT, Unit, explain_unknown, find_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.tables.rows import Value

# Runs of digits with one kind of mark or both: what a cell shows about the table's decimal mark.
MARKED = re.compile(r"[0-9]*(?:[.,][0-9]+)+")
THOUSANDS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
# Lengths that count in 1024 are a small number of powers of two: 4k, 1.5k, 96k.
ODD_PART_AT_MOST = 3
SETTING = re.compile(r"(?P<name>[^=]+)=(?P<value>.+)")


@dataclass(frozen=True)
class Conventions:
    """Hold how cells are read: the decimal mark (None: as the table shows), markers and units that the user names.

    `defined` are factors of units, `plain` the unit of numbers that have none, by column.
    """

    decimal: DecimalMark | None = None
    markers: tuple[str, ...] = ()
    defined: dict[str, Decimal] = field(default_factory=dict)
    plain: dict[str, Unit] = field(default_factory=dict)


def conventions(
    *, y: str, markers: Iterable[str] = (), units: Iterable[str] = (), decimal: str | None = None
) -> Conventions:
    """Return how cells are read, from the command line's words. Raises ValueError, one line, for words it can't use.

    `units` are "ms" for plain numbers of column y, "mem=MiB" for those of another, "KB=1024" for what a unit is.
    """
    if decimal not in {None, ".", ","}:
        raise ValueError(f"--decimal must be '.' or ',', not {decimal!r}")
    defined: dict[str, Decimal] = {}
    named: list[tuple[str, str]] = []
    for text in units:
        found = SETTING.fullmatch(text.strip())
        factor = _factor(found.group("value")) if found else None
        if found is not None and factor is not None:
            defined[found.group("name").strip()] = factor
        else:
            named.append((found.group("name").strip(), found.group("value").strip()) if found else (y, text.strip()))
    plain = {}
    for column, name in named:
        unit = find_unit(name, defined=defined)
        if unit is None or name == "":
            raise ValueError(f"--units {name!r}: {explain_unknown(name)}")
        plain[column] = unit
    mark: DecimalMark | None = "." if decimal == "." else "," if decimal == "," else None
    return Conventions(decimal=mark, markers=tuple(filter(None, markers)), defined=defined, plain=plain)


def _factor(text: str) -> Decimal | None:
    try:
        factor = Decimal(text.strip())
    except InvalidOperation:
        return None
    return factor if factor.is_finite() and Decimal("1e-100") < factor < Decimal("1e100") else None


def decimal_mark(texts: Iterable[str], *, delimiter: str) -> tuple[DecimalMark, str]:
    """Return the decimal mark that a table's cells show, and a note where it is a comma; a tie goes by the delimiter.

    `0,0296` can only have a decimal comma and `12.5` only a point; `1.024` may have either. A semicolon between cells
    is there because commas are in them.
    """
    shows: dict[DecimalMark, int] = {".": 0, ",": 0}
    example, unclear = "", ""
    for text in texts:
        for found in MARKED.findall(text) if len(text) <= LONGEST else ():
            mark = _shown_mark(found)
            if mark is None:
                unclear = unclear or found
                continue
            shows[mark] += 1
            example = example or (found if mark == "," else "")
    if shows["."] == shows[","]:
        is_comma = delimiter == ";" and (shows[","] > 0 or unclear != "")
    else:
        is_comma = shows[","] > shows["."]
    if not is_comma:
        return ".", ""
    return ",", f"numbers are read with decimal commas, as in {example or unclear!r} (--decimal '.' for points)"


def _shown_mark(text: str) -> DecimalMark | None:
    """Return the decimal mark that a number shows by itself; None if it may be either."""
    dots, commas = text.count("."), text.count(",")
    if dots and commas:
        return "." if text.rindex(".") > text.rindex(",") else ","
    if dots + commas > 1:
        return "," if dots else "."
    if THOUSANDS.fullmatch(text):
        return None
    return "." if dots else ","


def read_cells(values: Sequence[Value], *, how: Conventions, decimal: DecimalMark) -> list[Cell | list[float]]:
    """Read a column; samples stay what they are."""
    known: dict[str, Cell] = {}
    cells: list[Cell | list[float]] = []
    for value in values:
        if isinstance(value, list):
            cells.append(value)
            continue
        text = "" if value is None else str(value)
        # Numbers of JSON have a point whatever the texts beside them have.
        mark: DecimalMark = decimal if isinstance(value, str) else "."
        if text not in known:
            known[text] = read_cell(text, decimal=mark, markers=how.markers, units=how.defined)
        cells.append(known[text])
    return cells


def thousand(cells: Iterable[Cell | list[float]]) -> int:
    """Return what a bare k is in a column of sizes: 1024 where all sizes are then small multiples of powers of two."""
    sizes = {(cell.amount, cell.unit.thousands) for cell in cells if isinstance(cell, Number) and cell.amount > 0}
    if not any(thousands for _, thousands in sizes):
        return DECIMAL_THOUSAND
    binary = (amount * Decimal(BINARY_THOUSAND) ** thousands for amount, thousands in sizes)
    return BINARY_THOUSAND if all(map(_is_round_in_binary, binary)) else DECIMAL_THOUSAND


def _is_round_in_binary(size: Decimal) -> bool:
    if size >= Decimal(2) ** 63 or size != int(size):
        return False
    odd = int(size)
    while odd % 2 == 0 and odd > 0:
        odd //= 2
    return odd <= ODD_PART_AT_MOST


def with_plain_unit(cell: Number, unit: Unit | None) -> Number:
    """Return a number in the unit that plain ones of its column are said to have."""
    return cell if unit is None or cell.unit != NO_UNIT else Number(cell.amount, unit)


def unit_mistakes(numbers: Sequence[tuple[int, Number]], *, places: Sequence[str]) -> list[tuple[int, str]]:
    """Return the numbers of one group whose unit goes with none of the others', as (row, reason).

    Zero needs no unit. Most of the numbers have the right one.
    """
    dimensions: dict[str, list[int]] = {}
    for row, number in numbers:
        if number.amount != 0:
            dimensions.setdefault(number.unit.dimension, []).append(row)
    if len(dimensions) < 2:  # noqa: PLR2004
        return []
    usual = max(dimensions, key=lambda dimension: (len(dimensions[dimension]), dimension != ""))
    there = f"{places[dimensions[usual][0]]} has {_in_words(usual)}"
    mistakes = []
    for row, number in numbers:
        if number.amount != 0 and number.unit.dimension != usual:
            advice = "; --units says what plain numbers are in" if "" in {number.unit.dimension, usual} else ""
            mistakes.append((row, f"has {_in_words(number.unit.dimension)}, where {there}{advice}"))
    return mistakes


def _in_words(dimension: str) -> str:
    return f"a unit of {dimension}" if dimension else "no unit"
