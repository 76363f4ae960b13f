"""The sizes of the default sweeps let time decide the true law, at the noise that times repeat by."""

from __future__ import annotations

import numpy as np
import pytest

from harness.scaling.decision import CONSISTENT, CONTRADICTED, decide
from harness.scaling.fixed_part import fixed_part
from scenarios import catalog

RUNS = 300
# Standard deviation of the log ratio of two runs of one case, as measured: 2.7 % by the statistic, up to 5 % at worst.
NOISE = (0.027, 0.05)
# Fixed cost over the cost of the smallest size: heads and batch have a base at which it is under a quarter, n begins
# where a call is mostly launch, and softmax is some two thirds at d = 16.
FIXED = {"n": (0.1, 0.7), "heads": (0.05, 0.25), "batch": (0.05, 0.25), "d": (0.45, 0.7)}
EXPONENT = {"n": 2.0, "heads": 1.0, "batch": 1.0, "d": 1.0}
DECIDED = [(name, device) for name in ("sequence-length", "heads", "batch") for device in ("cpu", "cuda")]


def sizes_of(name, device):
    axis = catalog.find(name).on_device(device).axes[0]
    return axis.name, np.array(axis.values, dtype=float)


def times(axis, sizes, *, dearer=1.0, runs=RUNS, seed=1):
    """Draw [runs, m] times: fixed cost, the true law with a step of up to `dearer` somewhere, and noise."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(*FIXED[axis], (runs, 1))
    place = rng.uniform(np.log2(sizes[0]), np.log2(sizes[-1]), (runs, 1))
    step = 1 + (rng.uniform(1, dearer, (runs, 1)) - 1) / (1 + np.exp(-4 * (np.log2(sizes) - place)))
    clean = share / (1 - share) + (sizes / sizes[0]) ** EXPONENT[axis] * step
    return clean * np.exp(rng.normal(0, rng.uniform(*NOISE, (runs, 1)), clean.shape))


def verdicts(axis, sizes, **drawn):
    return decide(sizes, times(axis, sizes, **drawn), claimed=EXPONENT[axis]).verdict


@pytest.mark.parametrize(("name", "device"), DECIDED)
def test_a_default_sweep_decides_nine_of_ten_true_laws(name, device):
    axis, sizes = sizes_of(name, device)
    assert np.mean(verdicts(axis, sizes) == CONSISTENT) >= 0.9


@pytest.mark.parametrize(("name", "device"), DECIDED)
def test_a_step_as_data_leave_a_cache_is_no_contradiction(name, device):
    axis, sizes = sizes_of(name, device)
    found = verdicts(axis, sizes, dearer=1.5)
    assert np.mean(found == CONSISTENT) >= 0.85
    assert np.mean(found == CONTRADICTED) <= 0.01


def test_a_sweep_of_16_times_from_one_head_would_not():
    sizes = np.array([1, 2, 3, 4, 6, 8, 10, 12, 16], dtype=float)
    rng = np.random.default_rng(2)
    clean = rng.uniform(1.0, 4.0, (RUNS, 1)) + sizes
    found = decide(sizes, clean * np.exp(rng.normal(0, 0.05, clean.shape)), claimed=1.0).verdict
    assert np.mean(found == CONSISTENT) < 0.3


def test_along_d_the_exponent_is_known_to_half_a_power_and_the_fixed_part_to_a_few_per_cent():
    axis, sizes = sizes_of("head-dim", "cpu")
    drawn = times(axis, sizes)
    profile = decide(sizes, drawn, claimed=1.0).profile
    assert np.median(profile.high - profile.low) <= 0.5
    parts = [fixed_part(sizes, row, exponent=1.0) for row in drawn]
    assert np.mean([part.fits for part in parts]) >= 0.98
    assert np.median([part.share_high - part.share_low for part in parts]) <= 0.12


def test_the_default_run_has_few_enough_cases():
    """Seven implementations run on a CPU, one of them a loop over rows."""
    names = ["loop", *(f"other {number}" for number in range(6))]
    count = 0
    for scenario in map(catalog.find, catalog.DEFAULT):
        for point in scenario.on_device("cpu").points()[0]:
            kept = [name for name in names if name not in scenario.exclude]
            count += sum(not scenario.is_too_large(point, implementation=name) for name in kept)
    assert 200 <= count <= 270
