"""A program's attention costs its calls' times by their weights, and a backend saves what its paired times say."""

from __future__ import annotations

import math
import random

import pytest

from harness.records import Round
from harness.results.pairs.totals import FASTEST, totals
from harness.results.plan_file import Plan
from harness.results.run import read_run
from reports.answer import totals as words
from tests.support import runs

ROUNDS = 6
CALLS = {64: 10, 128: 3}


def stored(directory, seconds, *, calls=CALLS):
    """Store a run of a program's calls by length, of implementations that take so many seconds at each of these."""
    drawn, records, rounds = random.Random(1), [], []
    for name, of_length in seconds.items():
        for n, value in of_length.items():
            visits = [[value * math.exp(drawn.gauss(0, 0.002)) for _ in range(3)] for _ in range(ROUNDS)]
            record = runs.ok_record(name, n=n, d=64, heads=2, batch=1)
            known = {"samples": [s for visit in visits for s in visit], "canary": [], "round_lengths": [3] * ROUNDS}
            time = record.time.model_copy(
                update={**known, "rounds": ROUNDS, "value": value, "value_low": 0.9 * value, "value_high": 1.2 * value}
            )
            records.append(record.model_copy(update={"time": time}))
            rounds.append(
                [Round(index=i, started=0.0, calls_per_sample=1, samples=one) for i, one in enumerate(visits)]
            )
    runs.write_run(directory, records, judged=False, rounds=rounds)
    plan = directory / "plan.json"
    read = Plan.model_validate_json(plan.read_text()).model_dump(mode="json", by_alias=True)
    points = [{"weight": count, "point": {"n": n, "d": 64, "heads": 2, "batch": 1}} for n, count in calls.items()]
    read |= {"baseline": "sdpa-auto", "scenarios": [{"name": "sequence-length", "question": "?", "calls": points}]}
    plan.write_text(Plan.model_validate(read).model_dump_json(by_alias=True))
    return read_run(directory)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    seconds = {
        "sdpa-auto": {64: 1e-3, 128: 4e-3},
        "sdpa-math": {64: 0.5e-3, 128: 8e-3},
        "batched": {64: 2e-3},
    }
    return stored(tmp_path_factory.mktemp("totals") / "run", seconds)


def test_times_count_by_their_weights_and_what_is_saved_is_of_the_calls_that_both_were_timed_at(run):
    found = {one.implementation: one for one in totals(run, baseline="sdpa-auto")}
    assert list(found) == ["sdpa-auto", "sdpa-math", "batched", FASTEST]
    auto, math_, batched, fastest = found.values()
    assert auto.seconds == pytest.approx(10 * 1e-3 + 3 * 4e-3)
    assert (auto.low, auto.high) == pytest.approx((0.9 * 22e-3, 1.2 * 22e-3))
    assert auto.saved == 0
    assert math_.seconds == pytest.approx(10 * 0.5e-3 + 3 * 8e-3)
    assert math_.saved == pytest.approx(1 - 29 / 22, abs=0.02)
    assert math_.saved_low < math_.saved < math_.saved_high
    assert (batched.timed, batched.calls) == (10, 13)
    assert batched.saved == pytest.approx(-1, abs=0.02)
    assert fastest.seconds == pytest.approx(10 * 0.5e-3 + 3 * 4e-3)
    assert fastest.saved == pytest.approx(5 / 22, abs=0.01)


def test_against_what_was_not_timed_nothing_is_said_to_be_saved(run):
    assert {one.saved for one in totals(run, baseline="sdpa-flash")} == {None}


def test_a_run_of_sweeps_has_no_total(tmp_path):
    runs.write_run(tmp_path / "run", [runs.ok_record()], judged=False)
    assert totals(read_run(tmp_path / "run"), baseline="batched") == []
    assert words.rows(read_run(tmp_path / "run")) == []
