"""Files of a run as they come: read within bounds, and what is wrong with one said in a line per mistake."""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import math
import os
import re
import stat
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from harness.tables.reading import printable

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# A plan of ten thousand cases is some 15 MB, its journal some 150 MB.
DOCUMENT_BYTES, JOURNAL_BYTES, LINE_BYTES = 2**26, 2**30, 2**24
# Objects and lists inside one another; ours nest six deep.
DEPTH_AT_MOST = 32
MISTAKES_AT_MOST, MISTAKE_CHARACTERS = 8, 300
# Where JSON may hold what its parser takes and no report can show: numbers beyond float, no numbers, half characters.
NO_NUMBERS = ("NaN", "Infinity")
HALF = re.compile(r"\\u[dD][89a-fA-F]")
LONG = re.compile(r"\d{300}")
# Of every thirteenth character so many digits stand together where 300 do; no list has its commas at that distance.
LONG_STRIDE, LONG_THINNED = 13, re.compile(r"\d{23}")
# The first is quickly looked for, and met in texts as well; a number of that kind begins where the second says.
LARGE = re.compile(r"[eE]\+?\d{3,}\s*(?:[,\]}]|$)")
LARGE_NUMBER = re.compile(r"(?:^|[:,\[])\s*-?\d[\d.]*[eE]\+?\d{3}")
LONG_NUMBER = 300

Model = TypeVar("Model", bound=BaseModel)


class JournalError(ValueError):
    """A run directory can't be read or written; the message has a line for each mistake."""


class JsonMistakeError(ValueError):
    """A text is no JSON that a run may hold; the message says why."""


def open_regular(path: Path, *, at_most: int) -> io.BufferedReader | None:
    """Open a regular file of at most so many bytes, None if there is none. Raises JournalError."""
    try:
        # A pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return None
        raise JournalError(f"{path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise JournalError(f"{str(path)!r} can't be read: {error}") from None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size <= at_most:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path} has {found.st_size} bytes, and at most {at_most} are read")
    raise JournalError(f"{path} is {'a directory' if stat.S_ISDIR(found.st_mode) else 'no regular file'}")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a file that opens and then can't be read, as on a broken disk, which it is. Raises JournalError."""
    try:
        yield
    except OSError as error:
        raise JournalError(f"{path} can't be read: {error.strerror}") from None


def lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """Yield the lines of a journal with their numbers, None for one that is too long; blank ones are left out.

    Raises JournalError where there is none.
    """
    file = open_regular(path, at_most=JOURNAL_BYTES)
    if file is None:
        raise JournalError(f"{path.parent} is no run directory: it has no {path.name}")
    with file, reading(path):
        number = 0
        while line := file.readline(LINE_BYTES):
            number += 1
            if len(line) == LINE_BYTES and not line.endswith(b"\n"):
                while (rest := file.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield number, None
            elif line.strip():
                yield number, line.decode(errors="replace")


def read_json(text: str) -> JsonValue:
    """Parse JSON in which every number is finite and every text can be written. Raises JsonMistakeError."""
    try:
        if not _is_suspect(text):
            found = json.loads(text)
        else:
            found = _mended(json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite))
        # What opens less often than that nests no deeper, and most lines of a journal do.
        if text.count("{") + text.count("[") > DEPTH_AT_MOST:
            check_depth(found)
    except JsonMistakeError:
        raise
    except RecursionError:
        raise JsonMistakeError(f"nests more than {DEPTH_AT_MOST} deep") from None
    except ValueError as error:
        raise JsonMistakeError(f"is not JSON: {error}") from None
    return found  # type: ignore[no-any-return]  # json.loads gives Any


def _is_suspect(text: str) -> bool:
    return (
        any(word in text for word in NO_NUMBERS)
        or ("\\u" in text and HALF.search(text) is not None)
        or _has_long_number(text)
        or (LARGE.search(text) is not None and LARGE_NUMBER.search(text) is not None)
    )


def _has_long_number(text: str) -> bool:
    """Tell whether 300 digits follow each other, which a look at each digit takes long to tell of a list of numbers."""
    return LONG_THINNED.search(text[::LONG_STRIDE]) is not None and LONG.search(text) is not None


def check_depth(value: JsonValue) -> None:
    """Refuse what nests too deep. Raises JsonMistakeError."""
    level: list[JsonValue] = [value]
    for _ in range(DEPTH_AT_MOST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise JsonMistakeError(f"nests more than {DEPTH_AT_MOST} deep")


def _integer(text: str) -> int:
    if len(text) > LONG_NUMBER:
        raise JsonMistakeError(f"has a number of {len(text)} digits, {text[:12]}…")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonMistakeError(f"has {text[:24]} in the place of a finite number")
    return value


def whole(text: str) -> str:
    """Return a text with halves of characters, which no file or page can hold and names of files may have, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mended(value: Any) -> Any:
    """Return a value with halves of characters replaced."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


def read_document(path: Path) -> dict[str, JsonValue] | None:
    """Read a JSON object, None if the file is missing. Raises JournalError."""
    file = open_regular(path, at_most=DOCUMENT_BYTES)
    if file is None:
        return None
    with file, reading(path):
        content = file.read(DOCUMENT_BYTES + 1)
    try:
        document = read_json(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise JournalError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start}") from None
    except JsonMistakeError as error:
        raise JournalError(f"{path} {error}") from None
    if not isinstance(document, dict):
        raise JournalError(f"{path} holds no JSON object")
    return document


def read_model(model: type[Model], document: object, *, source: str) -> Model:
    """Make a model of what a file holds. Raises JournalError with a line for each mistake."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise JournalError("\n".join(f"{source}: {mistake}" for mistake in mistakes(error, model))) from None
    except (RecursionError, OverflowError) as error:
        raise JournalError(f"{source}: {error}") from None


def mistakes(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """List what is wrong with a document, its place first, in a few lines."""
    found = [_mistake(one["loc"], one["type"], one["msg"], model) for one in error.errors(include_url=False)]
    said = list(dict.fromkeys(found))
    more = len(said) - MISTAKES_AT_MOST
    return said if more <= 0 else [*said[:MISTAKES_AT_MOST], f"and {more} more mistakes"]


def _mistake(place: Sequence[int | str], kind: str, message: str, model: type[BaseModel]) -> str:
    where = brief(".".join(map(str, place)))
    if kind == "missing":
        return f"{where} is missing"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), model.model_fields, n=1) if len(place) == 1 else []
        return f"{where} is no field of it" + (f"; did you mean {near[0]!r}?" if near else "")
    said = message.removeprefix("Value error, ").removeprefix("Input ")
    return brief(f"{where}: {said}" if where else said)


def brief(text: str) -> str:
    """Return a text from a file in one line, without what a terminal would obey."""
    shown = printable(text[:MISTAKE_CHARACTERS])
    return shown if len(text) <= MISTAKE_CHARACTERS else f"{shown}…"
