"""Visits follow scatter over the root of cost, within what was had, what is enough and what time there is."""

from __future__ import annotations

import numpy as np
import pytest

from harness.policy import TimingPolicy
from harness.stats import allocation
from harness.stats.allocation import Demand, is_due, scatters, visits

POLICY = TimingPolicy(rounds_at_most=1000, looks=(6, 1000), precision=0.001)


def test_visits_are_in_proportion_to_scatter_over_the_root_of_the_cost():
    demands = [Demand(1, 0.1, 1.0), Demand(1, 0.2, 1.0), Demand(1, 0.1, 4.0)]
    first, second, third = visits(demands, seconds=400.0, policy=POLICY)
    assert second == pytest.approx(2 * first, abs=1)
    assert third == pytest.approx(first / 2, abs=1)
    assert (first - 1) + (second - 1) + 4 * (third - 1) <= 400.0


def test_no_other_split_of_the_time_gives_less_variance():
    demands = [Demand(1, 0.1, 1.0), Demand(1, 0.3, 2.0)]
    found = visits(demands, seconds=200.0, policy=POLICY)
    variance = sum(one.scatter**2 / count for one, count in zip(demands, found, strict=True))
    others = [0.1**2 / (1 + k) + 0.3**2 / (1 + (200 - k) // 2) for k in range(200)]
    assert variance <= 1.03 * min(others)


def test_what_was_visited_stays_and_time_bounds_the_rest():
    demands = [Demand(20, 0.01, 1.0), Demand(5, 0.5, 1.0)]
    assert visits(demands, seconds=0.0, policy=POLICY) == [20, 5]
    assert visits(demands, seconds=10.0, policy=POLICY) == [20, 15]


def test_no_case_gets_more_than_its_precision_needs():
    policy = TimingPolicy(precision=0.02, looks=(10, 20, 30, 40), rounds_at_most=40)
    still, loud = Demand(6, 0.02, 0.01), Demand(6, 0.5, 0.01)
    assert visits([still, loud], seconds=1e6, policy=policy) == [10, 40]
    # One that is at its look and not precise goes on to the next.
    assert visits([Demand(10, 0.02, 0.01)], seconds=1e6, policy=policy) == [20]


def test_a_lucky_case_is_drawn_towards_the_others():
    rng = np.random.default_rng(3)
    rounds = [[[float(np.exp(rng.normal(0.0, 0.1)))] for _ in range(6)] for _ in range(40)]
    lucky = [[1.0]] * 6
    found = scatters([*rounds, lucky], policy=TimingPolicy())
    assert 0.05 < found[-1] < 0.1
    assert scatters([[[1.0]]], policy=TimingPolicy()) == [1.0]


def test_rounds_of_a_smaller_share_are_among_those_of_a_larger_one_and_evenly_spread():
    small, large = ([number for number in range(32) if is_due(number, share=share)] for share in (0.25, 0.6))
    assert set(small) < set(large)
    assert small == [0, 4, 8, 12, 16, 20, 24, 28]
    assert all(is_due(number, share=1.0) for number in range(1000))
    assert not any(is_due(number, share=0.0) for number in range(1000))
    assert allocation.is_due(0, share=1e-9)
