"""Why a law was judged as it was follows from the gate or the interval that decided, and advice from the same."""

from __future__ import annotations

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.scaling.combs import Comb
from harness.scaling.decision import decide
from harness.scaling.reasons import (
    DominantTerm,
    ExponentInterval,
    FixedCost,
    JudgeApart,
    LowerTermPossible,
    MeasureSizes,
    RepeatSizes,
    Scatter,
    ShortRange,
    TooFewSizes,
    advice_of,
    reason_of,
)

SIZES = np.array([64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096], dtype=float)
POLICY = ScalingPolicy()


def told(costs, *, sizes=SIZES, claimed=2.0, kind="component", rivals=(), policy=POLICY):
    decisions = decide(sizes, np.asarray(costs, dtype=float)[None], claimed=claimed, kind=kind, policy=policy)
    reason = reason_of(decisions, sizes, claimed=claimed, rivals=list(rivals), policy=policy)
    return reason, advice_of(decisions, sizes, policy=policy)


def test_a_decided_law_has_its_interval_and_nothing_to_decide():
    reason, wanted = told(1e-9 * SIZES**2)
    assert isinstance(reason, ExponentInterval)
    assert (reason.where, reason.band_low, reason.band_high) == ("inside", 1.75, 2.25)
    assert reason.low <= 2.0 <= reason.high
    assert wanted is None
    reason, wanted = told(1e-9 * SIZES)
    assert (reason.where, wanted) == ("outside", None)
    assert reason.high < 1.75


def test_the_band_is_the_policys():
    reason, _ = told(1e-9 * SIZES**2, policy=ScalingPolicy(band=0.4))
    assert (reason.band_low, reason.band_high) == (1.6, 2.4)


@pytest.mark.parametrize(
    ("claimed", "rival", "possible"),
    [(2.0, "n^2 log n", True), (1.0, "n log n", True), (2.0, "n log n", False), (1.0, "n^2 log n", False)],
)
def test_a_log_factor_is_possible_where_the_rival_of_the_claim_fits(claimed, rival, possible):
    reason, _ = told(1e-9 * SIZES**claimed, claimed=claimed, rivals=[rival, "n^3"])
    assert reason.up_to_logarithm is possible


def test_too_few_sizes_come_before_every_other_reason():
    few = np.array([64.0, 65.0, 66.0])
    reason, wanted = told([1.0, 9.0, 2.0], sizes=few)
    assert reason == TooFewSizes(sizes=3, at_least=POLICY.sizes_at_least)
    assert wanted == MeasureSizes(sizes=POLICY.sizes_advised, start=64.0, end=64.0 * POLICY.range_advised)


def test_a_short_range_is_told_with_its_ratio():
    short = np.linspace(64, 128, 9)
    reason, wanted = told(short**2, sizes=short)
    assert reason == ShortRange(ratio=2.0, at_least=POLICY.range_at_least)
    assert (wanted.start, wanted.end) == (64.0, 64.0 * POLICY.range_advised)


def test_a_fixed_cost_is_told_with_its_shares_and_measured_past():
    reason, wanted = told(1.0 + 1e-8 * SIZES**2)
    assert isinstance(reason, FixedCost)
    assert reason.cost == pytest.approx(1.0, rel=0.01)
    assert (reason.smallest, reason.largest) == (64.0, 4096.0)
    assert 1.0 >= reason.share_at_smallest > reason.share_at_largest
    assert wanted.past_fixed_cost
    # From the last size that the fixed cost hides on.
    assert wanted.start == 4096.0


def test_scatter_asks_for_the_same_sizes_again():
    noise = np.random.default_rng(3).normal(0, 0.8, len(SIZES))
    reason, wanted = told(SIZES**2 * np.exp(noise))
    assert isinstance(reason, Scatter)
    assert reason.residual > POLICY.noise_at_most
    assert wanted == RepeatSizes(sizes=len(SIZES), precision=0.01)
    dear = Comb(multiple=2, ratio=1.4)
    decisions = decide(SIZES, (SIZES**2 * np.exp(noise))[None], claimed=2.0, policy=POLICY)
    reason = reason_of(decisions, SIZES, claimed=2.0, rivals=[], policy=POLICY, comb=dear)
    assert reason.comb == dear
    assert advice_of(decisions, SIZES, policy=POLICY, comb=dear) == JudgeApart(multiple=2)


def test_an_interval_across_the_bands_edge_asks_for_a_wider_range():
    reason, wanted = told(1e-9 * SIZES**2.25)
    assert reason.where == "partly inside"
    assert wanted == MeasureSizes(sizes=17, start=64.0, end=64.0 * 128, precision=0.01)


def test_a_lower_term_is_told_where_it_decides_and_where_it_might():
    # At the largest size the square is two thirds of the cost, then a third.
    reason, wanted = told(1e-9 * SIZES**2 + 2e-6 * SIZES, kind="layer")
    assert (reason, wanted) == (DominantTerm(band_low=1.75, band_high=2.25), None)
    reason, wanted = told(1e-9 * SIZES**2 + 8e-6 * SIZES, kind="layer")
    assert isinstance(reason, LowerTermPossible)
    assert (reason.claimed, wanted.precision) == (2.0, 0.01)
    assert reason.high < 2.0


def test_no_advice_ends_below_what_was_measured():
    for costs in (1.0 + 1e-8 * SIZES**2, 1e-9 * SIZES**2.25):
        _, wanted = told(costs)
        assert wanted.end > SIZES[-1]
