"""The numbers below a figure are those that are drawn, and its parts have names of their own."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from reports import units
from reports.figures.figure import ends, numbers, slug, top

TABLE = pd.DataFrame(
    {
        "implementation": ["b", "a", "a", "b", "c"],
        "n": [128.0, 256.0, 64.0, 64.0, 64.0],
        "time_s": [4e-3, 2e-3, 1e-3, 3e-3, math.nan],
    }
)


@pytest.mark.parametrize(("text", "expected"), [("runs/a b", "runs-a-b"), ("n=64", "n-64"), ("größe", "größe")])
def test_a_slug_has_letters_digits_and_hyphens(text, expected):
    assert slug(text) == expected


def test_a_line_ends_at_its_largest_size_whatever_the_order():
    assert ends(TABLE, "n", "time_s") == {"a": (256.0, 2e-3), "b": (128.0, 4e-3)}


def test_numbers_have_a_row_for_each_of_the_table_in_its_order():
    columns, rows = numbers(TABLE.head(2), "n", iter([("time", "time_s", units.seconds), ("size", "n", units.plain)]))
    assert columns == ("implementation", "n", "time", "size")
    assert rows == (("b", "128", "4.00 ms", "128"), ("a", "256", "2.00 ms", "256"))


def test_the_top_row_is_the_largest_that_is_known():
    assert top(TABLE.dropna(), "time_s")["implementation"] == "b"
