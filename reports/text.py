"""Text from outside is text in every sink: one function for each, whatever characters a name has."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@")
# What a reader of CSV may take for the end of a row, or refuse.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
# What Markdown, or a page that shows it, would read as more than the character. With square brackets escaped, round
# ones, exclamation marks and number signs within a line are only themselves.
MARKDOWN = re.compile(r"[\\`*_\[\]|~$]")
MARKDOWN_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
# Of the characters below a blank, XML knows these; it has no way to write others, halves of characters among them.
XML_UNKNOWN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def whole(text: str) -> str:
    """Return a text that every encoding of Unicode can write: a half of a character becomes the replacement mark."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def line(text: str) -> str:
    """Return a text for a terminal, in one line: what the terminal would obey is spelt out."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def lines(text: str) -> str:
    """Return a text for a terminal, its own line breaks kept."""
    return "\n".join(line(part) for part in text.split("\n"))


def styled(text: str, style: str = "") -> Text:
    """Return a text for a table or a line of rich, whose brackets it does not read."""
    from rich.text import Text

    return Text(line(text), style=style)


def csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet computes: a text that begins like a formula gets a quotation mark before it."""
    if not isinstance(value, str):
        return value
    text = CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), whole(value))
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def markdown(text: str) -> str:
    """Return a text that neither Markdown nor HTML reads as anything else, in one line."""
    flat = whole(" ".join(text.split()))
    shown = "".join(MARKDOWN_ENTITIES.get(character, character) for character in line(flat))
    marked = MARKDOWN.sub(lambda found: f"\\{found[0]}", shown)
    # Addresses become links by themselves.
    return re.sub(r"(?i)(https?|ftp)://|www\.", lambda found: found[0][:-1] + f"&#{ord(found[0][-1])};", marked)


def xml(text: str) -> str:
    """Return a text without the characters that XML has no way to write."""
    return XML_UNKNOWN.sub("", text)


def json_value(value: Any) -> Any:
    """Return a value that every reader of JSON takes: halves of characters, of keys too, are marks; NaN is null."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {whole(str(name)): json_value(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
