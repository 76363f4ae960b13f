"""A case's preparation, rounds and re-check become its record; what is too fast to be true becomes none."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import SecondLook
from harness.records import Agreement, Case, Ceiling, Counts, Environment, Memory, Preparation, Ran, Round, case_id
from harness.results import closing
from tests.support.visits import visits

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


def closed(*, seconds: float, canary: float = 0.0, rounds: int = 5, dtype: str = "float32", **counts):
    ceilings = [
        Ceiling(name="matmul float32", value=RATE, unit="FLOP/s", how=""),
        Ceiling(name="matmul float16", value=RATE / 10, unit="FLOP/s", how=""),
        Ceiling(name="matmul float64", value=RATE / 10, unit="FLOP/s", how=""),
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
        case().model_copy(update={"dtype": dtype}),
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


def test_a_slow_dtype_that_is_computed_in_float32_is_plausible_up_to_its_rate():
    assert closed(seconds=OPERATIONS / RATE, dtype="float16").status == "ok"
    assert closed(seconds=OPERATIONS / RATE / 2, dtype="float16").status == "invalid"
    assert closed(seconds=OPERATIONS / RATE, dtype="float64").status == "invalid"


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


LOOK = SecondLook(found="none kept", pairs=6, new_seconds=0.1, seen_seconds=0.11, later_seconds=0.09)


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        ("none kept", "ok", ""),
        (
            "kept",
            "invalid",
            "asked again, it does (6 pairs: 0.1 s on new values, 0.11 s on values seen, 0.09 s in a row)",
        ),
        ("undecided", "invalid", "asking again decided nothing"),
    ],
)
def test_a_second_look_clears_or_confirms_what_rounds_made_it_look_like(found, status, said):
    record = closing.close(
        case(),
        prepared(),
        visits(new=4e-1, again=1e-1, later=1e-1),
        floor=None,
        policy=DEFAULT,
        environment=None,
        stop_reason="rounds",
        second_look=LOOK.model_copy(update={"found": found}),
    )
    assert record.status == status
    assert said in record.reason
    assert (record.time is None) is (status == "invalid")
    notes = [note for note in record.notes if note.startswith("first calls were slow; asked again, no")]
    assert len(notes) == (status == "ok")
