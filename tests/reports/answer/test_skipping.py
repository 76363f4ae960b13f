"""Who skips is named apart from who masks: by count where there is one, else by an interval of time."""

from __future__ import annotations

import pytest

from harness.results.verdicts_file import Verdict
from reports.answer.skipping import skipping_sentence
from tests.support.drawn import run_of


def verdict(name, quantity, ratio, *, low=None, high=None, axis="causal"):
    return Verdict(
        claim="B5",
        implementation=name,
        quantity=quantity,
        verdict="inconclusive",
        axis=axis,
        exponent=ratio,
        low=ratio if low is None else low,
        high=ratio if high is None else high,
    )


def test_counts_decide_and_times_are_told_beside_them():
    run = run_of(
        [],
        verdicts=(
            verdict("sdpa-flash", "operations", 0.504),
            verdict("sdpa-flash", "time", 1.01, low=0.9, high=1.1),
            verdict("batched", "operations", 1.0),
            verdict("einsum", "operations", 1.0),
            verdict("batched", "operations", 2.0, axis="n"),
        ),
    )
    assert skipping_sentence(run) == (
        "Under a causal mask sdpa-flash (1.01× the time) skips the hidden pairs; "
        "batched and einsum compute the hidden pairs for nothing."
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.5, 0.6, "flex (0.560× the time) skips the hidden pairs"),
        (0.9, 1.1, "flex (0.560× the time) computes the hidden pairs for nothing"),
        (0.5, 1.1, "for flex (0.560× the time) it can't be told"),
    ],
)
def test_without_a_count_an_interval_of_time_decides(low, high, words):
    run = run_of([], verdicts=(verdict("flex", "time", 0.56, low=low, high=high),))
    assert skipping_sentence(run) == f"Under a causal mask {words}."


def test_what_no_one_asked_is_not_said():
    assert skipping_sentence(run_of([], verdicts=(verdict("batched", "time", 2.0, axis="n"),))) == ""
