"""A comparison fits a terminal: the worst first, few columns where it is narrow, and what is left out counted."""

from __future__ import annotations

import pytest
from rich.console import Console

from harness.comparing.results import Mean
from reports.answer.changes import COLUMNS, MEAN_COLUMNS
from reports.terminal.changes import NARROW, ROWS_AT_MOST, WIDE, left_out, means_of, table_of
from tests.support.comparisons import at, changes_of, compared


def slower(n, factor=1.2, implementation="batched"):
    return compared(at(n, implementation), outcome="slower", ratio=factor, low=0.98 * factor, high=1.02 * factor)


def printed(table, *, width=250):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def headings(table):
    return [str(column.header) for column in table.columns]


def test_nothing_that_changed_is_no_table():
    assert table_of(changes_of()) is None
    assert table_of(changes_of(compared(at(64)), compared(at(128), reason="only in NEW"))) is None


def test_no_means_are_no_table():
    assert means_of(changes_of(slower(64))) is None


@pytest.mark.parametrize(("width", "columns"), [(WIDE, COLUMNS), (WIDE - 1, NARROW), (80, NARROW)])
def test_a_narrow_terminal_gets_the_few_columns(width, columns):
    assert headings(table_of(changes_of(slower(64)), width=width)) == list(columns)


def test_the_narrow_columns_hold_what_their_headings_say():
    [_, row] = printed(table_of(changes_of(slower(64)), width=80))
    assert " ".join(row.split()) == "slower batched n 64, d 64, heads 2, batch 1, float32 1.20× 1.18 to 1.22"


def test_rows_stand_worst_first():
    found = changes_of(slower(64, 1.1), slower(128, 1.5), slower(256, 1.3))
    rows = printed(table_of(found))[1:]
    assert [row.split("n ")[1].split(",")[0] for row in rows] == ["128", "256", "64"]


def test_numbers_stand_to_the_right_and_names_to_the_left():
    mean = Mean(scenario="heads", implementation="loop", cases=2, ratio=1.1, low=1.0, high=1.2)
    found = changes_of(slower(64), means=[mean])
    for table in (table_of(found), means_of(found)):
        right = {str(column.header) for column in table.columns if column.justify == "right"}
        assert right == set(headings(table)) & {"base", "new", "ratio", "95 % interval", "cases", "mean ratio"}
    assert headings(means_of(found)) == list(MEAN_COLUMNS)
    assert " ".join(printed(means_of(found))[1].split()) == "heads loop 2 1.10× 1 to 1.2"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (-1, ""),
        (0, ""),
        (1, "1 more changed case: -o page.html or --json shows it"),
        (1200, "1,200 more changed cases: -o page.html or --json shows them"),
    ],
)
def test_rows_beyond_a_bound_are_counted(more, said):
    found = changes_of(*(slower(n) for n in range(1, ROWS_AT_MOST + more + 1)))
    assert table_of(found).row_count == min(ROWS_AT_MOST, ROWS_AT_MOST + more)
    assert left_out(found) == said


def test_what_did_not_change_is_not_counted_as_left_out():
    assert left_out(changes_of(*(compared(at(n)) for n in range(1, ROWS_AT_MOST + 5)))) == ""


def test_names_are_text_and_not_markup_or_orders():
    [_, row] = printed(table_of(changes_of(slower(64, implementation="[red]x\x1b[31m"))))
    assert "[red]x\\x1b[31m" in row
