"""First calls on new values that take much longer than others look like kept results; what is disturbed does not."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.results.remembered import remembered
from tests.support.visits import visits

SLOW = {"calls": 1, "blocks": 1}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (
            {"new": 4e-3, "again": 1e-3, "later": 1e-3},
            "a call on new values takes 0.004 s at least, on values it has seen 0.0011 s",
        ),
        (
            {"new": 4e-2, "again": 1e-2, "later": 1e-2, **SLOW},
            "a call on new values takes 0.04 s at least, on values it has seen 0.01 s",
        ),
        (
            {"new": 5e-3, "again": 5e-3, "later": 1e-3},
            "a first call takes 0.005 s, the calls after it 0.001 s",
        ),
    ],
)
def test_kept_results_are_told_by_both_numbers(seconds, said):
    assert remembered(visits(**seconds), floor=None, policy=DEFAULT.timing).startswith(said)


@pytest.mark.parametrize(
    "seconds",
    [
        {"new": 1.2e-3, "again": 1e-3, "later": 1e-3},
        # Threads woken and caches filled, at 20 us per call.
        {"new": 1e-4, "again": 9e-5, "later": 2e-5},
        # Slow calls with too few visits to say.
        {"new": 4e-2, "again": 1e-2, "later": 1e-2, "count": 3, **SLOW},
    ],
)
def test_warm_up_and_few_calls_accuse_nobody(seconds):
    assert remembered(visits(**seconds), floor=None, policy=DEFAULT.timing) == ""


def test_one_undisturbed_first_call_is_enough():
    disturbed = visits(new=9e-3, again=1e-3, later=1e-3)
    disturbed[0] = visits(new=1.1e-3, again=1e-3, later=1e-3)[0]
    assert remembered(disturbed, floor=None, policy=DEFAULT.timing) == ""


def test_one_disturbed_first_call_accuses_nobody():
    rounds = visits(new=5e-3, again=5e-3, later=1e-3, blocks=1)
    assert "a first call takes" in remembered(rounds, floor=None, policy=DEFAULT.timing)
    assert remembered(rounds[:1], floor=None, policy=DEFAULT.timing) == ""
    assert remembered(rounds[:1], floor=None, policy=DEFAULT.timing, at_least=1)


def test_calls_that_another_process_disturbed_accuse_nobody():
    rounds = visits(new=1.2e-5, again=1.2e-5, later=1.05e-5)
    disturbed = [
        visit if visit.new_values else visit.model_copy(update={"later_seconds": [3e-5] * len(visit.later_seconds)})
        for visit in rounds
    ]
    assert remembered(disturbed, floor=None, policy=DEFAULT.timing) == ""


def test_slow_calls_beside_a_busy_canary_say_nothing():
    slow = visits(new=4e-2, again=1e-2, later=1e-2, **SLOW)
    for beside, expected in ((1.1e-3, True), (3e-3, False)):
        rounds = [visit.model_copy(update={"canary": [beside]}) for visit in slow]
        assert bool(remembered(rounds, floor=1e-3, policy=DEFAULT.timing)) is expected
