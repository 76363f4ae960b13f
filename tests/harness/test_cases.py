"""A case is known by what defines it, and by nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.cases import Case, case_id
from tests.support import runs


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


def test_facts_are_frozen_and_refuse_what_they_do_not_know():
    case = runs.ok_case()
    with pytest.raises(ValidationError, match="frozen"):
        case.dtype = "float64"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Case.model_validate({**case.model_dump(), "colour": "red"})


def test_a_case_knows_the_default_of_what_computes_it():
    case = runs.ok_case("online:block=64", n=8)
    assert case.default == "online"
    assert case.id != runs.ok_case("online", n=8).id
    assert case.point_key == runs.ok_case("online", n=8).point_key
