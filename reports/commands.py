"""What `attnbench report` and `attnbench export` do, as plain functions."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.journal import REPORT, JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence


def report(
    runs: Sequence[Path],
    *,
    output: Path | None = None,
    format: Literal["html", "md"] = "html",  # noqa: A002
    open: bool = False,  # noqa: A002
) -> Path | str:
    """Render runs as one HTML file, or as Markdown.

    The HTML goes to `output`, or to report.html in the first run. Markdown goes to `output`, or is returned as text
    where there is none. Returns the path written, or the text. Raises JournalError, which names what is wrong.
    """
    if format == "md":
        from reports.exports.markdown import markdown

        text = markdown(runs)
        if output is None:
            return text
        return _written(output, text.encode())
    from reports.render import render

    target = output if output is not None else Path(runs[0]) / REPORT
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path = render(runs, target)
    except OSError as error:
        raise JournalError(f"can't write {target}: {error.strerror or error}") from None
    if open:
        webbrowser.open(path.resolve().as_uri())
    return path


def export(run: Path, *, to: str, output: Path | None = None) -> Path:
    """Write a run in another tool's format, to `output` or beside the run's files; return the path.

    Raises ValueError for an unknown format, JournalError for no run or an unwritable place, ModuleNotFoundError for
    Parquet without pyarrow.
    """
    from reports.export import SUFFIXES
    from reports.export import export as written

    content = written(run, to=to)
    return _written(output if output is not None else run / f"cases{SUFFIXES[to]}", content)


def _written(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise JournalError(f"can't write {path}: {error.strerror or error}") from None
    return path
