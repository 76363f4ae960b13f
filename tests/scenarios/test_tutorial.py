"""The tutorial's scenarios are in the catalog, carry its claims, and have points of their problems alone."""

from __future__ import annotations

import pytest

from impls import registry
from scenarios import catalog, tutorial


def test_the_tutorials_scenarios_are_in_the_catalog_and_carry_every_claim():
    names = {scenario.name for scenario in catalog.CATALOG}
    assert {"multihead", "crossover", "pooling", "tutorial", "training-with-dropout"} <= names
    claimed = {claim.id for scenario in tutorial.LESSON for claim in scenario.claims}
    assert claimed == {"A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5"}


@pytest.mark.parametrize("scenario", tutorial.SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_point_of_a_scenario_is_one_of_its_problem(scenario, device):
    points, _ = scenario.on_device(device).points()
    assert points
    for point in points:
        registry.problem(scenario.problem).parse(point)
