"""What every command does with its terminal: say, fail in a line, show tables, note progress, whatever it can show."""

from __future__ import annotations

import codecs
import json
import logging
import math
import os
import sys
from typing import TYPE_CHECKING, Any

import typer

from reports import text
from reports.terminal import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from attnbench.options import Telling
    from reports.terminal.progress import Reporter

USAGE, INTERRUPTED = 2, 130
# What a shell reports of a program whose reader went away: 128 and the number of SIGPIPE.
CLOSED = 141
# Columns of a table where no terminal says how wide it is.
LOG_WIDTH = 170
# What stands for a character that a terminal's encoding lacks; any other is a question mark.
PLAIN = str.maketrans(
    {
        "×": "x", "·": ".", "…": "...", "–": "-", "−": "-", "—": "-", "µ": "u", "±": "+-", "≈": "~", "≤": "<=",  # noqa: RUF001
        "≥": ">=", "→": "->", "°": "deg", "‘": "'", "’": "'", "“": '"', "”": '"', "✓": "+", "✗": "x", "√": "sqrt",  # noqa: RUF001
        "━": "-", "─": "-", "│": "|", "┃": "|", "╸": "-", "╺": "-", "⁻": "-",
        **{superscript: f"^{digit}" for digit, superscript in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)  # fmt: skip


def prepare_streams() -> None:
    """Make standard output and error take any character, and exist."""
    codecs.register_error("attnbench", _in_plain)
    # It warns of a home that it can't write to, and draws all the same.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # A closed descriptor's number would be given to the next file opened, which prints would then fall into.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="attnbench")


def _in_plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "replace").decode(), error.end


def say(line: str = "") -> None:
    """Print text, line by line. Ends the program where its reader has gone away, or the output can't be written."""
    try:
        print(text.lines(line), flush=True)  # noqa: T201
    except BrokenPipeError:
        raise closed() from None
    except OSError as error:
        progress.silence(sys.stdout)
        raise fail(f"standard output: {error.strerror}") from None


def closed() -> typer.Exit:
    """Stop writing to a pipe that nobody reads, and return the exit to raise."""
    progress.silence(sys.stdout)
    return typer.Exit(CLOSED)


def fail(message: str, code: int = USAGE) -> typer.Exit:
    """Print an error on standard error, a line each, and return the exit to raise."""
    try:
        for line in message.splitlines():
            print(f"attnbench: {text.line(line)}", file=sys.stderr)  # noqa: T201
    except OSError:
        progress.silence(sys.stderr)
    return typer.Exit(code)


def warn(message: str) -> None:
    """Print a remark on standard error, which no result is on."""
    print(f"attnbench: {message}", file=sys.stderr)  # noqa: T201


def wide_console() -> Console:
    """Return a console for tables: as wide as the terminal, or as a log may be."""
    from rich.console import Console

    class Output(Console):
        """A console that ends the program as a closed pipe does."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            raise closed()

    console = Output()
    return console if console.is_terminal else Output(width=LOG_WIDTH)


def listener(telling: Telling, *, is_watched: bool = False) -> Reporter:
    """Return what tells of a command's progress: on standard error, or, if `is_watched`, as it fits the terminal.

    Where JSON is printed, nothing else is on standard output; who asks for quiet hears of mistakes alone.
    """
    if telling.quiet:
        return progress.Quiet(progress.Lines(sys.stderr))
    if is_watched and not telling.json:
        return progress.make()
    return progress.Reporter(progress.Lines(sys.stderr))


def announcer(telling: Telling) -> Callable[[str], None]:
    """Return what says how far a command is that measures in this process."""
    return (lambda _: None) if telling.quiet else warn if telling.json else say


def say_json(document: Any) -> None:
    """Print a document as JSON, which has no number that is none."""
    say(json.dumps(_finite(document), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say_empty(reason: str, telling: Telling) -> None:
    """Say that there is nothing to do, and nothing is wrong."""
    if telling.json:
        say_json({"cases": [], "reason": reason})
    else:
        say(reason)
