"""The page carries docs/glossary.md: its parts, and every word with its meaning."""

from __future__ import annotations

from reports.page.glossary import parts


def test_the_glossary_has_its_parts_and_words():
    found = {part.title: dict(part.words) for part in parts()}
    assert list(found) == ["What is measured", "How it is measured", "How it is judged"]
    assert found["How it is judged"]["floor"] == "The fixed cost in a fitted law."
    assert all(meaning for part in found.values() for meaning in part.values())
    assert "word" not in found["What is measured"]
