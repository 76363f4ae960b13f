"""The report says on which values times hold, and whose time they change beyond its interval."""

from __future__ import annotations

from reports.answer.inputs import values_sentence
from tests.support import runs
from tests.support.drawn import BASE, run_of, table_of, timed


def case(name, values, seconds, **changes):
    kind = {} if values is None else {"values": values}
    return timed(runs.ok_record(name, **{**BASE, "n": 512, **kind}), seconds, **changes)


def said(*records):
    return values_sentence(table_of(run_of(records)))


def test_normal_values_go_without_saying():
    assert said(case("batched", None, 1e-3), case("online", "normal", 1e-3)) == ""


def test_the_largest_change_beyond_intervals_is_told():
    records = [case("batched", None, 1e-3), case("batched", "long_tailed", 1.5e-3), case("batched", "denormal", 3e-3)]
    assert said(*records) == (
        "Times were taken on values that are normal, long-tailed and denormal; the largest change is that of batched, "
        "which takes 3.00× the time on denormal ones."
    )
    faster = [case("batched", "normal", 1e-3), case("batched", "peaked", 0.25e-3)]
    assert "0.250× the time on peaked ones" in said(*faster)


def test_what_intervals_explain_is_no_change():
    near = [case("batched", "normal", 1e-3), case("batched", "peaked", 1.01e-3)]
    assert (
        said(*near)
        == "Times were taken on values that are normal and peaked; within their intervals no time depends on them."
    )


def test_without_a_normal_one_beside_it_nothing_is_compared():
    assert said(case("batched", "peaked", 1e-3)) == "Times were taken on values that are peaked."
    unknown = [case("batched", "normal", 1e-3), case("batched", "peaked", 1e-3, low=None, high=None)]
    assert said(*unknown) == "Times were taken on values that are normal and peaked."
