"""One time per case: what moved all implementations of a moment is out, the interval holds, chance is left."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.control import LOCATION, LOCATIONS, Visited, control, locate, replicates

IMPLEMENTATIONS = 5
POINTS = 6


def visits(*, rounds=20, on_canary=0.0, on_all=0.0, noise=0.02, seed=0, points=POINTS):
    """Draw a run: each case has a level of its own; canary and the moment of a point move its samples."""
    rng = np.random.default_rng(seed)
    found, point_of = {}, {}
    for point in range(points):
        moments = rng.exponential(0.1, rounds)
        for number in range(IMPLEMENTATIONS):
            name = f"{point}/{number}"
            point_of[name] = str(point)
            canary = rng.exponential(0.1, rounds)
            level = -8.0 + point + 0.1 * number
            logs = level + on_canary * canary + on_all * moments + rng.normal(0, noise, rounds)
            found[name] = [Visited((0, r), float(logs[r]), float(canary[r])) for r in range(rounds)]
    return found, point_of


def test_the_slopes_are_those_the_run_has():
    drawn, points = visits(on_canary=0.4, on_all=0.9)
    found = control(drawn, points=points)
    assert found.beta == pytest.approx(0.4, abs=0.05)
    assert found.gamma == pytest.approx(0.9, abs=0.1)


def test_controls_that_explain_nothing_do_nothing():
    slopes = []
    for seed in range(10):
        drawn, points = visits(seed=seed)
        slopes.append(control(drawn, points=points))
    assert np.mean([found.beta for found in slopes]) < 0.02
    assert np.mean([found.gamma for found in slopes]) < 0.1


def test_what_moved_all_alike_is_out():
    drawn, points = visits(on_canary=0.4, on_all=0.9)
    found = control(drawn, points=points)
    for name, made in drawn.items():
        raw = np.std([one.seconds for one in made])
        assert np.std(found.cases[name].logs) < 0.6 * raw


def test_no_visit_is_dropped_and_order_is_that_of_time():
    drawn, points = visits(on_canary=0.4, rounds=8)
    drawn["0/0"] = [Visited(one.moment, one.seconds) for one in reversed(drawn["0/0"])]
    found = control(drawn, points=points)
    assert {name: len(series.logs) for name, series in found.cases.items()} == dict.fromkeys(drawn, 8)
    assert found.cases["0/0"].moments == [(0, index) for index in range(8)]


def test_a_case_without_canary_or_neighbours_keeps_its_samples():
    found = control({"one": [Visited((0, r), float(r)) for r in range(40)]}, points={"one": "p"})
    assert (found.beta, found.gamma) == (0.0, 0.0)
    assert found.cases["one"].logs.tolist() == [float(r) for r in range(40)]


def test_a_handful_of_visits_gives_no_slope():
    drawn, points = visits(on_canary=0.4, rounds=5, points=1)
    assert control(drawn, points=points).beta == 0.0


def test_a_wild_sample_does_not_turn_the_slope():
    drawn, points = visits(on_canary=0.4)
    first = drawn["0/0"]
    drawn["0/0"] = [Visited(one.moment, one.seconds + 5.0 * (i % 7 == 0), one.canary) for i, one in enumerate(first)]
    assert control(drawn, points=points).beta == pytest.approx(0.4, abs=0.06)


@pytest.mark.parametrize("location", list(LOCATIONS))
def test_the_mean_of_the_replicates_is_the_location(location):
    logs = np.random.default_rng(3).normal(size=12)
    assert replicates(logs, location=location).mean() == pytest.approx(LOCATIONS[location](logs))


def test_one_rare_slow_down_hardly_moves_the_location():
    calm = np.random.default_rng(5).normal(0, 0.02, 20)
    hit = np.where(np.arange(20) % 10 == 3, calm + 1.0, calm)
    assert abs(LOCATIONS[LOCATION](hit) - LOCATIONS[LOCATION](calm)) < 0.02 < abs(hit.mean() - calm.mean())


def test_rounds_too_few_have_no_interval():
    assert locate([0.0, 0.1]).low is None
    assert locate([0.0, 0.1, 0.2]).low is not None
    with pytest.raises(ValueError, match="no rounds"):
        locate([])


def test_what_a_process_cannot_show_widens_the_interval():
    logs = np.random.default_rng(4).normal(0, 1e-6, 20)
    found = locate(logs, between=0.015)
    assert math.log(found.high / found.low) / 2 == pytest.approx(1.96 * 0.015, rel=0.01)
    assert locate([1.0] * 5, between=0.015).high == pytest.approx(math.exp(1 + 1.96 * 0.015))


def test_neighbours_do_not_hide_what_moved_the_whole_run():
    drawn, points = visits(on_all=0.9)
    series = control(drawn, points=points).cases["0/0"]
    alone, honest = locate(series.logs), locate(series.logs, moved=series.moved)
    assert honest.value == alone.value
    assert math.log(honest.high / honest.low) > 1.3 * math.log(alone.high / alone.low)


def test_a_machine_of_two_speeds_has_an_interval_no_wider_than_they_lie_apart():
    """Nine rounds at one speed and twenty half as slow again, as a virtual machine was seen to change for good."""
    chance = np.random.default_rng(4)
    logs = np.concatenate([np.zeros(9), np.full(20, math.log(1.5))]) + 0.01 * chance.standard_normal(29)
    found = locate(logs, between=0.015)
    half = math.log(found.high / found.low) / 2
    # Nobody knows which speed is the machine's.
    assert 0.5 * math.log(1.5) < half <= np.ptp(logs) + 1.96 * 0.015 + 1e-12
    assert math.log(locate(logs[5:15]).high / locate(logs[5:15]).low) / 2 > np.ptp(logs[5:15])
