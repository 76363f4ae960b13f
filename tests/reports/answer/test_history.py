"""A history in words: what changed for good and where, what is missing, and which software was new."""

from __future__ import annotations

import pytest

from harness.comparing.history import Change, Moment
from reports.answer import history as answer
from reports.answer.history import LINES_AT_MOST
from tests.support.comparisons import history_of, machine_of, moment, trend

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def changed(run, factor, **known):
    return Change(run=run, factor=factor, low=0.95 * factor, high=1.05 * factor, **known)


def test_a_headline_counts_runs_cases_and_those_that_changed():
    one = machine_of(trend("loop", changes=[changed(2, 1.3), changed(3, 0.7)]), trend("online"))
    assert answer.headline(history_of(one)) == "4 runs, 2 cases: 1 changed for good."


def test_a_headline_names_several_machines_and_one_thing_in_the_singular():
    alone = machine_of(trend("loop", count=1), count=1)
    assert answer.headline(history_of(alone)) == "1 run, 1 case: 0 changed for good."
    assert answer.headline(history_of(alone, alone)) == "2 runs on 2 machines, 2 cases: 0 changed for good."
    assert answer.headline(history_of()) == "0 runs, 0 cases: 0 changed for good."


def test_a_change_is_said_with_its_case_its_factor_its_interval_and_its_run():
    one = trend("loop", changes=[changed(2, 1.2)])
    assert answer.change_line(machine_of(one), one, one.changes[0]) == (
        f"{one.case.label}: 1.20× (1.14 to 1.26), slower since day 2 (2026-01-03)"
    )


@pytest.mark.parametrize(("factor", "word"), [(1.001, "slower"), (0.999, "faster")])
def test_a_factor_above_one_is_slower(factor, word):
    assert f", {word} since day 1" in answer.change_words(machine_of(), changed(1, factor))


def test_a_changed_source_is_said_at_the_end():
    said = answer.change_words(machine_of(), changed(1, 0.5, has_new_source=True))
    assert said == "0.500× (0.475 to 0.525), faster since day 1 (2026-01-02), with a changed source"


def test_a_run_has_its_day_its_commit_and_its_new_software():
    runs = [moment(0, software={"torch": "2.13"}), moment(1, software={"torch": "2.14"}, commit=COMMIT)]
    found = machine_of(runs=runs)
    assert answer.run_words(found, 1) == "day 1 (2026-01-02, commit 0123456789ab, torch 2.14)"
    assert answer.run_words(found, 0) == "day 0 (2026-01-01)"


def test_a_run_of_which_nothing_else_is_known_is_its_name():
    assert answer.run_words(machine_of(runs=[Moment(name="old")]), 0) == "old"


@pytest.mark.parametrize(
    ("commit", "said"),
    [(f"{COMMIT}+", "0123456789ab+"), (COMMIT, "0123456789ab"), ("0123abc+", "0123abc+"), ("0123abc", "0123abc")],
)
def test_a_short_commit_keeps_the_mark_of_changed_files(commit, said):
    found = machine_of(runs=[Moment(name="run", commit=commit)])
    assert answer.run_words(found, 0) == f"run (commit {said})"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"torch": "1"}, {"torch": "1"}, ""),
        ({"torch": "1", "mkl": "1"}, {"torch": "2", "mkl": "2"}, "mkl 2, torch 2"),
        ({}, {"triton": "3.4"}, "triton 3.4"),
        ({"triton": "3.4"}, {}, "triton none"),
    ],
)
def test_software_is_what_the_run_before_had_not(before, now, said):
    found = machine_of(runs=[moment(0, software=before), moment(1, software=now)])
    assert answer.software(found, 1) == said


def test_the_first_run_s_software_is_not_new():
    assert answer.software(machine_of(runs=[moment(0, software={"torch": "1"})]), 0) == ""


def test_the_newest_change_comes_first_and_of_one_run_the_worst():
    found = machine_of(
        trend("loop", changes=[changed(1, 3.0), changed(3, 0.5)]), trend("online", changes=[changed(3, 1.2)])
    )
    assert [(one.case.implementation, change.run, change.factor) for one, change in answer.newest(found)] == [
        ("online", 3, 1.2),
        ("loop", 3, 0.5),
        ("loop", 1, 3.0),
    ]


def test_lines_begin_with_the_headline_and_end_with_what_is_missing():
    gone = trend("loop", missing="oom: 4 GiB")
    slow = trend("online", changes=[changed(2, 1.3)])
    found = history_of(machine_of(gone, slow))
    assert list(answer.lines(found)) == [
        answer.headline(found),
        f"  {answer.change_line(found.machines[0], slow, slow.changes[0])}",
        f"  missing today: {gone.case.label}: oom: 4 GiB",
    ]


def test_machines_are_named_where_there_are_several():
    found = history_of(machine_of(name="A"), machine_of(name="B", count=1))
    assert list(answer.lines(found))[1:] == ["A: 4 runs", "B: 1 run"]
    assert list(answer.lines(history_of(machine_of(name="A")))) == [answer.headline(history_of(machine_of(name="A")))]


@pytest.mark.parametrize(("more", "said"), [(0, []), (1, ["and 1 more change"]), (2, ["and 2 more changes"])])
def test_changes_beyond_a_bound_are_counted(more, said):
    trends = [trend("loop", n=place + 1, changes=[changed(2, 1.3)]) for place in range(LINES_AT_MOST + more)]
    lines = list(answer.lines(history_of(machine_of(*trends))))
    assert len(lines) == 1 + LINES_AT_MOST + len(said)
    assert [line.strip() for line in lines[1 + LINES_AT_MOST :]] == said


@pytest.mark.parametrize(
    ("more", "said"), [(0, []), (1, ["and 1 more is missing today"]), (2, ["and 2 more are missing today"])]
)
def test_missing_cases_beyond_a_bound_are_counted(more, said):
    trends = [trend("loop", n=place + 1, missing="gone") for place in range(LINES_AT_MOST + more)]
    lines = list(answer.lines(history_of(machine_of(*trends))))
    assert [line.strip() for line in lines[1 + LINES_AT_MOST :]] == said


def test_a_case_is_named_by_implementation_point_dtype_and_direction():
    assert answer.name(trend("loop").case) == "loop n=64,d=64,heads=2,batch=1 float32 forward"
