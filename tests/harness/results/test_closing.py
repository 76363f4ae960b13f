"""A case's preparation, rounds and re-check become its record; what is too fast to be true becomes none."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.records import Agreement, Case, Ceiling, Counts, Environment, Memory, Preparation, Ran, Round, case_id
from harness.results import closing

OPERATIONS = 10**9
RATE = 10**11


def case() -> Case:
    identity = {
        "problem": "attention",
        "point": {"n": 512},
        "dtype": "float32",
        "device": "cpu",
        "direction": "forward",
        "cache": "hot",
        "implementation": "loop",
    }
    return Case.model_validate({**identity, "id": case_id(**identity), "scenario": "smoke"})


def prepared(**counts) -> Preparation:
    return Preparation(
        agreement=Agreement(passed=True, checks=[]),
        counts=Counts(**{"operations": OPERATIONS, "attended": 1, "ideal_bytes": 1, **counts}),
        memory=Memory(inputs=0),
        ran=Ran(operators={}),
        call_seconds=0.01,
        warm_up_calls=3,
    )


def closed(*, seconds: float, canary: float = 0.0, rounds: int = 5, **counts):
    ceilings = [
        Ceiling(name="matmul float32", value=RATE, unit="FLOP/s", how=""),
        Ceiling(name="memory copy", value=1e10, unit="B/s", how=""),
    ]
    visits = [
        Round(
            index=index,
            started=0.0,
            calls_per_sample=1,
            samples=[seconds * (1 + 0.01 * k) for k in range(3)],
            canary=[canary] * 3 if canary else [],
        )
        for index in range(rounds)
    ]
    return closing.close(
        case(),
        prepared(**counts),
        visits,
        floor=closing.canary_floor(visits),
        policy=DEFAULT,
        environment=Environment(id="e", stable={}, ceilings=ceilings),
        stop_reason="rounds",
    )


def test_a_plausible_case_is_ok_with_its_share_of_the_roofline():
    record = closed(seconds=2 * OPERATIONS / RATE)
    assert record.status == "ok"
    assert record.time.rounds == 5
    assert record.time.round_lengths == [3] * 5
    assert record.roofline_share == pytest.approx(0.5, rel=0.01)


def test_work_that_was_skipped_is_invalid_and_has_no_time():
    record = closed(seconds=OPERATIONS / RATE / 2)
    assert record.status == "invalid"
    assert record.time is None
    assert "skipped work?" in record.reason


def test_what_an_implementation_was_seen_doing_excuses_no_speed():
    assert closed(seconds=OPERATIONS / RATE / 2, counted=OPERATIONS // 4).status == "invalid"


def test_a_problem_that_can_be_computed_with_less_says_so():
    assert closed(seconds=OPERATIONS / RATE / 2, required=OPERATIONS // 4).status == "ok"


def test_ceilings_measured_on_a_busy_machine_fail_no_case():
    undisturbed_canary = 2 * DEFAULT.timing.canary_size**3 / (10 * RATE)
    record = closed(seconds=OPERATIONS / RATE / 2, canary=undisturbed_canary)
    assert record.status == "ok"
    assert record.roofline_share == pytest.approx(0.2, rel=0.01)
    assert closed(seconds=OPERATIONS / RATE / 20, canary=undisturbed_canary).status == "invalid"


def test_the_canary_is_kept_as_a_slow_down():
    record = closed(seconds=0.1, canary=3e-3)
    assert record.time.canary == [1.0] * 15


def visits(*, new, again, later, calls=20, blocks=3, count=6):
    """Return rounds that write new values every other time, first calls taking so many seconds."""
    return [
        Round(
            index=index,
            started=0.0,
            calls_per_sample=calls,
            samples=[later] * blocks,
            first_seconds=[(again if index % 2 else new) * (1 + 0.1 * block) for block in range(blocks)],
            later_seconds=[later] * blocks if calls > 1 else [],
            new_values=index % 2 == 0,
        )
        for index in range(count)
    ]


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
    assert closing.remembered(visits(**seconds), floor=None, policy=DEFAULT.timing).startswith(said)


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
def test_warm_up_and_few_calls_fail_no_case(seconds):
    assert closing.remembered(visits(**seconds), floor=None, policy=DEFAULT.timing) == ""


def test_one_undisturbed_first_call_is_enough():
    disturbed = visits(new=9e-3, again=1e-3, later=1e-3)
    disturbed[0] = visits(new=1.1e-3, again=1e-3, later=1e-3)[0]
    assert closing.remembered(disturbed, floor=None, policy=DEFAULT.timing) == ""


def test_slow_calls_beside_a_busy_canary_say_nothing():
    slow = visits(new=4e-2, again=1e-2, later=1e-2, **SLOW)
    for beside, expected in ((1.1e-3, True), (3e-3, False)):
        rounds = [visit.model_copy(update={"canary": [beside]}) for visit in slow]
        assert bool(closing.remembered(rounds, floor=1e-3, policy=DEFAULT.timing)) is expected


def test_kept_results_have_no_time():
    record = closing.close(
        case(),
        prepared(),
        visits(new=4e-1, again=1e-1, later=1e-1),
        floor=None,
        policy=DEFAULT,
        environment=None,
        stop_reason="rounds",
    )
    assert (record.status, record.time) == ("invalid", None)
    assert record.reason.endswith("kept results?")
