"""A file that somebody names -> its text, whatever the file is: bounded in size, one line where it is no text."""

from __future__ import annotations

import codecs
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Forty thousand rows of a table, or the samples of some hundred benchmarks; more would take seconds and memory.
BYTES_AT_MOST = 12 * 2**20


def read_text(file: Path) -> str:
    """Return a file's text, as UTF-8 or as UTF-16 with its mark. Raises ValueError, one line, for any other file."""
    name = printable(file)
    try:
        mode = file.stat().st_mode
        kind = _strange_kind(file, mode)
        if kind:
            raise ValueError(f"can't read {name}: it is {kind}, not a file")
        with file.open("rb") as stream:
            raw = stream.read(BYTES_AT_MOST + 1)
    except OSError as error:
        raise ValueError(f"can't read {name}: {error.strerror or type(error).__name__}") from None
    if len(raw) > BYTES_AT_MOST:
        raise ValueError(f"{name} is larger than {BYTES_AT_MOST // 2**20} MiB, which is the most that is read")
    return _decoded(raw, name=name)


def printable(value: object) -> str:
    """Return a text for a message, on one line, with what no terminal shows escaped."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _strange_kind(file: Path, mode: int) -> str:
    """Name what is no file; a pipe of the shell's <(...) is one, which no path leads to."""
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a named pipe" if file.resolve().exists() else ""
    return "" if stat.S_ISREG(mode) else "a device or a socket"


def _decoded(raw: bytes, *, name: str) -> str:
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        byte = f"byte 0x{raw[error.start]:02x} on line {line}"
        raise ValueError(f"{name} is not a UTF-8 text: {byte} is none; save it as UTF-8") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{name} is not a text: it has a NUL character on line {line}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
