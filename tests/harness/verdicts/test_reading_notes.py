"""How a table was read is said where it might surprise, and nothing is said of a table that can be read one way."""

from __future__ import annotations

import pytest

from harness.tables.columns import conventions
from harness.tables.delimited import read_lines
from harness.verdicts.groups import Choice, group
from harness.verdicts.reading_notes import notes


def noted(*lines, y="seconds", by=(), units=()):
    rows = read_lines("\n".join(lines), file="t.csv")
    table, _ = group(rows, Choice(x="n", y=y, by=tuple(by)), how=conventions(y=y, units=units), file="t.csv")
    return notes(table)


def test_a_plain_table_has_no_note():
    assert noted("impl,n,seconds", "a,64,1", "a,128,2", by=["impl"]) == []


def test_a_bare_thousand_is_said_with_the_other_reading():
    assert noted("n,seconds", "1k,1", "2k,2") == ["'1k' in n is 1024 (--units k=1000 for the other reading)"]
    assert noted("n,seconds", "1k,1", "10k,2") == ["'1k' in n is 1000 (--units k=1024 for the other reading)"]


def test_units_are_said_and_which_count_in_1000():
    assert noted("n,seconds", "64,1 ms", "128,2 s") == ["seconds is read in seconds from ms, s"]
    (note,) = noted("n,mem", "64,1 KiB", "128,2 MB", y="mem")
    assert note == "mem is read in bytes from KiB, MB; MB counts in 1000 (--units MB=... where it does not)"
    (note,) = noted("n,mem", "64,1 KiB", "128,2 MB", y="mem", units=["MB=1048576"])
    assert note == "mem is read in bytes from KiB, MB"


def test_decimal_commas_and_repeated_headers_are_said():
    found = noted("n;ms", "64;0,5", "n;ms", "128;1,25", y="ms")
    assert found == [
        "1 repeated header is skipped",
        "numbers are read with decimal commas, as in '0,5' (--decimal '.' for points)",
    ]


def test_rows_left_out_are_counted_by_their_cell_with_groups_and_sizes():
    rows = [f"{impl},{n},OOM" for impl in "ab" for n in (512, 1024)]
    assert noted("impl,n,seconds", "a,64,1", *rows, "a,2048,", by=["impl"]) == [
        "4 rows of 'OOM' left out (impl=a at n = 512, 1024; impl=b at n = 512, 1024)",
        "1 row of an empty cell left out (impl=a at n = 2048)",
    ]
    assert noted("n,seconds", "64,1", "-,2", "0,3") == [
        "1 row of '-' left out: it is no size",
        "1 row of '0' left out: no size is zero",
    ]


def test_many_sizes_groups_and_kinds_end_in_a_number():
    (note,) = noted("n,seconds", "64,1", *(f"{n},OOM" for n in range(1, 9)))
    assert note == "8 rows of 'OOM' left out (n = 1, 2, 3, 4, ...)"
    (note,) = noted("impl,n,seconds", "z,64,1", *(f"{impl},8,OOM" for impl in "abcde"), by=["impl"])
    assert note.endswith("impl=c at n = 8; and 2 more groups)")
    found = noted("n,seconds", "64,1", *(f"8,> {n}" for n in range(15)))
    assert (len(found), found[-1]) == (13, "3 more kinds of cells left out")


def test_names_that_differ_within_a_size_may_be_mixed():
    rows = ["a,64,1", "b,64,2", "a,128,3", "b,128,4"]
    assert noted("impl,n,seconds", *rows) == ["rows of one n differ in 'impl'; --by impl judges them apart"]
    assert noted("impl,n,seconds", *rows, by=["impl"]) == []


@pytest.mark.parametrize(
    ("values", "is_mixed"),
    [
        (["16", "128"], True),  # another axis
        (["1", "2"], False),  # repeats that count up
        (["0.531", "0.547"], False),  # measurements
    ],
)
def test_another_axis_in_whole_numbers_is_told_from_repeats_and_measurements(values, is_mixed):
    rows = [f"{value},{n},1" for n in (64, 128, 256, 512) for value in values]
    assert bool(noted("other,n,seconds", *rows)) is is_mixed
