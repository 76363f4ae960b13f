"""Sides that took turns compare round by round, so that what moved the machine is no difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.comparing.in_turn import compare_sides, log_ratios
from harness.policy import ComparisonPolicy
from harness.records import Round
from harness.results.pairs.pair_file import read_sides
from tests.support.pairs import make_pair


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    return read_sides(make_pair(tmp_path_factory.mktemp("pair") / "both", factor=1.1))


def test_a_tenth_is_found_under_drift_that_doubles_times_and_nothing_else_is(sides):
    changes = compare_sides(*sides, policy=ComparisonPolicy())
    assert changes.in_turn
    assert (changes.base, changes.new) == ("both/base", "both/new")
    found = {one.case.implementation: one.outcome for one in changes.cases}
    assert found["batched"] == "slower"
    assert {outcome for name, outcome in found.items() if name != "batched"} == {"same"}
    slower = changes.having("slower")
    assert {one.case.implementation for one in slower} == {"batched"}
    assert all(one.low < 1.1 < one.high for one in slower if one.low and one.high)
    mean = next(one for one in changes.means if one.implementation == "batched")
    assert mean.ratio == pytest.approx(1.1, rel=0.02)


def visit(index, *samples, process=0):
    return Round(index=index, process=process, started=0.0, calls_per_sample=1, samples=list(samples))


def test_only_rounds_that_both_sides_have_count_by_their_smallest_samples():
    base = {"case": [visit(0, 1.0, 2.0), visit(1, 1.0), visit(2, 1.0, process=1)]}
    new = {"case": [visit(1, 1.0), visit(2, 5.0, 1.0, process=1), visit(3, 1.0, process=1)]}
    assert log_ratios(base, new, case="case") == [[0.0], [0.0]]
    assert log_ratios(base, new, case="other") == []


def test_a_case_with_one_round_in_common_is_inconclusive_for_that_reason(sides):
    base, new = sides
    (first, *_) = base.rounds
    short = replace(new, rounds={**new.rounds, first: new.rounds[first][:1]})
    [case] = [one for one in compare_sides(base, short, policy=ComparisonPolicy()).cases if one.case.id == first]
    assert case.outcome == "inconclusive"
    assert case.reason == "too few rounds for an interval"
