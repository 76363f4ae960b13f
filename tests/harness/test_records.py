"""What a case and its times say of themselves."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from pydantic import ValidationError

from harness.records import SKIPPED, Agreement, Case, Check, Outcome, Ran, Record, Status, Time, case_id
from tests.support import runs


def time_of(samples, *, canary=(), lengths=()):
    return Time(
        samples=samples, canary=list(canary), rounds=len(lengths), round_lengths=list(lengths), median=1.0, best=1.0
    )


def test_the_implementations_of_a_point_share_its_key_and_no_other_case_has_it():
    batched, einsum = runs.ok_case("batched", n=64, d=8), runs.ok_case("einsum", n=64, d=8)
    assert batched.id != einsum.id
    assert batched.point_key == einsum.point_key
    changes = [
        {"problem": "multihead"}, {"point": {"n": 65, "d": 8}}, {"dtype": "float16"}, {"device": "cuda:0"},
        {"direction": "backward"}, {"cache": "cold"},
    ]  # fmt: skip
    others = [batched.model_copy(update=change).point_key for change in changes]
    assert len({batched.point_key, *others}) == 1 + len(changes)


def test_neither_the_scenario_nor_the_order_of_a_point_changes_its_key():
    case = runs.ok_case(n=64, d=8)
    turned = case.model_copy(update={"point": {"d": 8, "n": 64}, "scenario": "another", "also": ["a third"]})
    assert turned.point_key == case.point_key


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


def test_a_case_is_known_by_the_kind_of_its_device_and_not_by_the_number():
    identity = {
        "problem": "attention", "point": {"n": 8}, "dtype": "float16", "direction": "forward", "cache": "hot",
        "implementation": "loop",
    }  # fmt: skip
    ids = {device: case_id(device=device, **identity) for device in ("cuda", "cuda:0", "cuda:1", "cpu")}
    assert ids["cuda"] == ids["cuda:0"] == ids["cuda:1"] != ids["cpu"]
    changed = [
        {"problem": "pooling"}, {"point": {"n": 9}}, {"dtype": "float32"}, {"direction": "backward"},
        {"cache": "cold"}, {"implementation": "online"},
    ]  # fmt: skip
    assert len({ids["cpu"], *(case_id(**{**identity, **change}, device="cpu") for change in changed)}) == 7


def test_a_label_names_the_case_in_a_line_and_says_where_caches_are_cold():
    case = runs.ok_case("batched", n=64, d=8)
    assert case.label == "batched n=64,d=8 float32 forward"
    assert case.model_copy(update={"cache": "cold"}).label == "batched n=64,d=8 float32 forward cold"


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
    outcome = Outcome(
        implementation="loop", probe="n 2", dtype="float32", device="cpu", direction="backward", seed=0, status="ok"
    )
    assert outcome.title == "n 2, backward"


def test_facts_are_frozen_and_refuse_what_they_do_not_know():
    case = runs.ok_case()
    with pytest.raises(ValidationError, match="frozen"):
        case.dtype = "float64"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Case.model_validate({**case.model_dump(), "colour": "red"})


def test_a_record_survives_its_line_of_json_with_infinities_as_null():
    record = runs.ok_record()
    assert Record.model_validate_json(record.model_dump_json(by_alias=True)) == record
    assert '"schema":' in record.model_dump_json(by_alias=True)
    check = Check(name="max", error=float("inf"), budget=1.0, ratio=None)
    assert '"error":null' in check.model_dump_json()


def test_what_was_skipped_is_a_status_and_what_failed_is_not_skipped():
    assert set(get_args(Status)) > SKIPPED
    assert not SKIPPED & {"ok", "disagreed", "oom", "timeout", "crashed", "fallback", "invalid"}
