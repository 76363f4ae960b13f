"""Files that commands write beside a run, or where they are told to."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.results.run import Run
    from reports.page.render import Opening


def write_page(runs: Sequence[Run], page: Path, *, opening: Opening | None = None) -> Path:
    """Write runs as one HTML file, with what it opens with; return its path. Raises JournalError if that can't be."""
    from harness.results.journal import REPORT
    from reports.page import render

    target = page / REPORT if page.is_dir() else page
    with _made(target), _in_one_step(target) as place:
        render.write(runs, place, opening=opening)
    return target


def write_file(content: bytes, path: Path) -> Path:
    """Write a file; return its path. Raises JournalError where that is impossible."""
    with _made(path), _in_one_step(path) as place:
        place.write_bytes(content)
    return path


def check_writable(path: Path) -> None:
    """Refuse a file that can't be written before the work whose result it will hold. Raises JournalError."""
    with _made(path):
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()


@contextlib.contextmanager
def _in_one_step(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write it, and put it in place once it is whole: a full disk leaves the old one.

    A device, a pipe or a link is written as it is, and so is a file in a folder that takes no other.
    """
    beside = path.with_name(f".attnbench-{os.getpid()}.part")
    if path.is_symlink() or (path.exists() and not path.is_file()) or not os.access(path.parent, os.W_OK):
        yield path
        return
    try:
        yield beside
        if path.exists():
            shutil.copymode(path, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make the folder of a file, and say which file could not be written."""
    from harness.results.documents import JournalError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise JournalError(f"can't write {path}: {error.strerror or error}") from None
