"""One time per case: what the canary saw is out, the interval holds the truth, chance is left."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.control import LOCATION, LOCATIONS, Visited, control, locate, replicates

IMPLEMENTATIONS = 5
POINTS = 6


def visits(*, rounds=20, on_canary=0.0, noise=0.02, seed=0, points=POINTS):
    """Draw a run: each case has a level of its own, and what slows the canary moves its samples."""
    rng = np.random.default_rng(seed)
    found = {}
    for point in range(points):
        for number in range(IMPLEMENTATIONS):
            canary = rng.exponential(0.1, rounds)
            level = -8.0 + point + 0.1 * number
            logs = level + on_canary * canary + rng.normal(0, noise, rounds)
            found[f"{point}/{number}"] = [Visited((0, r), float(logs[r]), float(canary[r])) for r in range(rounds)]
    return found


def test_the_slope_is_that_of_the_run():
    assert control(visits(on_canary=0.4)).beta == pytest.approx(0.4, abs=0.05)


def test_a_canary_that_explains_nothing_does_nothing():
    assert np.mean([control(visits(seed=seed)).beta for seed in range(10)]) < 0.02


def test_what_the_canary_saw_is_out():
    drawn = visits(on_canary=0.4)
    found = control(drawn)
    share = [np.std(found.cases[name].logs) / np.std([one.seconds for one in made]) for name, made in drawn.items()]
    assert np.median(share) < 0.6


def test_no_time_lies_below_all_its_samples_for_what_others_met():
    """Others of a point met slow moments that one case did not: its time stays among its samples."""
    rng = np.random.default_rng(6)
    slow = [Visited((0, r), -8.0 + float(rng.exponential(0.3)), 0.0) for r in range(20)]
    steady = [Visited((0, r), -5.0 + float(rng.normal(0, 0.01)), 0.0) for r in range(20)]
    logs = control({"slow": slow, "steady": steady}).cases["steady"].logs
    assert min(one.seconds for one in steady) <= math.log(locate(logs).value) <= max(one.seconds for one in steady)


def test_no_visit_is_dropped_and_order_is_that_of_time():
    drawn = visits(on_canary=0.4, rounds=8)
    drawn["0/0"] = [Visited(one.moment, one.seconds) for one in reversed(drawn["0/0"])]
    found = control(drawn)
    assert {name: len(series.logs) for name, series in found.cases.items()} == dict.fromkeys(drawn, 8)
    assert found.cases["0/0"].moments == [(0, index) for index in range(8)]


def test_a_case_without_canary_keeps_its_samples():
    found = control({"one": [Visited((0, r), float(r)) for r in range(40)]})
    assert found.beta == 0.0
    assert found.cases["one"].logs.tolist() == [float(r) for r in range(40)]


def test_a_handful_of_visits_gives_no_slope():
    assert control(visits(on_canary=0.4, rounds=5, points=1)).beta == 0.0


def test_a_wild_sample_does_not_turn_the_slope():
    drawn = visits(on_canary=0.4)
    first = drawn["0/0"]
    drawn["0/0"] = [Visited(one.moment, one.seconds + 5.0 * (i % 7 == 0), one.canary) for i, one in enumerate(first)]
    assert control(drawn).beta == pytest.approx(0.4, abs=0.06)


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


def test_a_machine_of_two_speeds_has_an_interval_no_wider_than_they_lie_apart():
    """Nine rounds at one speed and twenty half as slow again, as a virtual machine was seen to change for good."""
    chance = np.random.default_rng(4)
    logs = np.concatenate([np.zeros(9), np.full(20, math.log(1.5))]) + 0.01 * chance.standard_normal(29)
    found = locate(logs, between=0.015)
    half = math.log(found.high / found.low) / 2
    # Nobody knows which speed is the machine's.
    assert 0.5 * math.log(1.5) < half <= np.ptp(logs) + 1.96 * 0.015 + 1e-12
    assert math.log(locate(logs[5:15]).high / locate(logs[5:15]).low) / 2 > np.ptp(logs[5:15])
