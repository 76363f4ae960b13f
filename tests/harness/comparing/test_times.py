"""Two runs of one code are rarely called different, a real slow-down is found, a machine that moved is none."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparing import times
from harness.comparing.compare import compare
from harness.policy import ComparisonPolicy
from harness.stats import control
from harness.stats.control import locate
from tests.support.comparisons import NAMES, PROCESS, drawn

POLICY = ComparisonPolicy()
SAME = dict.fromkeys(NAMES, "one source")
RUNS = 20


def share(changes, *outcomes):
    return sum(one.outcome in outcomes for one in changes.cases) / len(changes.cases)


def pairs(**new):
    """Yield comparisons of drawn runs."""
    for seed in range(RUNS):
        yield compare(drawn(seed=2 * seed), drawn(seed=2 * seed + 1, **new), policy=POLICY)


@pytest.mark.parametrize("rounds", [5, 8, 20])
def test_the_variance_of_rounds_is_found_again_in_an_interval(rounds):
    logs = np.random.default_rng(rounds).normal(0, 0.03, rounds)
    alone, whole = locate(logs), locate(logs, between=PROCESS)
    sides = [
        times.Side(
            seconds=np.array([one.value]), low=np.array([one.low]), high=np.array([one.high]),
            rounds=np.array([float(rounds)]), between=np.array([between]), is_allowed=np.array([True]),
        )
        for one, between in ((alone, 0.0), (whole, PROCESS))
    ]  # fmt: skip
    first, second = (times.within(one, confidence=0.95)[0] for one in sides)
    assert first == pytest.approx(second, rel=1e-4)
    assert first == pytest.approx(control._variance(logs, location=control.LOCATION), rel=1e-4)


@pytest.mark.parametrize("rounds", [6, 20])
def test_two_runs_of_one_code_are_rarely_called_different(rounds):
    called = [
        share(
            compare(drawn(seed=2 * s, rounds=rounds), drawn(seed=2 * s + 1, rounds=rounds), policy=POLICY),
            "faster",
            "slower",
        )
        for s in range(RUNS)
    ]
    assert np.mean(called) <= 0.02


def test_without_what_differs_between_processes_that_would_fail():
    called = []
    for seed in range(RUNS):
        naive = [
            drawn(seed=2 * seed + i, rounds=60, process=0.03).model_copy(update={"process_deviation": 0.0})
            for i in range(2)
        ]
        called.append(share(compare(*naive, policy=POLICY), "faster", "slower"))
    assert np.mean(called) > 0.02


def test_processes_that_scatter_more_than_the_policy_knows_are_seen_where_sources_are_the_same():
    called, blind = [], []
    for seed in range(RUNS):
        for found, digests in ((called, SAME), (blind, None)):
            sides = [drawn(seed=2 * seed + i, process=0.04, digests=digests) for i in range(2)]
            found.append(share(compare(*sides, policy=POLICY), "faster", "slower"))
    assert np.mean(called) <= 0.02
    assert np.mean(blind) > np.mean(called)


def test_a_machine_that_moved_makes_no_case_slower_where_sources_are_the_same():
    called, blind = [], []
    for seed in range(RUNS):
        for found, digests in ((called, SAME), (blind, None)):
            sides = [drawn(seed=2 * seed + i, shift=0.12 * i, digests=digests) for i in range(2)]
            found.append(share(compare(*sides, policy=POLICY), "faster", "slower"))
    assert np.mean(called) <= 0.02
    assert np.mean(blind) > 0.9


def test_a_canary_that_moved_widens_every_interval():
    before = compare(drawn(seed=0, canary_floor=1e-3), drawn(seed=1, canary_floor=1e-3), policy=POLICY)
    after = compare(drawn(seed=0, canary_floor=1e-3), drawn(seed=1, canary_floor=1.1e-3), policy=POLICY)
    assert after.moved.canary == pytest.approx(1.1)
    for one, two in zip(before.cases, after.cases, strict=True):
        assert two.high / two.low > 1.3 * one.high / one.low


def test_a_tenth_slower_at_large_sizes_is_found_and_never_called_faster():
    found, faster, elsewhere = [], [], []
    for changes in pairs(effect=lambda name, place: np.log(1.10) * (name == "batched" and place >= 5)):
        slow = [one for one in changes.cases if one.case.implementation == "batched" and one.case.point["n"] > 320]
        rest = [one for one in changes.cases if one not in slow]
        found.append(np.mean([one.outcome == "slower" for one in slow]))
        faster.append(any(one.outcome == "faster" for one in slow))
        elsewhere.append(np.mean([one.outcome in {"faster", "slower"} for one in rest]))
    # The standard deviation of a ratio is 2.6 % here: what isn't found is inconclusive.
    assert np.mean(found) > 0.6
    assert not any(faster)
    assert np.mean(elsewhere) <= 0.02


def test_a_fifth_slower_is_found_wherever_it_is():
    found = [
        share(changes, "slower") for changes in pairs(effect=lambda name, _: np.log(1.20) * (name == "sdpa-flash"))
    ]
    assert np.mean(found) == pytest.approx(1 / len(NAMES), abs=0.01)


def test_the_interval_of_a_ratio_holds_the_truth_in_95_of_100():
    held = [
        one.low <= 1.1 <= one.high
        for changes in pairs(effect=lambda _name, _place: np.log(1.1))
        for one in changes.cases
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_the_mean_of_an_implementation_is_no_surer_than_one_process_allows():
    changes = compare(drawn(seed=0, sizes=60), drawn(seed=1, sizes=60), policy=POLICY)
    for mean in changes.means:
        assert mean.cases == 60
        assert np.log(mean.high / mean.low) / 2 >= 1.96 * PROCESS
        assert mean.low < 1.0 < mean.high


def test_controls_are_cases_of_three_implementations_or_more():
    few = {"batched": "one source", "online": "one source"}
    sides = [drawn(seed=i, shift=0.2 * i, digests=few) for i in range(2)]
    changes = compare(*sides, policy=POLICY)
    assert changes.moved.unchanged is None
    assert share(changes, "slower") > 0.9


def test_where_software_changed_no_case_is_a_control():
    sides = [drawn(seed=i, shift=0.2 * i, digests=SAME) for i in range(2)]
    newer = sides[1].model_copy(update={"stable": {**sides[1].stable, "torch": "2.14.0+cpu"}})
    assert share(compare(sides[0], newer, policy=POLICY), "slower") > 0.9
    assert share(compare(*sides, policy=POLICY), "slower") < 0.1
