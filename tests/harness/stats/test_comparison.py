"""Two copies are not called different, a real difference is, and one of hundreds of cases is not luck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import polygamma

from harness.policy import ComparisonPolicy
from harness.stats import comparison

POLICY = ComparisonPolicy()
# Deviations that interleaved copies show: of a round's ratio, and of a process's mean.
ROUND, PROCESS = 0.03, 0.015


def grid(cases, *, processes, rounds, effect=0.0, seed=0, scale=None):
    """Draw the round ratios of a grid, `effect` in log time on every case."""
    rng = np.random.default_rng(seed)
    scales = np.ones(cases) if scale is None else np.exp(rng.normal(0, scale, cases))
    return {
        f"case {i}": [
            list(effect + scales[i] * (rng.normal(0, PROCESS * math.sqrt(2)) + rng.normal(0, ROUND, rounds)))
            for _ in range(processes)
        ]
        for i in range(cases)
    }


def share(outcomes, *wanted):
    return sum(one.outcome in wanted for one in outcomes.values()) / len(outcomes)


@pytest.mark.parametrize(("processes", "rounds", "at_most"), [(1, 5, 0.02), (3, 3, 0.01)])
def test_copies_are_rarely_called_different(processes, rounds, at_most):
    shares = [
        share(
            comparison.compare(grid(60, processes=processes, rounds=rounds, seed=seed), policy=POLICY),
            "faster",
            "slower",
        )
        for seed in range(50)
    ]
    assert np.mean(shares) <= at_most


def test_copies_on_a_grid_of_unequal_noise_are_rarely_called_different():
    shares = [
        share(
            comparison.compare(grid(60, processes=3, rounds=3, seed=seed, scale=0.5), policy=POLICY), "faster", "slower"
        )
        for seed in range(50)
    ]
    assert np.mean(shares) <= 0.01


def test_pooling_the_rounds_of_processes_would_fail_that():
    called = []
    for seed in range(50):
        drawn = grid(60, processes=3, rounds=10, seed=seed)
        pooled = {name: [[ratio for one in processes for ratio in one]] for name, processes in drawn.items()}
        naive = POLICY.model_copy(update={"process_deviation": 0.0, "effect_at_least": 0.0})
        called.append(share(comparison.compare(pooled, policy=naive), "faster", "slower"))
    assert np.mean(called) > 0.02


@pytest.mark.parametrize(("effect", "outcome"), [(0.15, "slower"), (-0.15, "faster")])
def test_a_real_difference_is_found(effect, outcome):
    drawn = grid(60, processes=3, rounds=3, effect=effect)
    assert share(comparison.compare(drawn, policy=POLICY), outcome) >= 0.95


def test_one_slow_case_among_many_equal_ones_is_found_alone():
    drawn = grid(60, processes=3, rounds=5)
    drawn["case 7"] = [[ratio + 0.2 for ratio in one] for one in drawn["case 7"]]
    found = comparison.compare(drawn, policy=POLICY)
    assert [name for name, one in found.items() if one.outcome in {"faster", "slower"}] == ["case 7"]
    assert found["case 7"].ratio == pytest.approx(math.exp(0.2), rel=0.1)


def test_the_interval_holds_the_truth_in_95_of_100():
    held = [
        one.low <= math.exp(0.1) <= one.high
        for seed in range(20)
        for one in comparison.compare(grid(60, processes=3, rounds=3, effect=0.1, seed=seed), policy=POLICY).values()
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_quiet_copies_are_called_the_same():
    quiet = {f"case {i}": [[0.001, -0.001, 0.0005]] * 3 for i in range(20)}
    assert share(comparison.compare(quiet, policy=POLICY), "same") == 1.0


def test_a_small_difference_is_not_worth_a_call_however_sure():
    sure = {f"case {i}": [[0.0200, 0.0201, 0.0199], [0.0200, 0.0202, 0.0198]] for i in range(20)}
    assert share(comparison.compare(sure, policy=POLICY), "same") == 1.0


def test_a_noisy_case_is_undecided_and_not_the_same():
    rng = np.random.default_rng(2)
    noisy = {f"case {i}": [list(rng.normal(0, 0.5, 3)) for _ in range(3)] for i in range(20)}
    assert share(comparison.compare(noisy, policy=POLICY), "undecided") == 1.0


def test_samples_without_scatter_give_finite_numbers():
    found = comparison.compare({"a": [[0.0, 0.0, 0.0]]}, policy=POLICY)["a"]
    assert found.ratio == 1.0
    assert 0 < found.low < 1 < found.high < math.inf


def test_one_round_of_one_process_is_refused():
    with pytest.raises(ValueError, match="two rounds or two processes"):
        comparison.compare({"a": [[0.1]]}, policy=POLICY)
    assert comparison.compare({}, policy=POLICY) == {}


def test_round_ratios_pair_the_smallest_of_each_round():
    assert comparison.round_ratios([[2.0, 1.0], [4.0]], [[3.0, 2.0], [4.0]]) == [math.log(2), 0.0]


@pytest.mark.parametrize("value", [1e-3, 0.1, 1.0, 10.0, 1e4])
def test_the_inverse_of_trigamma(value):
    assert polygamma(1, comparison.inverse_trigamma(value)) == pytest.approx(value, rel=1e-6)


def test_moderation_recovers_the_common_variance():
    rng = np.random.default_rng(0)
    freedom = np.full(500, 2.0)
    variances = 0.04 * rng.chisquare(2, 500) / 2
    shrunk, after = comparison.moderate(variances, freedom, at_least=10)
    # Three standard errors of the mean of 500 logarithms of chi-squared variates, each of deviation 1.28.
    assert np.median(shrunk) == pytest.approx(0.04, rel=3 * 1.28 / 500**0.5)
    assert after[0] > 20
    assert comparison.moderate(variances[:5], freedom[:5], at_least=10)[0] == pytest.approx(variances[:5])


def test_the_adjustment_is_that_of_scipy():
    from scipy.stats import false_discovery_control

    drawn = np.random.default_rng(1).uniform(size=200) ** 3
    assert comparison.adjusted(drawn) == pytest.approx(false_discovery_control(drawn))
    assert comparison.adjusted(np.array([0.5])) == pytest.approx([0.5])
    assert len(comparison.adjusted(np.array([]))) == 0
