"""Rows know their columns, and one that is asked for in vain is answered with those that are there."""

from __future__ import annotations

import pytest

from harness.tables.rows import SHOWN_COLUMNS, Rows, from_dictionaries


def rows(*columns):
    return Rows(columns=list(columns), rows=[], places=[])


def test_a_column_has_its_place():
    assert rows("n", "seconds").index("seconds", file="t.csv") == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("second", r"^no column 'second' in t\.csv; did you mean 'seconds'\? have: n, seconds$"),
        ("d", r"^no column 'd' in t\.csv; have: n, seconds$"),
    ],
)
def test_an_absent_column_is_answered_with_those_that_are_there(asked, message):
    with pytest.raises(ValueError, match=message):
        rows("n", "seconds").index(asked, file="t.csv")


def test_a_message_names_few_and_short_columns_on_one_line():
    many = rows("a\nb", "x" * 500, *(f"column {place}" for place in range(500)))
    with pytest.raises(ValueError, match="no column") as caught:
        many.index("absent", file="t.csv")
    said = str(caught.value)
    assert "\n" not in said
    assert "'a\\nb'" in said
    assert said.count(", ") == SHOWN_COLUMNS - 1
    assert "x" * 61 not in said


def test_dictionaries_need_not_agree_in_their_keys():
    found = from_dictionaries(
        [{"n": 1.0, "seconds": 2.0}, {"seconds": [3.0, 4.0], "d": "8"}], ["a", "b"], notes=["!"], axes=frozenset({"n"})
    )
    assert found.columns == ["n", "seconds", "d"]
    assert found.rows == [[1.0, 2.0, None], [None, [3.0, 4.0], "8"]]
    assert (found.places, found.notes, found.axes, found.delimiter) == (["a", "b"], ["!"], {"n"}, "")
