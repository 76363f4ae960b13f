"""Trials are made until they tell which of two probabilities they have, and are seldom wrong."""

from __future__ import annotations

import random

import pytest

from harness.stats.sequential import decide

ERRORS = {"innocent": 0.5, "guilty": 0.8, "false_alarms": 1e-3, "misses": 1e-2}


@pytest.mark.parametrize(("outcome", "trials", "answer"), [(True, 15, True), (False, 6, False)])
def test_trials_of_one_outcome_tell_after_few(outcome, trials, answer):
    assert decide([outcome] * trials, **ERRORS) is answer
    assert decide([outcome] * (trials - 1), **ERRORS) is None


def test_what_was_told_stays_told():
    assert decide([False] * 6 + [True] * 50, **ERRORS) is False


@pytest.mark.parametrize(("probability", "answer", "at_most"), [(0.5, True, 3e-3), (0.8, False, 2e-2)])
def test_it_is_wrong_as_seldom_as_was_asked(probability, answer, at_most):
    draw = random.Random(0)
    told = [decide([draw.random() < probability for _ in range(300)], **ERRORS) for _ in range(4000)]
    assert told.count(answer) / len(told) <= at_most
    assert told.count(None) == 0
