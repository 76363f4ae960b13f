"""Sizes that cost more since they are no multiples are told apart from noise, and named by the multiple."""

from __future__ import annotations

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.scaling import combs
from harness.scaling.combs import RATIOS, comb
from harness.scaling.judgement import judge_law
from harness.scaling.reasons import JudgeApart

POLICY = ScalingPolicy()
SIZES = np.array([64, 127, 128, 255, 256, 511, 512, 1023, 1024, 2047, 2048, 4096], dtype=float)


def named(sizes, costs):
    return comb(sizes, costs, policy=POLICY)


def costs(sizes, *, multiple, ratio, noise=0.01, floor=5e-6):
    random = np.random.default_rng(4)
    dear = np.where(sizes % multiple != 0, ratio, 1.0)
    return (floor + 1e-9 * sizes**2 * dear) * np.exp(random.normal(0.0, noise, len(sizes)))


def test_dear_odd_sizes_are_named_with_what_they_cost_more():
    found = named(SIZES, costs(SIZES, multiple=2, ratio=1.4))
    assert found.multiple == 2
    assert found.ratio == pytest.approx(1.4, rel=0.04)
    judged = judge_law(SIZES.tolist(), costs(SIZES, multiple=2, ratio=1.5).tolist(), claimed=2.0)
    assert (judged.verdict, judged.reason.kind, judged.reason.comb.multiple) == ("inconclusive", "scatter", 2)
    assert judged.to_decide == JudgeApart(multiple=2)


def test_the_multiple_is_the_one_that_explains_most():
    sizes = np.array([64, 80, 96, 128, 144, 208, 256, 272, 400, 512, 528, 1008, 1024, 2048, 2064], dtype=float)
    assert named(sizes, costs(sizes, multiple=64, ratio=1.3)).multiple == 64
    # All are multiples of 8.
    assert named(sizes, costs(sizes, multiple=8, ratio=1.3, noise=0.02)) is None


def test_noise_few_sizes_and_fractions_are_no_comb():
    random = np.random.default_rng(7)
    found = [named(SIZES, 1e-9 * SIZES**2 * np.exp(random.normal(0.0, 0.3, len(SIZES)))) for _ in range(5)]
    assert found == [None] * 5
    few = SIZES[:4]
    assert named(few, costs(few, multiple=2, ratio=3.0)) is None
    assert named(SIZES + 0.5, costs(SIZES, multiple=2, ratio=3.0)) is None


def test_few_ratios_are_fitted_and_each_parting_of_the_sizes_once(monkeypatch):
    fitted, profile = [], combs.exponent_profile

    def counted(sizes, costs, *, policy):
        fitted.append(len(costs))
        return profile(sizes, costs, policy=policy)

    monkeypatch.setattr(combs, "exponent_profile", counted)
    # Odd sizes are parted from the others alike by 2 to 64, with 64 by 128.
    assert named(SIZES, costs(SIZES, multiple=2, ratio=0.7)).ratio == pytest.approx(0.7, rel=0.04)
    assert sum(fitted) < 0.6 * len(RATIOS)
