"""Every case of either side gets an outcome or a reason; counts and bytes compare exactly, on any machine."""

from __future__ import annotations

import pytest

from harness.comparing.compare import compare, compare_implementations
from harness.comparing.snapshot import snapshot
from harness.policy import ComparisonPolicy
from harness.results.run import read_run
from tests.support import runs
from tests.support.comparisons import MACHINE, case, only

POLICY = ComparisonPolicy()


def test_a_case_that_is_slower_faster_or_the_same():
    assert only(case(), case(seconds=1.3e-3)).outcome == "slower"
    assert only(case(), case(seconds=0.7e-3)).outcome == "faster"
    assert only(case(width=0.001), case(width=0.001)).outcome == "same"
    assert only(case(width=0.5), case(width=0.5, seconds=1.2e-3)).outcome == "inconclusive"


def test_the_ratio_is_new_over_base_of_the_statistic():
    one = only(case(), case(seconds=1.3e-3))
    assert one.ratio == pytest.approx(1.3)
    assert one.low < 1.3 < one.high
    assert (one.base.seconds, one.new.seconds) == (1e-3, 1.3e-3)


def test_a_time_without_an_interval_is_inconclusive():
    one = only(case(), case(seconds=2e-3, low=None, high=None, rounds=2))
    assert (one.outcome, one.reason) == ("inconclusive", "too few rounds for an interval")
    assert one.ratio == pytest.approx(2.0)


def test_on_another_machine_times_do_not_compare_and_bytes_do():
    one = only(case(), case(extra_bytes=4096, seconds=2e-3), stable={**MACHINE, "cpu": "Another CPU"})
    assert one.outcome == "not comparable"
    assert one.reason == "other machine: cpu Synthetic CPU, 2 cores, Another CPU in NEW"
    assert one.memory.factor == 2.0
    assert one.operations.factor == 1.0


def test_a_changed_source_compares_and_is_said():
    one = only(case(digest="a"), case(digest="b"))
    assert one.has_new_source
    assert one.outcome != "not comparable"
    assert not only(case(digest="a"), case(digest="a")).has_new_source
    assert not only(case(), case(digest="a")).has_new_source


def test_two_stored_runs_compare_case_by_case(tmp_path):
    sides = [
        snapshot(read_run(runs.make_run(tmp_path / name, sweeps=("sequence-length",), seed=seed, speed=speed)))
        for name, seed, speed in (("a", 0, 1.0), ("b", 1, 0.7))
    ]
    changes = compare(*sides, policy=POLICY)
    timed = [one for one in changes.cases if one.outcome != "not comparable"]
    assert {one.outcome for one in timed} == {"slower"}
    assert len(timed) == 91
    failed = {one.reason.partition(" in BASE")[0] for one in changes.cases if one.outcome == "not comparable"}
    assert failed == {status.replace("_", " ") for status in runs.FAILURES}


def test_implementations_of_one_run_are_held_against_one_of_them(tmp_path):
    run = read_run(runs.make_run(tmp_path / "a", sweeps=("sequence-length",)))
    changes = compare_implementations(run, base="sdpa-math", policy=POLICY)
    assert (changes.base, changes.by) == ("sdpa-math", "implementation")
    of = {(one.case.implementation, one.case.point["n"]): one for one in changes.cases}
    assert of["loop", 64].outcome == "slower"
    assert of["sdpa-flash", 4096].outcome == "faster"
    assert of["sdpa-flash", 4096].ratio < 1.0
    assert of["sdpa-flash", 4096].low < of["sdpa-flash", 4096].ratio < of["sdpa-flash", 4096].high
    assert not any(one.case.implementation == "sdpa-math" for one in changes.cases)
    assert not any(one.has_new_source for one in changes.cases)
    assert of["sdpa-cudnn", 16384].outcome == "not comparable"
