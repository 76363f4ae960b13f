"""No law half a power away passes for the claim, over many data sets at once."""

from __future__ import annotations

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.scaling.decision import CONSISTENT, CONTRADICTED, decide

SIZES = np.array([64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096], dtype=float)


def noisy(law, *, sets, noise=0.03, seed=1, sizes=SIZES):
    """Return [sets, m] costs of a law under lognormal noise."""
    generator = np.random.default_rng(seed)
    return law(sizes)[None] * np.exp(generator.normal(0, noise, (sets, len(sizes))))


def shares(law, *, claimed, kind="component", sets=300, noise=0.03, sizes=SIZES):
    verdicts = decide(sizes, noisy(law, sets=sets, noise=noise, sizes=sizes), claimed=claimed, kind=kind).verdict
    return [float(np.mean(verdicts == code)) for code in range(3)]


def test_half_a_power_less_is_never_consistent():
    consistent, contradicted, _ = shares(lambda n: 1e-8 * n**1.5, claimed=2.0)
    assert consistent == 0.0
    assert contradicted >= 0.9


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_a_true_power_is_found_and_the_others_are_excluded(power):
    for claimed in (1.0, 2.0, 3.0):
        consistent, contradicted, _ = shares(lambda n: 1e-5 * (n / 64) ** power + 5e-6, claimed=claimed)
        if claimed == power:
            assert consistent >= 0.9
            assert contradicted <= 0.01
        else:
            assert consistent == 0.0
            assert contradicted >= 0.9


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_a_whole_power_off_is_never_consistent_in_two_thousand_trials(power):
    """The calibration table has ten thousand, with floors and transitions drawn anew."""
    verdicts = decide(SIZES, noisy(lambda n: n**power + 64.0**power, sets=2000), claimed=2.0).verdict
    assert not (verdicts == CONSISTENT).any()


def test_a_transition_of_any_place_does_not_make_another_power():
    generator = np.random.default_rng(3)
    octaves = np.log2(SIZES)
    place, height = generator.uniform(6, 12, (300, 1)), generator.uniform(1.5, 3, (300, 1))
    kinks = 1 + (height - 1) / (1 + np.exp(-(octaves - place) / 0.25))
    costs = noisy(lambda n: n**2, sets=300) * kinks
    verdicts = decide(SIZES, costs, claimed=2.0).verdict
    assert np.mean(verdicts == CONSISTENT) >= 0.9
    assert np.mean(verdicts == CONTRADICTED) <= 0.01
    bare = ScalingPolicy(transitions=(1.5,), transition_places=1)
    assert np.mean(decide(SIZES, costs, claimed=2.0, policy=bare).verdict == CONSISTENT) < 0.8  # the nuisance matters


def test_noise_widens_the_interval_and_never_makes_it_consistent_with_another_law():
    for noise in (0.1, 0.3):
        assert shares(lambda n: n**1.5, claimed=2.0, noise=noise)[CONSISTENT] <= 0.01


def test_many_data_sets_are_judged_as_each_alone():
    costs = noisy(lambda n: n**1.8, sets=40)
    together = decide(SIZES, costs, claimed=2.0, kind="layer").verdict
    alone = [decide(SIZES, row[None], claimed=2.0, kind="layer").verdict[0] for row in costs]
    assert list(together) == alone
