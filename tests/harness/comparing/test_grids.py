"""Cases as grids come back as they were, nothing is said twice, and columns that don't fit are refused."""

from __future__ import annotations

import json

import pytest

from harness.comparing.grids import Grid, packed, text, unpacked
from harness.results.documents import JournalError
from tests.support.comparisons import at, case


def again(cases):
    digests, grids = packed(cases)
    read = [Grid.model_validate(json.loads(text(grid))) for grid in grids]
    return {one.case.id: one for grid in read for one in unpacked(digests, grid, source="x")}


def mixed():
    return [
        *(at(n, name, digest=name[:3]) for n in (64, 128, 256) for name in ("batched", "online")),
        at(64, "loop", seconds=3e-3, operations=7, extra_bytes=123_456_789_012, rounds=12, processes=3, statistic=""),
        at(128, "loop", status="oom", reason="needs 2.0, has 1.0", rounds=0, statistic=""),
        at(256, "loop", status="timeout", reason="no answer", rounds=0, statistic=""),
        at(64, "sdpa-flash", low=None, high=None, error=None, attended=None),
    ]


def test_cases_come_back():
    kept = mixed()
    found = again(kept)
    assert len(found) == len(kept)
    for one in kept:
        mine = found[one.case.id]
        fuzzy = {"seconds", "low", "high", "error", "inputs"}
        assert mine.model_dump(exclude=fuzzy) == one.model_dump(exclude=fuzzy)
        for name in ("seconds", "low", "high", "error"):
            assert (getattr(mine, name) is None) == (getattr(one, name) is None)
            assert (getattr(mine, name) or 0.0) == pytest.approx(getattr(one, name) or 0.0, rel=2e-3)


def test_what_is_read_is_written_the_same():
    found = again(mixed())
    assert again(list(found.values())) == found


def test_what_all_share_stands_once():
    _, [grid] = packed(mixed())
    assert grid.points == {"n": [64, 128, 256], "d": 64, "heads": 2, "batch": 1}
    assert grid.common["attended"] == 100
    batched = grid.series[0]
    assert batched.figures == {"extra_bytes": 2048, "error": 0.5, "seconds": 0.001, "below": 200}


def test_a_time_has_the_digits_that_its_interval_leaves_known():
    known = [again([case(seconds=1.23456789e-3, width=width)]).popitem()[1].seconds for width in (0.5, 0.02, 0.0002)]
    assert known == [1.23e-3, 1.2346e-3, 1.2346e-3]


def test_cases_of_other_dtypes_or_axes_are_grids_of_their_own():
    one = case()
    other = one.model_copy(update={"case": one.case.model_copy(update={"dtype": "bfloat16"})})
    assert len(packed([one, other, case(point={"width": 64})])[1]) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": {"n": [1, 2]}}, "the n has 2 values for 3 cases"),
        ({"series": [{"implementation": "a", "digest": 9}]}, "no place 9 among 1"),
        ({"series": [{"implementation": "a", "figures": {"seconds": [1.0]}}]}, "the seconds of a has 1 values"),
        ({"series": [{"implementation": "a", "at": [-1], "figures": {"seconds": 1.0}}]}, "no place -1 among 3"),
        ({"series": [{"implementation": "a", "figures": {"seconds": "x"}}]}, "seconds: should be a valid number"),
        ({"series": [{"implementation": "a", "without": [["lost", "", None]]}]}, "x: status"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change, message):
    grid = {"scenario": "s", "problem": "p", "dtype": "float32", "device": "cpu", "direction": "forward"}
    document = {**grid, "count": 3, "points": {"n": [1, 2, 3]}, "series": [], **change}
    with pytest.raises(JournalError, match=message):
        list(unpacked([""], Grid.model_validate(document), source="x"))
