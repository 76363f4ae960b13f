"""Lines become rows by the delimiter that cuts them alike, and what is no row is skipped or said."""

from __future__ import annotations

import pytest

from harness.tables import delimited
from harness.tables.delimited import all_of, read_lines


def read(*lines):
    return read_lines("\n".join(lines), file="t.csv")


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["n,seconds", "64,1.5"], ","),
        (["n;seconds", "64;1,5"], ";"),
        (["n\tseconds", "64\t1.5"], "\t"),
        (["| n | seconds |", "|---|---:|", "| 64 | 1.5 |"], "|"),
        (["n | seconds", "64 | 1.5"], "|"),
        (["n  seconds", "64  1.5"], " "),
        (["n seconds", "64 1.5"], " "),
    ],
)
def test_the_delimiter_is_what_cuts_the_lines_alike(lines, delimiter):
    found = read(*lines)
    assert found.delimiter == delimiter
    assert found.columns[0] == "n"
    assert found.rows[0][0] == "64"
    assert len(found.rows[0]) == 2


def test_wide_blanks_keep_words_together():
    found = read("name        n    seconds", "flash two   64   1.5")
    assert found.columns == ["name", "n", "seconds"]
    assert found.rows == [["flash two", "64", "1.5"]]


def test_quotes_hide_the_delimiter_and_the_end_of_a_line():
    found = read("impl,n", '"a,b",64', '"two', 'lines",128')
    assert found.rows == [["a,b", "64"], ["two\nlines", "128"]]
    assert found.places == ["line 2", "line 4"]


def test_what_is_no_row_is_skipped():
    found = read(
        "# measured today", "", "n,seconds", "---------", "64,1", "n,seconds", "# more", "128,2", "n,seconds", ""
    )
    assert found.rows == [["64", "1"], ["128", "2"]]
    assert found.places == ["line 5", "line 8"]
    assert found.notes == ["2 repeated headers are skipped"]


def test_a_column_may_be_headed_by_a_hash_or_by_nothing():
    assert read("#,n", "1,64").columns == ["#", "n"]
    assert read(",n", "0,64").columns == ["column 1", "n"]


def test_names_lose_their_decorations():
    assert read("**n**,`seconds`", "64,1").columns == ["n", "seconds"]


def test_empty_cells_at_the_end_of_a_row_are_none():
    assert read("n,seconds", "64,1,,,").rows == [["64", "1"]]
    assert read("n,seconds", "64,").rows == [["64", ""]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["", "# nothing"], r"^t\.csv is empty$"),
        (["n,seconds"], "has a header and no rows"),
        (["n,n", "1,2"], "has two columns 'n'"),
        (["n,seconds", "64"], r"^t\.csv line 2: 1 fields, not 2 fields as the header has$"),
        (["n,ms", "64,0,5"], "line 2: 3 fields, not 2 fields as the header has; a comma inside a number needs quotes"),
        (["n;ms", "64;0;5"], "line 2: 3 fields, not 2 fields as the header has$"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(lines, message):
    with pytest.raises(ValueError, match=message):
        read(*lines)


def test_every_wrong_row_is_named():
    with pytest.raises(ValueError, match="line 2") as caught:
        read("n,seconds", "64", "128,2", "256,3,4")
    assert [line.split(":")[0] for line in str(caught.value).split("\n")] == ["t.csv line 2", "t.csv line 4"]


def test_twenty_mistakes_are_shown_and_the_rest_counted():
    mistakes = [f"line {number}" for number in range(23)]
    assert all_of(mistakes).split("\n") == [*mistakes[:20], "and 3 more such cells"]
    assert all_of(mistakes[:20]).split("\n") == mistakes[:20]


@pytest.mark.parametrize(
    ("limit", "lines", "message"),
    [
        ("ROWS_AT_MOST", ["n,s", *["1,1"] * 4], "more than 3 rows"),
        ("ROWS_AT_MOST", ["n|s", *["1|1"] * 4], "more than 3 rows"),
        ("COLUMNS_AT_MOST", ["a,b,c,d", "1,2,3,4"], "has 4 columns; at most 3 are read"),
        ("LINES_AT_MOST", ["n,s", "", "", "", "1,1"], "more than 3 lines"),
        ("LINE_AT_MOST", ["n,s", "", "1,10"], "line 1 is longer than 2 characters"),
    ],
)
def test_a_table_beyond_what_is_read_is_refused(monkeypatch, limit, lines, message):
    monkeypatch.setattr(delimited, limit, 2 if limit == "LINE_AT_MOST" else 3)
    with pytest.raises(ValueError, match=message):
        read(*lines)


def test_a_table_of_the_most_rows_is_read(monkeypatch):
    monkeypatch.setattr(delimited, "ROWS_AT_MOST", 3)
    assert len(read("n,s", *["1,1"] * 3).rows) == 3
