"""Costs that do not grow are said to be flat, with how far that is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.scaling.flatness import flat_sentence, flatness, growth_sentence

POLICY = ScalingPolicy()
SIZES = [64 * 2**i for i in range(10)]
# NVIDIA/RULER PR 102: a closed binary said to be O(N log N).
BINARY = dict(
    zip(
        [4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 824681, 2622655],
        [14.276, 14.282, 14.276, 14.239, 14.231, 14.184, 14.4, 14.3, 14.308, 14.294],
        strict=True,
    )
)
# google/benchmark 272, nanoseconds of a constant function that was called lg N.
CONSTANT = {1: 2106, 8: 2132, 64: 2050, 512: 2032, 4096: 2041, 32768: 2264, 262144: 2128}


def costs(law, *, noise, seed=0):
    generator = np.random.default_rng(seed)
    return [law(n) * float(np.exp(generator.normal(0, noise))) for n in SIZES]


def test_a_closed_binary_that_does_no_work_is_flat_within_two_per_cent():
    found = flatness(list(BINARY), list(BINARY.values()))
    assert found is not None
    assert found.verdict(POLICY) == "consistent"
    assert flat_sentence(found, x="n") == ("it does not grow: over a range of 640 at most 2 % of the cost depends on n")


def test_five_per_cent_of_noise_is_no_law():
    found = flatness(list(CONSTANT), list(CONSTANT.values()))
    assert found is not None
    assert found.verdict(POLICY) == "consistent"
    assert 0.06 < found.high < 0.2


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0, 2.0, 3.0])
def test_growth_contradicts_flatness(power):
    found = flatness(SIZES, costs(lambda n: n**power, noise=0.02))
    assert found is not None
    assert found.verdict(POLICY) == "contradicted"
    assert "more than the 20 %" in growth_sentence(found, x="n", policy=POLICY)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_interval_holds_the_share_that_depends(power):
    held = 0
    for seed in range(200):
        found = flatness(SIZES, costs(lambda n: 0.95 + 0.05 * (n / SIZES[-1]) ** power, noise=0.01, seed=seed))
        assert found is not None
        held += found.low <= 0.05 * (1.0 - (SIZES[0] / SIZES[-1]) ** power) <= found.high
    # Of 200 intervals of 95 %, fewer than 181 hold the truth once in three hundred tries.
    assert held >= 181


def test_one_outlying_size_contradicts_nothing():
    values = costs(lambda _: 1.0, noise=0.01)
    values[-1] *= 1.6
    found = flatness(SIZES, values)
    assert found is not None
    assert found.verdict(POLICY) == "inconclusive"


def test_few_sizes_a_short_range_and_noise_leave_it_open():
    few = flatness(SIZES[:4], [1.0, 1.0, 1.0, 1.0])
    short = flatness([100, 110, 120, 130, 140], [1.0] * 5)
    noisy = flatness(SIZES, costs(lambda _: 1.0, noise=0.5))
    assert few is not None
    assert short is not None
    assert noisy is not None
    assert {found.verdict(POLICY) for found in (few, short, noisy)} == {"inconclusive"}
    assert "4 sizes are too few" in growth_sentence(few, x="n", policy=POLICY)
    assert "a range of 1.4 is too short" in growth_sentence(short, x="n", policy=POLICY)
    assert "is the most that a flat cost may have" in growth_sentence(noisy, x="n", policy=POLICY)
    assert flatness([1, 2, 3], [1.0, 1.0, 1.0]) is None
