"""Intervals hold what they promise, flags tell trouble from noise, and sampling stops only where it may look."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from harness.policy import TimingPolicy
from harness.stats.samples import (
    autocorrelation_time,
    best_of,
    has_drift,
    is_bimodal,
    median_interval,
    round_interval,
    summarise,
)

POLICY = TimingPolicy()


def noisy_rounds(generator, *, rounds=7, size=4, noise=0.02, between=0.0, centre=1e-3):
    return [
        list(centre * np.exp(generator.normal(shift, noise, size))) for shift in generator.normal(0, between, rounds)
    ]


def correlated(generator, count, *, rho=0.8, deviation=0.03):
    steps = generator.normal(0, deviation * math.sqrt(1 - rho**2), count)
    values, state = [], generator.normal(0, deviation)
    for step in steps:
        state = rho * state + step
        values.append(math.exp(state))
    return values


def test_five_samples_have_no_interval():
    interval = median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert interval.median == 3.0
    assert interval.low is None
    assert interval.high is None


def test_six_samples_have_the_whole_range():
    interval = median_interval([6.0, 1.0, 5.0, 2.0, 4.0, 3.0])
    assert (interval.low, interval.high) == (1.0, 6.0)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="no samples"):
        median_interval([])


def test_the_rank_interval_covers_the_median_of_independent_samples():
    generator = np.random.default_rng(1)
    intervals = [median_interval(generator.normal(1.0, 0.02, 40)) for _ in range(600)]
    covered = np.mean([interval.low <= 1.0 <= interval.high for interval in intervals])
    # 95 % nominal, discrete ranks make it a little more; three binomial deviations of 600 are 2.7 %.
    assert 0.923 <= covered <= 0.995


def test_autocorrelation_widens_the_interval_enough_to_cover():
    generator = np.random.default_rng(2)
    series = [correlated(generator, 300) for _ in range(300)]
    intervals = [median_interval(samples) for samples in series]
    covered = np.mean([i.low is not None and i.low <= 1.0 <= i.high for i in intervals])
    naive = []
    for samples in series:
        shuffled = generator.permutation(samples)  # the same values with their order forgotten
        interval = median_interval(shuffled)
        naive.append(interval.low <= 1.0 <= interval.high)
    assert covered >= 0.85
    assert np.mean(naive) <= 0.75  # the rule can fail: without the order it does


def test_independent_samples_have_an_autocorrelation_time_near_one():
    generator = np.random.default_rng(3)
    times = [autocorrelation_time(generator.normal(0, 1, 400), threshold=0.0) for _ in range(50)]
    assert np.median(times) < 1.3
    assert autocorrelation_time(correlated(generator, 4000), threshold=1.0) > 4.0


def test_one_round_has_no_interval_between_rounds():
    assert round_interval([[1.0, 1.1, 1.2]]) is None


def test_the_round_interval_covers_drift_that_the_rank_interval_misses():
    generator = np.random.default_rng(4)
    ranks, rounds = [], []
    for _ in range(400):
        data = noisy_rounds(generator, rounds=7, size=20, noise=0.003, between=0.02, centre=1.0)
        pooled = median_interval(data[0])
        ranks.append(pooled.low <= 1.0 <= pooled.high)
        centre, half = round_interval(data)
        rounds.append(abs(centre) <= half)
    assert np.mean(rounds) >= 0.92
    assert np.mean(ranks) <= 0.4


def test_the_summary_is_as_wide_as_the_wider_of_its_two_intervals():
    generator = np.random.default_rng(5)
    data = noisy_rounds(generator, rounds=7, size=10, between=0.03)
    flat = [sample for visit in data for sample in visit]
    summary, ranks, rounds = summarise(data, policy=POLICY), median_interval(flat), round_interval(data)
    assert summary.median == ranks.median
    assert summary.low <= ranks.low <= ranks.high <= summary.high
    assert summary.half_width >= rounds[1] * (1 - 1e-9)


def test_a_slow_case_with_one_sample_a_round_has_an_interval_from_its_rounds():
    summary = summarise([[1.00], [1.01], [0.99], [1.02], [1.00]], policy=POLICY)
    assert summary.low < 1.0 < summary.high


def test_a_single_round_of_few_samples_has_none_and_is_wide():
    summary = summarise([[1.0, 1.0, 1.0]], policy=POLICY)
    assert (summary.low, summary.high, summary.half_width) == (None, None, None)
    assert "wide" in summary.flags


def test_best_is_the_second_smallest():
    assert best_of([3.0, 1.0, 2.0, 4.0]) == 2.0
    assert best_of([3.0]) == 3.0


def test_best_comes_from_the_half_with_the_calmer_canary():
    assert best_of([1.0, 1.1, 2.0, 2.1], [1.5, 1.6, 1.0, 1.01]) == 2.1


def test_the_canary_never_drops_a_sample_from_the_median():
    rounds = [[1.0, 1.0, 9.0], [9.0, 9.0, 9.0]]
    canary = [[1.0, 1.0, 3.0], [3.0, 3.0, 3.0]]
    summary = summarise(rounds, canary, policy=POLICY)
    assert summary.median == 9.0
    assert summary.best == 1.0
    assert "contaminated" in summary.flags


def test_a_calm_canary_is_no_contamination():
    rounds = noisy_rounds(np.random.default_rng(6))
    canary = [[1.01] * len(visit) for visit in rounds]
    assert "contaminated" not in summarise(rounds, canary, policy=POLICY).flags


def test_a_canary_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        summarise([[1.0, 1.0]], [[1.0]], policy=POLICY)


def test_two_modes_are_told_from_one():
    generator = np.random.default_rng(7)
    one = [np.exp(generator.normal(0, 0.02, 80)) for _ in range(200)]
    two = [np.exp(generator.normal(0, 0.02, 80)) * np.where(generator.random(80) < 0.3, 1.2, 1) for _ in range(200)]
    assert np.mean([is_bimodal(samples) for samples in one]) <= 0.01
    assert np.mean([is_bimodal(samples) for samples in two]) >= 0.9


def test_too_few_samples_are_never_called_bimodal():
    assert not is_bimodal([1.0] * 10 + [2.0] * 10)


def test_drift_beyond_the_noise_is_flagged():
    steady = [[1.0, 1.001, 0.999]] * 6
    climbing = [[1.0 + 0.02 * index] * 3 for index in range(6)]
    assert not has_drift(steady, half_width=0.001, at_least=0.02)
    assert has_drift(climbing, half_width=0.001, at_least=0.02)
    assert not has_drift(climbing, half_width=0.2, at_least=0.02)


def test_statistics_import_neither_torch_nor_scipy():
    code = "import sys, harness.stats.samples; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
