"""Tables of lines -> rows: comma, semicolon, tab, Markdown's bars, or columns set apart by blanks."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from harness.tables.cells import LONGEST, quote, undecorate
from harness.tables.rows import Rows, Value

QUOTING = ",;\t"
DELIMITERS = QUOTING + "|"
BLANKS = " "
# Rows looked at to find the delimiter that cuts them all alike.
LOOKED_AT = 20
COLUMNS_AT_MOST, ROWS_AT_MOST = 1000, 40_000
SHOWN_MISTAKES = 20
# Lines of a file with the blank ones and the comments, and characters of one.
LINES_AT_MOST, LINE_AT_MOST = 200_000, 100_000
RULE_SIGNS = frozenset("|:+=-_ \t")


def read_lines(text: str, *, file: str) -> Rows:
    """Read a table with a header line. Raises ValueError: what is wrong with which lines, a line each.

    Blank lines, comments that begin with #, rules between rows and repeated headers are skipped.
    """
    if text.count("\n") > LINES_AT_MOST:
        raise ValueError(f"{file} has more than {LINES_AT_MOST:,} lines, which is the most that is read")
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if _is_row(line)]
    if not lines:
        raise ValueError(f"{file} is empty")
    long = next((number for number, line in lines if len(line) > LINE_AT_MOST), None)
    if long is not None:
        raise ValueError(f"{file} line {long} is longer than {LINE_AT_MOST:,} characters: it is no row of a table")
    delimiter = _delimiter([line for _, line in lines[: LOOKED_AT + 1]])
    if delimiter in QUOTING:
        cut = _quoted(text, delimiter, start=lines[0][0], file=file)
    else:
        cut = [(number, _fields(line, delimiter)) for number, line in lines[: ROWS_AT_MOST + 2]]
    if not cut:
        raise ValueError(f"{file} is empty")
    columns = _column_names(cut[0][1], file=file)
    return _table(cut, columns, delimiter=delimiter, file=file)


def _is_row(line: str) -> bool:
    """Tell whether a line has cells: it is not blank, no comment and no rule. A column may be headed by a lone #."""
    bare = line.strip()
    if bare == "" or (bare.startswith("#") and bare[1:].lstrip(" ")[:1] not in set(DELIMITERS)):
        return False
    is_rule = "---" in bare or "===" in bare or ("|" in bare and "-" in bare)
    return not (is_rule and set(bare) <= RULE_SIGNS)


def _delimiter(lines: list[str]) -> str:
    """Return what cuts the header and most rows below it into as many fields."""
    best, best_score = "", (0.0, 0)
    for delimiter in DELIMITERS:
        count = len(_fields(lines[0], delimiter))
        if count > 1:
            alike = sum(len(_fields(line, delimiter)) == count for line in lines[1:])
            score = (alike / max(len(lines) - 1, 1), count)
            best, best_score = max((best, best_score), (delimiter, score), key=lambda pair: pair[1])
    if best == "" and any(delimiter in lines[0] for delimiter in DELIMITERS):
        return next(delimiter for delimiter in DELIMITERS if delimiter in lines[0])
    if best == "" and len(lines[0].split()) > 1:
        return BLANKS
    return best or ","


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == BLANKS:
        wide = re.split(r"\s{2,}", line.strip())
        return wide if len(wide) > 1 else line.split()
    if delimiter == "|":
        bare = line.strip()
        bare = bare.removeprefix("|")
        bare = bare.removesuffix("|")
        return [field.strip() for field in bare.split("|")]
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return line.split(delimiter)


def _column_names(header: list[str], *, file: str) -> list[str]:
    if len(header) > COLUMNS_AT_MOST:
        raise ValueError(f"{file} has {len(header)} columns; at most {COLUMNS_AT_MOST} are read")
    # A longer name is none that anybody types, and expressions over it would take seconds.
    bare = (undecorate(name.strip()) if len(name) <= LONGEST else name for name in header)
    columns = [name or f"column {place}" for place, name in enumerate(bare, start=1)]
    doubled = [column for column, count in Counter(columns).items() if count > 1]
    if doubled:
        raise ValueError(f"{file} has two columns {quote(doubled[0])}")
    return columns


def _quoted(text: str, delimiter: str, *, start: int, file: str) -> list[tuple[int, list[str]]]:
    """Cut lines by a delimiter that quotes hide, from line `start` on; a row's number is that of its last line."""
    rest = text.split("\n", maxsplit=start - 1)[-1]
    reader = csv.reader(io.StringIO(rest), delimiter=delimiter, skipinitialspace=True)
    cut: list[tuple[int, list[str]]] = []
    try:
        for fields in reader:
            if any(fields) and _is_row(delimiter.join(fields[:2])):
                cut.append((start + reader.line_num - 1, fields))
            if len(cut) > ROWS_AT_MOST + 1:
                break
    except csv.Error as error:
        raise ValueError(f"{file} line {start + reader.line_num - 1}: {error}") from None
    return cut


def _table(cut: list[tuple[int, list[str]]], columns: list[str], *, delimiter: str, file: str) -> Rows:
    if len(cut) - 1 > ROWS_AT_MOST:
        raise ValueError(f"{file} has more than {ROWS_AT_MOST:,} rows, which is the most that is read")
    header = [field.strip() for field in cut[0][1]]
    rows: list[list[Value]] = []
    places, mistakes, repeated = [], [], 0
    for number, fields in cut[1:]:
        kept = _trimmed(fields, len(columns))
        if len(kept) != len(columns):
            mistakes.append(f"{file} line {number}: {_miscounted(len(kept), len(columns), delimiter)}")
        elif kept == header:
            repeated += 1
        else:
            rows.append([*kept])
            places.append(f"line {number}")
    if mistakes:
        raise ValueError(all_of(mistakes))
    if not rows:
        raise ValueError(f"{file} has a header and no rows")
    notes = [f"{repeated} repeated header{'s are' if repeated > 1 else ' is'} skipped"] if repeated else []
    return Rows(columns=columns, rows=rows, places=places, notes=notes, delimiter=delimiter)


def _trimmed(fields: list[str], wanted: int) -> list[str]:
    """Return a row's fields without the empty ones that spreadsheets add at its end; thousands are another mistake."""
    if len(fields) > wanted + COLUMNS_AT_MOST:
        return fields
    kept = [field.strip() for field in fields]
    while len(kept) > wanted and kept[-1] == "":
        kept.pop()
    return kept


def all_of(mistakes: list[str]) -> str:
    """Return mistakes as lines of one message, with the number of those beyond what anybody reads."""
    more = len(mistakes) - SHOWN_MISTAKES
    return "\n".join([*mistakes[:SHOWN_MISTAKES], *([f"and {more} more such cells"] if more > 0 else [])])


def _miscounted(found: int, wanted: int, delimiter: str) -> str:
    hint = "; a comma inside a number needs quotes around it" if delimiter == "," and found > wanted else ""
    return f"{found} fields, not {wanted} fields as the header has{hint}"
