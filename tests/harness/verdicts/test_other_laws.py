"""Exponential growth, what a causal mask saves, and being faster: judged by counts, by ratios of rounds, by memory."""

from __future__ import annotations

import pytest

from harness.records import Time
from harness.results.reasons import FiniteDegree
from harness.verdicts.judging import judge_claims
from scenarios.claims import (
    A5,
    A6,
    B5,
)
from tests.support.sweeps import SIZES, counts, degrees, overall, record, scenario, square, sweep


def test_growth_is_not_exponential():
    verdict = overall(judge_claims(sweep(square), [scenario(A5)], [degrees()]))
    assert verdict.verdict == "refuted"
    assert verdict.reason == FiniteDegree(axis="n", degree=2)
    assert overall(judge_claims(sweep(square), [scenario(A5)])).verdict == "contradicted"


def test_exponential_times_are_not_taken_for_a_power():
    records = sweep(lambda n: 1e-6 * 2.0 ** (n / 256), noise=0.01)
    assert overall(judge_claims(records, [scenario(A5)])).verdict == "inconclusive"


def test_a_faster_kernel_of_less_memory_is_said_to_be_so():
    records = sweep(square, memory=lambda n: 16 * n * n)
    records += sweep(lambda n: square(n) / 2, memory=lambda n: 64 * n, implementation="sdpa-flash")
    verdict = overall(judge_claims(records, [scenario(A6)]))
    assert verdict.verdict == "confirmed"
    row = next(v for v in judge_claims(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert row.verdict == "consistent"
    assert (row.reason.baseline, row.reason.n) == ("batched", 4096)
    assert 1 / row.reason.ratio == pytest.approx(2.0, rel=0.1)


def test_what_slows_a_round_slows_both_of_a_pair():
    """Rounds differ threefold, and still the ratio is known within a few per cent."""
    records = []
    for name, factor in (("batched", 1.0), ("sdpa-flash", 0.5)):
        found = record(1.0, point={"n": 512}, implementation=name, extra=100)
        samples = [factor * slow * wiggle for slow in (1.0, 3.0, 2.0, 1.5, 1.1) for wiggle in (1.0, 1.2)]
        time = Time(samples=samples, rounds=5, round_lengths=[2] * 5, median=factor, low=0.1, high=9.0, best=factor)
        records.append(found.model_copy(update={"time": time}))
    row = next(v for v in judge_claims(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert (row.exponent, row.verdict) == (pytest.approx(0.5), "consistent")
    assert 0.45 <= row.low <= row.high <= 0.55


def test_a_ratio_is_that_of_the_times_that_are_shown_with_both_their_errors():
    """Rounds that say the reverse have no say where the records name their statistic."""
    records = []
    for name, value, least in (("batched", 2.0, 0.1), ("sdpa-flash", 1.0, 0.9)):
        found = record(1.0, point={"n": 512}, implementation=name, extra=100)
        shown = {"statistic": "lower quartile", "value": value, "value_low": value / 1.03, "value_high": value * 1.04}
        time = Time(samples=[least] * 6, rounds=6, round_lengths=[1] * 6, median=3.0, best=least, **shown)
        records.append(found.model_copy(update={"time": time}))
    row = next(v for v in judge_claims(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert (row.exponent, row.verdict) == (pytest.approx(0.5), "consistent")
    assert (row.low, row.high) == (pytest.approx(0.5 / 1.0504, rel=1e-3), pytest.approx(0.5 * 1.0504, rel=1e-3))


def test_a_slower_kernel_refutes_faster():
    records = sweep(square, memory=lambda n: 16 * n * n)
    records += sweep(lambda n: square(n) * 2, memory=lambda n: 64 * n, implementation="sdpa-flash")
    assert overall(judge_claims(records, [scenario(A6)])).verdict == "inconclusive"
    row = next(v for v in judge_claims(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert row.verdict == "contradicted"


def test_without_the_baseline_there_is_nothing_to_be_faster_than():
    assert judge_claims(sweep(square, implementation="sdpa-flash"), [scenario(A6)]).verdicts == []


@pytest.mark.parametrize(
    ("share", "ratio", "expected"), [(0.504, 0.52, "confirmed"), (1.0, 1.05, "refuted"), (0.504, 0.7, "inconclusive")]
)
def test_causal_masking_is_judged_by_products_and_time(share, ratio, expected):
    base = {"d": 64, "heads": 2, "batch": 1}
    records = sweep(square, base={**base, "causal": False}, noise=0.0)
    records += sweep(lambda n: ratio * square(n), base={**base, "causal": True}, noise=0.0)
    verdict = overall(judge_claims(records, [scenario(B5)], [degrees(causal_share=share)]))
    assert verdict.verdict == expected


def test_what_is_masked_needs_both_points_of_a_pair():
    base = {"d": 64, "heads": 2, "batch": 1}
    causal = sweep(lambda n: 0.5 * square(n), base={**base, "causal": True}, noise=0.0)
    assert judge_claims(causal, [scenario(B5)]).verdicts == []
    # A point that does not say is a plain one.
    rows = judge_claims(causal + sweep(square, base=base, noise=0.0), [scenario(B5)]).verdicts
    (time,) = [row for row in rows if row.quantity == "time"]
    assert (time.axis, time.verdict, time.reason.n) == ("causal", "consistent", 4096)
    assert time.exponent == pytest.approx(0.5)
    assert [ratio[0] for ratio in time.evidence["ratios"]] == sorted(SIZES)


def test_times_of_one_round_have_a_ratio_without_an_interval():
    records = []
    for name, seconds in (("batched", 2.0), ("sdpa-flash", 1.0)):
        time = Time(samples=[seconds], rounds=1, round_lengths=[1], median=seconds, best=seconds)
        records.append(record(1.0, point={"n": 512}, implementation=name).model_copy(update={"time": time}))
    (row,) = [v for v in judge_claims(records, [scenario(A6)]).verdicts if v.quantity == "time"]
    assert (row.exponent, row.low, row.high, row.verdict) == (0.5, None, None, "inconclusive")
    assert row.to_decide.kind == "compare larger"


def test_more_memory_than_the_baseline_refutes_and_less_is_confirmed_with_its_share():
    for extra, verdict in ((50, "confirmed"), (100, "refuted"), (200, "refuted")):
        records = [
            record(1.0, point={"n": 512}, extra=100),
            record(0.5, point={"n": 512}, extra=extra, implementation="sdpa-flash"),
        ]
        (row,) = [v for v in judge_claims(records, [scenario(A6)]).verdicts if v.quantity == "memory"]
        assert (row.verdict, row.exponent) == (verdict, extra / 100)


def test_counts_without_a_degree_leave_growth_open():
    wild = degrees({"n": counts(lambda n: 2**n)})
    verdict = overall(judge_claims(sweep(square, sizes=SIZES[:2]), [scenario(A5)], [wild]))
    assert (verdict.verdict, verdict.reason.kind) == ("inconclusive", "no polynomial")
