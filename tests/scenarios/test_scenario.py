"""A scenario is data: expanded exactly, with ties, constraints, and the axes that a user sets."""

from __future__ import annotations

import pytest

from scenarios import catalog
from scenarios.scenario import Axis, Constraint, Scenario


def test_a_slow_implementation_is_not_asked_for_large_sizes():
    scenario = catalog.find("sequence-length")
    points, _ = scenario.points()
    assert max(p["n"] for p in points if not scenario.is_too_large(p, implementation="loop")) == 2048
    assert not any(scenario.is_too_large(point, implementation="batched") for point in points)


def test_a_tied_axis_follows():
    points, _ = catalog.find("heads-fixed-width").on_device("cpu").points()
    assert all(point["heads"] * point["d"] == 256 for point in points)


def test_a_tie_that_is_not_whole_drops_the_point_with_the_reason():
    scenario = Scenario(name="x", question="?", axes=[Axis(name="heads", values=[2, 3], tied={"d": "8 / heads"})])
    kept, dropped = scenario.points()
    assert kept == [{"heads": 2, "d": 4}]
    assert dropped[0][1] == "d = 8 / heads is not whole at heads = 3"


def test_a_constraint_drops_points_with_its_reason():
    scenario = Scenario(
        name="x",
        question="?",
        axes=[Axis(name="n", values=[10, 20])],
        base={"heads": 2},
        constraints=[Constraint(product=["n", "n", "heads"], at_most=200, reason="too large")],
    )
    kept, dropped = scenario.points()
    assert [point["n"] for point in kept] == [10]
    assert dropped == [({"heads": 2, "n": 20}, "too large (n * n * heads = 800 > 200)")]


def test_an_axis_given_by_the_user_replaces_or_joins_the_sweep():
    scenario = catalog.find("smoke").with_axes({"n": [8], "causal": [True, False]})
    points, _ = scenario.points()
    assert [(point["n"], point["causal"]) for point in points] == [(8, True), (8, False)]


def test_an_axis_that_follows_another_cannot_be_set():
    with pytest.raises(ValueError, match="'d' of scenario 'heads-fixed-width' follows another axis"):
        catalog.find("heads-fixed-width").with_axes({"d": [64]})


def test_n_takes_the_place_of_both_lengths():
    pooling = catalog.find("pooling").with_axes({"n": [32, 64]})
    points, _ = pooling.points()
    assert {frozenset(point) & {"n", "n_q", "n_k"} for point in points} == {frozenset({"n"})}
    both = catalog.find("pooling").with_axes({"n": [32], "n_q": [8]})
    assert {(point["n"], point["n_q"]) for point in both.points()[0]} == {(32, 8)}
