"""The lines of the lesson stand for claims of the catalogue, and each finds its own verdict."""

from __future__ import annotations

import fnmatch

import pytest

from reports.lesson.lines import LINES
from scenarios.claims import CLAIMS

BY_ID = {claim.id: [one for one in CLAIMS if one.id == claim.id] for claim in CLAIMS}


def named(lines):
    return pytest.mark.parametrize("line", lines, ids=[line.id for line in lines])


def test_every_claim_has_a_line_and_no_id_occurs_twice():
    assert {line.claim for line in LINES} == set(BY_ID)
    assert len({line.id for line in LINES}) == len(LINES)


@named(LINES)
def test_a_line_is_about_implementations_that_its_claim_is_about(line):
    patterns = [pattern for claim in BY_ID[line.claim] for pattern in claim.about if not pattern.startswith("!")]
    for implementation in line.implementations:
        assert any(fnmatch.fnmatchcase(implementation, pattern) for pattern in patterns)


@named([line for line in LINES if line.axis])
def test_the_axis_of_a_line_is_one_that_its_claim_is_judged_along(line):
    axes = {axis for claim in BY_ID[line.claim] for axis in claim.exponents}
    assert line.axis in axes


@named([line for line in LINES if line.expected is not None])
def test_an_expected_exponent_is_that_of_one_claim(line):
    assert line.expected in {claim.exponents.get(line.axis) for claim in BY_ID[line.claim]}


def test_lines_of_one_claim_differ_in_what_finds_their_verdict():
    keys = [(line.claim, line.axis, line.expected) for line in LINES]
    assert len(set(keys)) == len(keys)


@named(LINES)
def test_sentences_end_as_sentences_do(line):
    for text in (line.arithmetic, line.remark):
        assert text[-1] == "."
        assert "  " not in text
