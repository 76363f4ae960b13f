"""The interval of a measured median holds the truth as often as promised, on streams where other rules' do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evidence.peers import coverage, rules, streams

BLOCK = 0.002
RUNS = 400
OTHERS = ("pytest-benchmark", "triton do_bench", "torch blocked_autorange", "nvbench stdrel")


def cover(name, stream, *, runs=RUNS):
    return coverage.cover(rules.RULES[name], stream, block=BLOCK, runs=runs, seed=7)


@pytest.mark.parametrize(
    ("stream", "at_least"), [(streams.INDEPENDENT, 0.94), (streams.CORRELATED, 0.90), (streams.DRIFT, 0.65)]
)
def test_our_interval_holds_the_truth(stream, at_least):
    assert cover("attnbench", stream).share >= at_least


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("stream", "at_most"), [(streams.CORRELATED, 0.65), (streams.DRIFT, 0.45)])
def test_samples_of_one_moment_do_not(name, stream, at_most):
    assert cover(name, stream, runs=150).share <= at_most + 0.05  # two standard errors of 150 runs are 8 %


def test_we_spend_no_more_time_than_nvbench():
    for stream in (streams.INDEPENDENT, streams.CORRELATED, streams.DRIFT):
        assert cover("attnbench", stream).seconds <= cover("nvbench stdrel", stream, runs=50).seconds


def test_an_interval_that_ignores_rounds_would_fail_this():
    def pooled(stream, block, rng):
        drawn = streams.visits(stream, count=5, length=3, block=block, rng=rng)
        return rules.of_independent(np.concatenate(drawn))

    assert coverage.cover(pooled, streams.CORRELATED, block=BLOCK, runs=RUNS, seed=7).share < 0.90


def test_a_stream_has_the_correlation_and_the_scatter_it_names():
    rng = np.random.default_rng(1)
    logs = np.log(streams.visits(streams.CORRELATED, count=1, length=50_000, block=BLOCK, rng=rng)[0])
    assert np.std(logs) == pytest.approx(0.03, rel=0.1)
    assert np.corrcoef(logs[1:], logs[:-1])[0, 1] == pytest.approx(0.8, abs=0.02)


def test_nvbench_stops_at_the_noise_it_names():
    assert rules.nvbench_samples(np.full(5000, 1.0) + 1e-4 * np.arange(5000) % 2, 0.002) <= 5000
    quiet = 1 + 0.001 * np.random.default_rng(0).normal(size=5000)
    assert rules.nvbench_samples(quiet, 0.002) == pytest.approx(0.5 / 0.002, abs=2)


def test_five_samples_have_no_interval():
    assert rules.of_independent(np.arange(1.0, 6.0)).low is None
    assert rules.of_independent(np.arange(1.0, 7.0)).low == 1.0
