"""What stands where nothing was measured is told from names and numbers."""

from __future__ import annotations

import pytest

from harness.tables.markers import is_bound, is_marker


@pytest.mark.parametrize(
    "text",
    [
        "N/A",
        "  out   of MEMORY on rank 0",
        "OOM (80 GB)",
        "oom-killed",
        "error: invalid argument",
        "Inf",
        "-",
        "...",
        "✗",
    ],
)
def test_a_marker_is_one_in_any_case_and_with_what_follows_its_first_word(text):
    assert is_marker(text)


@pytest.mark.parametrize("text", ["", " ", "—", "?!", "()"])
def test_a_cell_without_a_letter_or_a_digit_is_one(text):
    assert is_marker(text)


@pytest.mark.parametrize("text", ["64", "x1", "nano", "erroneous", "to be", "flash", "infinite loop", "naïve", "no-op"])
def test_a_word_that_only_begins_like_a_marker_is_none(text):
    assert not is_marker(text)


def test_further_markers_are_whole_cells_in_any_case():
    assert is_marker("Ran  Dry", more=["ran dry"])
    assert not is_marker("ran dry twice", more=["ran dry"])
    assert not is_marker("ran dry")
    assert is_marker("9999", more=["9999"])


@pytest.mark.parametrize("text", ["> 3600", ">=3600", "<.5", "≤ 2", "≫1", "< ,5"])
def test_a_sign_before_a_number_is_a_bound(text):
    assert is_bound(text)


@pytest.mark.parametrize("text", ["3600", "<b>3</b>", "=> 3", "> a", "3 > 2", ""])
def test_other_uses_of_the_sign_are_none(text):
    assert not is_bound(text)
