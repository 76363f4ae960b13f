"""A column shows its decimal mark, its units and what a thousand is in it."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from harness.tables.cells import Marker
from harness.tables.columns import conventions, decimal_mark, read_cells, thousand, unit_mistakes, with_plain_unit
from harness.tables.units import find_unit


@pytest.mark.parametrize(
    ("texts", "delimiter", "mark"),
    [
        (["0,0296", "64"], ";", ","),
        (["0.0296", "64"], ";", "."),
        (["1.024", "64"], ";", ","),
        (["1.024", "64"], ",", "."),
        (["8,192", "64"], ",", "."),
        (["8,192", "64"], "\t", "."),
        (["8,192", "64"], ";", ","),
        (["0,5", "64"], ",", ","),
        (["1.024,5"], ",", ","),
        (["1,024.5"], ";", "."),
        (["1.024.000", "1.024"], "\t", ","),
        (["64", "OOM"], ";", "."),
    ],
)
def test_the_decimal_mark_is_what_the_cells_show(texts, delimiter, mark):
    assert decimal_mark(texts, delimiter=delimiter)[0] == mark


def test_a_decimal_comma_is_noted_with_an_example():
    mark, note = decimal_mark(["64", "0,0296", "0,5"], delimiter=";")
    assert (mark, note) == (",", "numbers are read with decimal commas, as in '0,0296' (--decimal '.' for points)")
    assert decimal_mark(["0.5"], delimiter=";") == (".", "")


def test_units_are_of_the_column_of_costs_unless_another_is_named():
    how = conventions(y="cost", units=["ms", "mem=MiB", "lap = 42", "size=lap"], markers=["", "9999"], decimal=",")
    assert {name: unit.name for name, unit in how.plain.items()} == {"cost": "ms", "mem": "MiB", "size": "lap"}
    assert how.defined == {"lap": Decimal(42)}
    assert (how.markers, how.decimal) == (("9999",), ",")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": ["parsec"]}, "--units 'parsec': 'parsec' is no unit"),
        ({"units": ["mem=m"]}, "--units 'm': the unit 'm' may be min, milli or M"),
        ({"units": [""]}, "--units ''"),
        ({"units": ["x=inf"]}, "--units 'inf'"),
        ({"decimal": ";"}, "--decimal must be '.' or ',', not ';'"),
    ],
)
def test_words_that_say_nothing_are_refused_in_a_line(options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        conventions(y="cost", **options)
    assert "\n" not in str(caught.value)


def test_samples_stay_and_numbers_of_json_have_points():
    cells = read_cells([[1.0, 2.0], 0.5, "0,5", None, "OOM"], how=conventions(y="s"), decimal=",")
    assert cells[0] == [1.0, 2.0]
    assert [cell.value() for cell in cells[1:3]] == [0.5, 0.5]
    assert [type(cell) for cell in cells[3:]] == [Marker, Marker]


@pytest.mark.parametrize(
    ("sizes", "counts_by"),
    [
        (["512", "1k", "1.5k", "64k"], 1024),
        (["500", "1k", "2k"], 1000),
        (["1k", "2k", "10k"], 1000),
        (["1024", "2048"], 1000),
        (["OOM"], 1000),
        (["8E20k"], 1000),
    ],
)
def test_a_thousand_is_1024_where_that_makes_all_sizes_round(sizes, counts_by):
    assert thousand(read_cells(sizes, how=conventions(y="s"), decimal=".")) == counts_by


def test_a_plain_number_has_the_unit_that_is_told_and_another_keeps_its_own():
    seconds, plain = read_cells(["2 s", "2"], how=conventions(y="s"), decimal=".")
    milliseconds = find_unit("ms")
    assert with_plain_unit(plain, milliseconds).value() == 0.002
    assert with_plain_unit(seconds, milliseconds).value() == 2.0
    assert with_plain_unit(plain, None) is plain


def test_the_odd_unit_of_a_group_is_named_beside_the_usual_one():
    cells = read_cells(["2 ms", "4 ms", "8", "0", "1 KB"], how=conventions(y="s"), decimal=".")
    places = [f"line {number}" for number in range(2, 7)]
    assert unit_mistakes(list(enumerate(cells)), places=places) == [
        (2, "has no unit, where line 2 has a unit of seconds; --units says what plain numbers are in"),
        (4, "has a unit of bytes, where line 2 has a unit of seconds"),
    ]
    assert unit_mistakes(list(enumerate(cells[:2])), places=places) == []
