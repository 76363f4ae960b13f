"""Files that commands write beside a run, or where they are told to."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.results.run import Run
    from reports.page.render import Opening


def write_page(runs: Sequence[Run], page: Path, *, opening: Opening | None = None) -> Path:
    """Write runs as one HTML file, with what it opens with; return its path. Raises JournalError if that can't be."""
    from reports.page import render

    with _made(page):
        return render.write(runs, page, opening=opening)


def write_file(content: bytes, path: Path) -> Path:
    """Write a file; return its path. Raises JournalError where that is impossible."""
    with _made(path):
        path.write_bytes(content)
    return path


def check_writable(path: Path) -> None:
    """Refuse a file that can't be written before the work whose result it will hold. Raises JournalError."""
    with _made(path):
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()


@contextlib.contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make the folder of a file, and say which file could not be written."""
    from harness.results.documents import JournalError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise JournalError(f"can't write {path}: {error.strerror or error}") from None
