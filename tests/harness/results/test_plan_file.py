"""The plan as models, and plans that another version wrote."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from harness.policy import DEFAULT, FAST
from harness.results.plan_file import Plan
from scenarios import catalog


def make_plan(**changes):
    fields = {
        "created": "", "command": ["attnbench", "run"], "device": "cpu", "seed": 0, "baseline": "batched",
        "policy": FAST, "scenarios": [catalog.find("heads-fixed-width")], "cases": [],
    }  # fmt: skip
    return Plan(**fields | changes)


def stored(plan):
    """Return a plan as plan.json holds it."""
    return json.loads(json.dumps(plan.model_dump(mode="json", by_alias=True)))


def test_a_stored_plan_gives_back_its_policy_and_its_scenarios():
    plan = make_plan(scenarios=list(catalog.CATALOG))
    assert Plan.model_validate(stored(plan)) == plan


def test_the_file_holds_every_field_of_policy_and_scenario():
    document = stored(make_plan())
    assert document["policy"] == FAST.model_dump(mode="json")
    assert document["scenarios"] == [catalog.find("heads-fixed-width").model_dump(mode="json")]


def test_a_policy_with_other_constants_is_read_and_what_it_lacks_is_todays():
    document = stored(make_plan())
    document["policy"]["timing"]["a constant of old"] = 3
    document["policy"]["a group of old"] = {"x": 1}
    del document["policy"]["timing"]["confidence"], document["policy"]["gate"]
    plan = Plan.model_validate(document)
    assert plan.policy.timing.rounds_at_least == FAST.timing.rounds_at_least
    assert plan.policy.timing.confidence == DEFAULT.timing.confidence
    assert plan.policy.gate == DEFAULT.gate
    assert "a constant of old" in document["policy"]["timing"]


def test_a_scenario_with_other_fields_is_read():
    document = stored(make_plan())
    document["scenarios"][0]["colour"] = "red"
    document["scenarios"][0]["axes"][0]["spacing"] = "even"
    plan = Plan.model_validate(document)
    assert plan.scenarios == make_plan().scenarios


def test_a_wrong_value_is_refused_by_its_place():
    document = stored(make_plan())
    document["policy"]["timing"]["precision"] = "much"
    document["policy"]["timing"]["a constant of old"] = 3
    with pytest.raises(ValidationError) as refused:
        Plan.model_validate(document)
    assert [error["loc"] for error in refused.value.errors()] == [("policy", "timing", "precision")]


def test_a_tie_is_read_once_and_says_its_number_and_operator():
    axis = catalog.find("heads-fixed-width").axis("heads")
    assert {name: (tie.number, tie.operator) for name, tie in axis.ties.items()} == {"d": (256, "/")}
    assert catalog.find("heads-fixed-width").axis("n") is None
