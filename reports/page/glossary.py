"""The glossary on the page: docs/glossary.md, which a wheel carries beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# Where an installed package has it, and where the repository does.
PLACES = (HERE / "glossary.md", HERE.parents[1] / "docs" / "glossary.md")


@dataclass(frozen=True)
class Part:
    """Words that belong together, each with its meaning."""

    title: str
    words: tuple[tuple[str, str], ...]


def parts() -> list[Part]:
    """Read the parts of the glossary. Raises StopIteration where a broken installation lacks the file."""
    text = next(place for place in PLACES if place.is_file()).read_text(encoding="utf-8")
    found = []
    for part in text.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        rows = [line.strip().strip("|").split("|", 1) for line in body.splitlines() if line.startswith("|")]
        # The first two lines are the table's heading and its rule.
        words = tuple((word.strip(), meaning.strip().replace("`", "")) for word, meaning in rows[2:])
        found.append(Part(title, words))
    return found
