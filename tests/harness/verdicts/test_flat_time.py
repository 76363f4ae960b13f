"""In runs too a time that does not grow is said to be flat, and a linear one what of it stays."""

from __future__ import annotations

import pytest

from harness.records import Time
from harness.verdicts.judging import judge
from reports.answer.reasons import explanation
from scenarios.scenario import Axis, Claim, Scenario
from tests.support import runs

SIZES = [16, 32, 64, 128, 192, 256, 512, 768, 1024]


def part_of(seconds, *, exponent):
    claim = Claim(id="X", says="?", quantities=["time"], exponents={"d": exponent})
    scenario = Scenario(name="x", question="?", axes=[Axis(name="d", values=SIZES)], claims=[claim])
    records = []
    for d in SIZES:
        value = seconds(d)
        time = Time(samples=[value] * 6, rounds=6, median=9.0, best=9.0, statistic="lower quartile", value=value)
        record = runs.ok_record("batched", n=256, d=d, heads=4, batch=1)
        records.append(record.model_copy(update={"time": time}))
    found = judge(records, [scenario]).verdicts
    return next(verdict for verdict in found if verdict.quantity == "time")


def test_a_flat_time_keeps_the_claim_of_exponent_zero():
    part = part_of(lambda d: 1e-3 * (1 + 0.001 * (d % 3)), exponent=0)
    assert part.verdict == "consistent"
    assert part.reason.is_flat
    assert "does not grow: over a range of 64 at most" in explanation(part)


def test_a_growing_time_refutes_it():
    part = part_of(lambda d: 1e-4 + 1e-6 * d, exponent=0)
    assert part.verdict == "contradicted"
    assert "of the time depends on d" in explanation(part)


def test_a_flat_time_is_said_where_growth_is_claimed():
    part = part_of(lambda d: 1e-3 * (1 + 0.001 * (d % 3)), exponent=1)
    assert part.verdict == "inconclusive"
    assert "does not grow" in explanation(part)


def test_a_linear_time_says_what_does_not_depend_on_the_size():
    part = part_of(lambda d: 70e-6 + 2e-6 * d, exponent=1)
    assert part.reason.parts.share == pytest.approx(70 / (70 + 384))
    assert "15 % (" in explanation(part)
    assert "of the time at d = 192 does not depend on d, and each further one costs 2" in explanation(part)


def test_laws_rest_on_the_statistic_where_there_is_one():
    part = part_of(lambda d: 70e-6 + 2e-6 * d, exponent=1)
    assert part.law.slope < 1e-3
