"""What a case and its times say of themselves."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from harness.records import Record, Time
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
