"""Scenarios of the shapes that people run: every point is one of attention, with the heads that models have."""

from __future__ import annotations

from pathlib import Path

import pytest

from impls import registry
from scenarios import catalog, shapes
from tests.support.places import ROOT


@pytest.mark.parametrize("scenario", shapes.SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_point_is_one_of_attention(scenario, device):
    problem = registry.problem("attention")
    points, dropped = scenario.on_device(device).points()
    assert points
    assert dropped == []
    for point in points:
        problem.parse(point)
    assert len({repr(sorted(point.items())) for point in points}) == len(points)


def test_they_are_found_by_name_are_no_part_of_the_default_and_are_listed_in_the_docs():
    page = Path(ROOT / "docs/scenarios.md").read_text()
    for scenario in shapes.SCENARIOS:
        assert catalog.find(scenario.name) is scenario
        assert scenario.name not in catalog.DEFAULT
        assert f"| `{scenario.name}` |" in page


def test_models_are_met_at_each_length_with_their_own_heads():
    points, _ = catalog.find("models").on_device("cuda").points()
    assert len(points) == 3 * len(shapes.MODELS)
    asked = [point for point in points if point["n"] == 4096 and point["d"] == 192]
    assert asked == [{"batch": 1, "n": 4096, "heads": 128, "kv_heads": 128, "d": 192, "d_v": 128, "causal": True}]


def test_options_are_swept_beside_their_defaults_and_those_of_a_gpu_s_kernels_there_alone():
    scenario = catalog.find("options")
    assert {"online", "online:*"} <= set(scenario.implementations)
    assert "flash-attn-3:*" not in scenario.on_device("cpu").implementations
    assert {"flash-attn-3", "flash-attn-3:*"} <= set(scenario.on_device("cuda").implementations)


def test_decoding_has_one_query_and_lengths_that_let_time_decide():
    for device in ("cpu", "cuda"):
        points, _ = catalog.find("decode").on_device(device).points()
        assert {point["n_q"] for point in points} == {1}
        lengths = {point["n_k"] for point in points}
        assert max(lengths) / min(lengths) >= 64


def test_published_figures_keep_their_tokens_and_width():
    points, _ = catalog.find("published").on_device("cuda").points()
    assert {point["n"] * point["batch"] for point in points} == {16384}
    assert {point["heads"] * point["d"] for point in points} == {2048}
