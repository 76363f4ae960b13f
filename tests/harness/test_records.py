"""What a case and its times say of themselves."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from pydantic import ValidationError

from harness.records import SKIPPED, Agreement, Check, ProbeOutcome, Ran, Record, Status, Time
from tests.support import runs


def time_of(samples, *, canary=(), lengths=()):
    return Time(
        samples=samples, canary=list(canary), rounds=len(lengths), round_lengths=list(lengths), median=1.0, best=1.0
    )


def test_rounds_are_cut_where_they_ended_with_their_canaries():
    time = time_of([1.0, 2.0, 3.0, 4.0, 5.0], canary=[1.1, 1.2, 1.3, 1.4, 1.5], lengths=[2, 3])
    assert time.by_round == [([1.0, 2.0], [1.1, 1.2]), ([3.0, 4.0, 5.0], [1.3, 1.4, 1.5])]


def test_cutting_into_rounds_loses_no_sample():
    time = runs.ok_record().time
    assert len(time.by_round) == time.rounds > 1
    assert list(itertools.chain(*(samples for samples, _ in time.by_round))) == time.samples


def test_rounds_without_a_canary_have_none_and_unknown_lengths_give_no_rounds():
    assert time_of([1.0, 2.0], lengths=[1, 1]).by_round == [([1.0], []), ([2.0], [])]
    assert time_of([1.0, 2.0]).by_round == []


def test_a_failed_case_carries_no_time_and_a_timed_one_needs_one():
    record = runs.ok_record()
    with pytest.raises(ValidationError, match="has no time"):
        Record(case=record.case, status="timeout", reason="60 s", time=record.time)
    with pytest.raises(ValidationError, match="has a time"):
        Record(case=record.case, status="ok")
    with pytest.raises(ValidationError, match="needs a reason"):
        Record(case=record.case, status="oom")


def test_an_agreement_is_as_bad_as_its_worst_check_that_has_a_ratio():
    checks = [
        Check(name="max", error=1.0, budget=4.0, ratio=0.25),
        Check(name="rms", error=3.0, budget=4.0, ratio=0.75),
        Check(name="contract", error=None, budget=None, ratio=None, passed=False),
    ]
    assert Agreement(passed=False, checks=checks).ratio == 0.75
    assert Agreement(passed=False, checks=checks[2:]).ratio is None


def test_a_time_shows_its_statistic_and_what_has_none_its_median():
    old = time_of([3.0, 1.0, 2.0])
    assert (old.seconds, old.for_laws, old.interval) == (1.0, 1.0, None)
    with_interval = old.model_copy(update={"low": 0.9, "high": 1.2, "best": 0.5})
    assert (with_interval.interval, with_interval.for_laws) == ((0.9, 1.2), 0.5)
    new = with_interval.model_copy(update={"statistic": "lower quartile", "value": 0.8, "value_low": 0.7})
    assert (new.seconds, new.for_laws, new.interval) == (0.8, 0.8, None)
    assert new.model_copy(update={"value_high": 0.95}).interval == (0.7, 0.95)


@pytest.mark.parametrize(
    ("mode", "host", "bound"),
    [("events", 2.0, True), ("events", 0.5, False), ("events", None, False), ("calls", 2.0, False)],
)
def test_only_a_time_of_the_device_is_bound_by_launches_of_a_slower_host(mode, host, bound):
    assert time_of([1.0]).model_copy(update={"mode": mode, "host_seconds": host}).is_launch_bound is bound


def test_memory_beyond_inputs_and_outputs_is_never_negative_and_unknown_without_a_peak():
    assert runs.ok_record().memory.model_copy(update={"peak": 100, "outputs": 30}).extra == 70
    assert runs.ok_record().memory.model_copy(update={"peak": 20, "outputs": 30}).extra == 0
    assert runs.ok_record().memory.model_copy(update={"peak": None, "outputs": 30}).extra is None


def test_a_call_is_shown_by_its_kernels_where_any_were_seen():
    operators, kernels = {"aten::bmm": 2}, {"gemm": 2}
    assert Ran(operators=operators).shown == operators
    assert Ran(operators=operators, kernels=kernels).shown == kernels


def test_an_outcome_is_called_by_its_probe_and_direction():
    outcome = ProbeOutcome(
        implementation="loop", probe="n 2", dtype="float32", device="cpu", direction="backward", seed=0, status="ok"
    )
    assert outcome.title == "n 2, backward"


def test_a_record_survives_its_line_of_json_with_infinities_as_null():
    record = runs.ok_record()
    assert Record.model_validate_json(record.model_dump_json(by_alias=True)) == record
    assert '"schema":' in record.model_dump_json(by_alias=True)
    check = Check(name="max", error=float("inf"), budget=1.0, ratio=None)
    assert '"error":null' in check.model_dump_json()


def test_what_was_skipped_is_a_status_and_what_failed_is_not_skipped():
    assert set(get_args(Status)) > SKIPPED
    assert not SKIPPED & {"ok", "disagreed", "oom", "timeout", "crashed", "fallback", "invalid"}
