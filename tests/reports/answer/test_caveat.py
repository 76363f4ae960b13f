"""At most one caveat stands on the first screen: the most important, with what to do; a small doubt is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.results.reasons import SeeSlopes
from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from reports.answer.caveat import caveat
from tests.support import runs
from tests.support.drawn import run_of, swept, table_of


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    runs.write_run(path, swept("batched", "loop"), judged=False)
    run = read_run(path)
    return replace(run, summary=run.summary.model_copy(update={"warnings": []}))


def said(run):
    return caveat(run, table_of(run))


def flagged(run, flag, many):
    records = [
        record.model_copy(update={"time": record.time.model_copy(update={"flags": [flag] if place < many else []})})
        for place, record in enumerate(run.records)
    ]
    return replace(run, records=tuple(records))


def test_a_clean_run_has_no_caveat(complete):
    assert said(complete) == ""


def test_a_run_that_did_not_finish_says_how_to_go_on(complete):
    cut = replace(complete, summary=None)
    assert said(cut) == f"The run did not finish: attnbench run --resume -o {cut.path} measures the rest."


@pytest.mark.parametrize(
    ("warning", "words"),
    [
        (
            "31 % of the samples shared the machine.",
            "31 % of the samples shared the machine: measure again when it is quiet.",
        ),
        ("The run was begun on another card.", "The run was begun on another card."),
    ],
)
def test_a_warning_of_the_run_is_told_with_what_to_do(complete, warning, words):
    assert said(replace(complete, summary=complete.summary.model_copy(update={"warnings": [warning]}))) == words


def test_wrong_answers_come_before_doubts_about_times(complete):
    wrong = runs.failed_record("einsum", "disagreed", "error", n=64, d=64, heads=2, batch=1)
    run = flagged(complete, "drift", 12)
    assert said(replace(run, records=(*run.records, wrong))) == (
        "1 case of einsum has no time, because the answer was wrong or another kernel ran than the one asked for: "
        "attnbench check --impl einsum shows where."
    )


def test_the_check_of_a_wrong_answer_names_its_problem_and_its_file(complete):
    wrong = runs.failed_record("mine", "disagreed", "error", n=64, d=64, heads=2, batch=1)
    wrong = wrong.model_copy(update={"case": wrong.case.model_copy(update={"problem": "multihead"})})
    plan = complete.plan.model_copy(update={"impl_files": ["my kernel.py"]})
    found = said(replace(complete, plan=plan, records=(*complete.records, wrong)))
    assert "attnbench check --impl mine --problem multihead --impl-file 'my kernel.py' shows where." in found


def test_nothing_timed_comes_first():
    failed = run_of([runs.failed_record("loop", "oom", "too much", n=64, d=64, heads=2, batch=1)])
    assert said(failed) == "No case was timed: the table of cases gives the reason for each."


@pytest.mark.parametrize(("many", "words"), [(12, "12 of 12 timed cases shared the machine"), (0, "")])
def test_a_doubt_about_many_times_is_told_with_what_to_do(complete, many, words):
    found = said(flagged(complete, "contaminated", many))
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_a_fast_run_is_told_to_be_one(complete):
    fast = replace(complete, plan=complete.plan.model_copy(update={"preset": "fast"}))
    assert said(fast).startswith("Measured with --fast")


def test_times_that_decide_nothing_say_what_would(complete):
    open_ = Verdict(claim="A2", implementation="loop", quantity="time", axis="n", expected=2, verdict="inconclusive",
                    to_decide=SeeSlopes(), dtype="float32", device="cpu", direction="forward")  # fmt: skip
    run = replace(complete, verdicts=(open_,), judged=True)
    assert said(run) == (
        "Measured times are inconclusive along n: look at the local slopes, and repeat the sweep on a quiet machine."
    )
    held = open_.model_copy(update={"verdict": "consistent"})
    assert said(replace(run, verdicts=(held,))) == ""
