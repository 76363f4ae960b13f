"""Sampling stops for precision only where it may look, at the most rounds, or without time left."""

from __future__ import annotations

import numpy as np

from harness.stats.samples import summarise
from harness.stats.stopping import is_precise, stop
from tests.harness.stats.test_samples import POLICY, noisy_rounds


def test_sampling_stops_for_precision_only_at_a_look():
    quiet = [[1.0, 1.0001, 0.9999, 1.0]] * 25
    assert [count for count in range(1, 25) if stop(quiet[:count], policy=POLICY)] == [10, 20]
    assert stop(quiet[:10], policy=POLICY) == "precision"


def test_sampling_ends_at_the_most_rounds_without_precision():
    loud = noisy_rounds(np.random.default_rng(8), rounds=40, size=1, between=0.3)
    assert stop(loud[:39], policy=POLICY) is None
    assert stop(loud, policy=POLICY) == "rounds"


def test_without_time_left_the_least_rounds_are_still_made():
    loud = noisy_rounds(np.random.default_rng(9), rounds=6, size=3, between=0.3)
    assert stop(loud[:4], policy=POLICY, seconds_left=-1.0) is None
    assert stop(loud[:6], policy=POLICY, seconds_left=-1.0) == "time budget"


def test_fewer_than_the_least_rounds_end_for_nothing():
    eager = POLICY.model_copy(update={"looks": (1, 2, 3), "rounds_at_most": 3})
    quiet = [[1.0, 1.0]] * (POLICY.rounds_at_least - 1)
    assert stop(quiet, policy=eager, seconds_left=-1.0) is None
    assert stop([], policy=eager) is None


def test_precision_is_the_half_width_over_the_median_whatever_the_unit():
    rounds = noisy_rounds(np.random.default_rng(10), rounds=10, size=4, noise=0.001, between=0.004)
    half_width = summarise(rounds, policy=POLICY).half_width
    just = POLICY.model_copy(update={"precision": half_width * 1.01})
    missed = POLICY.model_copy(update={"precision": half_width * 0.99})
    for factor in (1.0, 1e6):
        scaled = [[factor * sample for sample in visit] for visit in rounds]
        assert is_precise(scaled, policy=just)
        assert not is_precise(scaled, policy=missed)


def test_what_has_no_interval_is_never_precise():
    assert not is_precise([[1.0, 1.0]], policy=POLICY)


def test_precision_comes_before_the_most_rounds_and_both_before_the_time():
    quiet = [[1.0, 1.0]] * POLICY.rounds_at_most
    assert stop(quiet, policy=POLICY, seconds_left=-1.0) == "precision"
    loud = noisy_rounds(np.random.default_rng(11), rounds=POLICY.rounds_at_most, size=1, between=0.5)
    assert stop(loud, policy=POLICY, seconds_left=-1.0) == "rounds"
    assert stop(loud[:-1], policy=POLICY, seconds_left=0.0) == "time budget"
    assert stop(loud[:-1], policy=POLICY, seconds_left=1e-9) is None
