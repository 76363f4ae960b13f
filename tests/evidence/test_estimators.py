"""Two simulated runs: the statistic of a time repeats well, and its interval holds what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.control import LOCATION, locate
from tests.evidence import estimators

RUNS = 50
OURS = (LOCATION, "less canary")
CONTROLS = ("as it is", "less canary")


def ours(kind, rounds):
    (row,) = estimators.rows(kind, rounds, runs=RUNS, locations=OURS[:1], controls_of=OURS[1:])
    return row


@pytest.mark.parametrize("kind", estimators.KINDS)
@pytest.mark.parametrize("rounds", [8, 20, 40])
def test_the_interval_holds_the_truth_and_two_runs_agree(kind, rounds):
    row = ours(kind, rounds)
    # 92 % where the whole machine drifts, 93 to 97 % elsewhere; 50 runs that share disturbances leave two points.
    assert 0.90 <= row.held <= 0.99
    assert row.agree >= 0.90


def test_under_shared_disturbance_the_controls_bring_runs_together():
    rows = estimators.rows("shared", 20, runs=RUNS, locations=(LOCATION, "median"), controls_of=CONTROLS)
    found = {(row.location, row.controls): row.apart for row in rows}
    assert found[OURS] < 0.9 * found["median", "as it is"]
    assert found["median", OURS[1]] < found["median", "as it is"]


def test_where_nothing_is_shared_the_controls_cost_nothing():
    rows = estimators.rows("independent", 20, runs=RUNS, locations=(LOCATION,), controls_of=CONTROLS)
    found = {(row.location, row.controls): row.apart for row in rows}
    assert found[OURS] == pytest.approx(found[LOCATION, "as it is"], rel=0.05)


def test_an_interval_without_the_process_would_miss():
    rng = np.random.default_rng(3)
    drawn = [[one.logs for one in estimators.run("independent", 20, rng)["as it is"].values()] for _ in range(10)]
    found = [locate(logs) for one in drawn for logs in one]
    centre = np.mean([np.log(one.value) for one in found])
    assert np.mean([one.low <= np.exp(centre) <= one.high for one in found]) < 0.9
