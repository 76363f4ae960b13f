"""Runs are compared case by case: what one lacks is left out, and a factor is this run's time over the first's."""

from __future__ import annotations

import pytest

from reports.figures.runs import against_first, relative
from reports.figures.sweep import sweeps
from tests.support import runs
from tests.support.drawn import BASE, colors_of, run_of, swept, table_of, timed


def two(factor, *, sizes=(64, 128, 256), other_sizes=(64, 128, 256)):
    first = run_of(swept("batched", "loop", sizes=sizes), label="first")
    records = [timed(record, factor * record.time.median) for record in swept("batched", "loop", sizes=other_sizes)]
    return first, run_of(records, label="other")


def figure_of(first, other):
    table = table_of(first, other)
    sweep = next(found for found in sweeps([first, other], table) if found.run == "other")
    return relative(sweep, colors_of("batched", "loop"), first="first")


def test_a_factor_is_the_time_over_that_of_the_same_case_of_the_first():
    found = against_first(table_of(*two(2.0)), first="first", other="other")
    assert len(found) == 6
    assert list(found["factor"]) == pytest.approx([2.0] * 6)


def test_cases_that_one_run_lacks_or_that_failed_are_left_out():
    first, other = two(2.0, other_sizes=(128, 256, 512))
    failed = runs.failed_record("loop", "oom", "too much", **{**BASE, "n": 256})
    rest = [record for record in other.records if (record.case.implementation, record.case.point["n"]) != ("loop", 256)]
    found = against_first(table_of(first, run_of([*rest, failed], label="other")), first="first", other="other")
    assert sorted(zip(found["implementation"], found["n"], strict=True)) == [
        ("batched", 128.0), ("batched", 256.0), ("loop", 128.0),
    ]  # fmt: skip


def test_machines_compare_whatever_their_devices_are_called():
    first, other = two(0.5)
    moved = [r.model_copy(update={"case": r.case.model_copy(update={"device": "cuda:1"})}) for r in other.records]
    found = against_first(table_of(first, run_of(moved, label="other")), first="first", other="other")
    assert len(found) == 6


@pytest.mark.parametrize(
    ("factor", "words"),
    [(2.0, "2.00× the time of first: other is slower."), (0.5, "is faster."), (1.02, "other is as fast.")],
)
def test_the_finding_says_which_run_is_faster(factor, words):
    figure = figure_of(*two(factor))
    assert figure.finding.startswith("The median over 6 shared cases is ")
    assert figure.finding.endswith(words)


def test_a_row_has_both_times_and_their_factor():
    figure = figure_of(*two(2.0, sizes=(64,), other_sizes=(64, 128)))
    assert figure.columns == ("implementation", "n", "first", "other", "factor")
    assert [row[0] for row in figure.rows] == ["batched", "loop"]
    assert {row[-1] for row in figure.rows} == {"2.00×"}


def test_the_first_run_and_runs_that_share_nothing_have_no_figure():
    first, other = two(1.0, other_sizes=(512, 1024))
    table = table_of(first, other)
    for sweep in sweeps([first, other], table):
        assert relative(sweep, colors_of("batched", "loop"), first="first") is None


def test_what_is_compared_is_the_time_that_tables_show():
    first, other = two(2.0)
    figure = figure_of(first, other)
    assert figure.how.startswith("Time in other divided by that of the same case in first.")
