"""A column shows its decimal mark, its units and what a thousand is in it."""

from __future__ import annotations

import pytest

from harness.tables.columns import decimal_mark


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
