"""Rows become groups: every cell is a cost, left out with a reason, or a mistake that is named with its place."""

from __future__ import annotations

import pytest

from harness.tables.columns import conventions
from harness.tables.delimited import read_lines
from harness.tables.rows import from_dictionaries
from harness.verdicts import groups as module
from harness.verdicts.groups import Choice, group
from harness.verdicts.riding import Ride


def grouped(*lines, x="n", y="seconds", by=(), per="", **words):
    rows = read_lines("\n".join(lines), file="t.csv")
    return group(rows, Choice(x=x, y=y, by=tuple(by), per=per), how=conventions(y=y, **words), file="t.csv")


def test_groups_come_in_order_of_appearance_with_all_samples_of_a_size():
    table, found = grouped("impl,n,seconds", "b,64,1", "a,64,5", "b,64,2", "b,128,3", by=["impl"])
    assert [costs.key for costs in found] == [{"impl": "b"}, {"impl": "a"}]
    assert found[0].samples == {64.0: [1.0, 2.0], 128.0: [3.0]}
    assert table.left_out == [None] * 4


def test_costs_are_exact_until_samples_of_a_size_differ():
    _, (once,) = grouped("n,seconds", "64,1.50", "128,3", "64,1.50")
    assert once.is_exact
    assert [str(number.amount) for number in once.exact.values()] == ["1.50", "3"]
    _, (twice,) = grouped("n,seconds", "64,1.5", "64,1.6")
    assert not twice.is_exact


def test_costs_are_divided_by_another_column_and_exact_no_more():
    _, (found,) = grouped("n,seconds,batch", "64,6,3", "128,8,2", per="batch")
    assert found.samples == {64.0: [2.0], 128.0: [4.0]}
    assert not found.is_exact
    assert Choice(x="n", y="seconds", per="batch").cost == "seconds per batch"


def test_rows_that_are_left_out_say_why_and_only_count():
    table, (found,) = grouped("n,seconds", "64,1", "128,OOM", "-,3", "256,0", "-2,4", "0,5", "512,-3")
    assert found.samples == {64.0: [1.0]}
    assert found.left_out == 6
    assert table.left_out == [
        None,
        ("", "OOM"),
        ("it is no size", "-"),
        ("no cost is zero", "0"),
        ("no size is negative", "-2"),
        ("no size is zero", "0"),
        ("no cost is negative", "-3"),
    ]


def test_a_divisor_that_is_none_is_named():
    table, (found,) = grouped("n,seconds,batch", "64,6,3", "128,8,OOM", "256,8,0", per="batch")
    assert table.left_out[1:] == [("it is no batch", "OOM"), ("no batch is zero", "0")]
    assert found.left_out == 2


def test_samples_of_json_are_costs_without_those_that_are_not_positive():
    rows = from_dictionaries(
        [{"n": 64.0, "seconds": [1.0, 0.0, 2.0]}, {"n": 128.0, "seconds": [0.0, -1.0]}, {"n": 256.0, "seconds": 3.0}],
        ["benchmark 1", "benchmark 2", "benchmark 3"],
        notes=[],
        axes=frozenset({"n"}),
    )
    table, (found,) = group(rows, Choice(x="n", y="seconds"), how=conventions(y="seconds"), file="b.json")
    assert found.samples == {64.0: [1.0, 2.0], 256.0: [3.0]}
    assert not found.is_exact
    assert table.left_out[1] == ("it has no cost", "samples")


def test_every_mistake_is_named_in_order_of_rows():
    with pytest.raises(ValueError, match="neither") as caught:
        grouped("n,seconds", "64,fast", "all,2", "256,1.2.3")
    told = str(caught.value).split("\n")
    assert [line.split(" ")[:5] for line in told] == [
        ["t.csv", "line", "2,", "seconds:", "'fast'"],
        ["t.csv", "line", "3,", "n:", "'all'"],
        ["t.csv", "line", "4,", "seconds:", "'1.2.3'"],
    ]


def test_units_have_to_go_together_within_a_group_alone():
    _, found = grouped("impl,n,cost", "a,64,2 ms", "a,128,4 s", "b,64,2 KB", y="cost", by=["impl"])
    assert [costs.samples for costs in found] == [{64.0: [0.002], 128.0: [4.0]}, {64.0: [2000.0]}]
    with pytest.raises(ValueError, match=r"line 3, cost: '2 KB' has a unit of bytes, where line 2 has a unit of sec"):
        grouped("n,cost", "64,2 ms", "128,2 KB", y="cost")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no column 'secs' in t\.csv"):
        grouped("n,seconds", "64,1", y="secs")


def test_sizes_count_in_what_makes_them_round():
    table, (found,) = grouped("n,seconds", "1k,1", "2k,2", "3k,3")
    assert list(found.samples) == [1024.0, 2048.0, 3072.0]
    assert table.size(1) == 2048.0
    _, (decimal,) = grouped("n,seconds", "1k,1", "10k,2")
    assert list(decimal.samples) == [1000.0, 10000.0]


def test_what_rides_on_the_sizes_of_a_group_is_found_in_that_group():
    lines = [f"{impl},{n},{batch},{n}" for impl, budget in (("a", 4096), ("b", 0)) for n, batch in
             ((64, budget // 64 or 7), (128, budget // 128 or 3), (256, budget // 256 or 5))]  # fmt: skip
    _, found = grouped("impl,n,batch,seconds", *lines, by=["impl"])
    assert found[0].rides == [Ride("batch", "batch = 4096 / n", falls=True)]
    assert found[1].rides == []


def test_columns_and_rows_beyond_a_bound_are_not_searched(monkeypatch):
    lines = ["n,batch,seconds", "64,64,1", "128,32,2", "256,16,3", "512,7,4"]
    assert grouped(*lines)[1][0].rides == []
    monkeypatch.setattr(module, "SEARCHED_ROWS", 3)
    assert [ride.law for ride in grouped(*lines)[1][0].rides] == ["batch = 4096 / n"]
    monkeypatch.setattr(module, "SEARCHED_COLUMNS", 0)
    assert grouped(*lines)[1][0].rides == []


def test_a_whole_number_of_another_column_has_no_unit():
    table, _ = grouped("n,seconds", "1k,1", "2k,2")
    assert [table.whole(value) for value in ("8", "1,024", "2k", "2.5", "3 ms", "OOM", None, [1.0])] == [
        8.0, 1024.0, 2048.0, None, None, None, None, None,
    ]  # fmt: skip


def test_plain_numbers_have_the_unit_that_is_told_and_markers_none():
    _, (found,) = grouped("n,cost", "64,2", "128,4 s", "256,OOM", y="cost", units=["ms"])
    assert found.samples == {64.0: [0.002], 128.0: [4.0]}
