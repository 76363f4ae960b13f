"""A lesson survives its file, and a file that holds none is refused in a line."""

from __future__ import annotations

import pytest

from harness.lesson import facts as lesson_facts
from harness.results import journal


def test_a_lesson_survives_its_file(facts, tmp_path):
    lesson_facts.write(facts, tmp_path)
    assert lesson_facts.read(tmp_path) == facts


def test_a_directory_without_a_lesson_is_refused(tmp_path):
    with pytest.raises(journal.JournalError, match="holds no lesson"):
        lesson_facts.read(tmp_path)
