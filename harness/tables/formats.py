"""What a table may come as -> rows: lines with a delimiter, or the JSON of a benchmark tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.tables.benchmarks import read_benchmarks
from harness.tables.delimited import read_lines
from harness.tables.reading import printable, read_text

if TYPE_CHECKING:
    from pathlib import Path

    from harness.tables.rows import Rows

Source = Literal["auto", "csv", "pytest-benchmark", "google-benchmark", "nvbench"]


def read(file: Path, *, source: Source = "auto") -> Rows:
    """Read the rows of a table or of a benchmark's JSON. Raises ValueError, a line per mistake, for any other file."""
    text, name = read_text(file), printable(file)
    if source == "csv" or (source == "auto" and not _is_json(text)):
        return read_lines(text, file=name)
    return read_benchmarks(text, file=name, form=None if source == "auto" else source)


def _is_json(text: str) -> bool:
    """Tell JSON from a table whose first cell is in brackets."""
    start = text[:1000].lstrip()
    return start.startswith("{") or (start.startswith("[") and start[1:].lstrip()[:1] in {"{", "[", '"', "]", ""})
