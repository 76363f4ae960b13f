"""What every command does with its terminal: say, fail in a line, show tables, note progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from reports.terminal.progress import Reporter

USAGE, INTERRUPTED = 2, 130
# Columns of a table where no terminal says how wide it is.
LOG_WIDTH = 170


def say(line: str = "") -> None:
    """Print a line."""
    print(line, flush=True)  # noqa: T201


def fail(message: str, code: int = USAGE) -> typer.Exit:
    """Print an error on standard error, a line each, and return the exit to raise."""
    for line in message.splitlines():
        print(f"attnbench: {line}", file=sys.stderr)  # noqa: T201
    return typer.Exit(code)


def warn(message: str) -> None:
    """Print a remark on standard error, which no result is on."""
    print(f"attnbench: {message}", file=sys.stderr)  # noqa: T201


def wide_console() -> Console:
    """Return a console for tables: as wide as the terminal, or as a log may be."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def quiet() -> Reporter:
    """Return a progress that only notes, on standard error, where no JSON is printed."""
    from reports.terminal.progress import Lines, Reporter

    return Reporter(Lines(sys.stderr))
