"""Sampling stops for precision only where it may look, at the most rounds, or without time left."""

from __future__ import annotations

import numpy as np

from harness.stats.stopping import stop
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
