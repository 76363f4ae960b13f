"""What stands beside a verdict describes it, and decides nothing."""

from __future__ import annotations

import pytest

from harness.policy import ScalingPolicy
from harness.verdicts.descriptions import additive, crossover, joint
from harness.verdicts.evidence import Group
from harness.verdicts.judging import judge_claims
from scenarios.claims import (
    A2,
    A4,
)
from tests.support.sweeps import counts, degrees, overall, record, scenario, sweep


def test_a_module_is_quadratic_in_the_end_with_its_crossover():
    width = 512
    phases = lambda n: {  # noqa: E731
        "projections": 6 * n * width**2,
        "output": 2 * n * width**2,
        "scores": 2 * n * n * width,
        "weighted sum": 2 * n * n * width,
    }
    records = sweep(
        lambda n: 1e-11 * sum(phases(n).values()),
        base={"width": width, "heads": 8},
        implementation="d2l",
        problem="multihead",
        phases=phases,
    )
    found = degrees({"n": counts(lambda n: n * n + 60 * n)}, implementation="d2l", problem="multihead")
    verdict = overall(judge_claims(records, [scenario(A4, problem="multihead")], [found]))
    assert verdict.verdict == "confirmed"
    assert verdict.evidence["crossover"] == pytest.approx(2 * width)
    assert verdict.reason.crossover_n == pytest.approx(1024.0)
    linear, quadratic = verdict.evidence["additive"]["terms"]
    assert linear["seconds"] == pytest.approx(8e-11, rel=0.1)
    assert quadratic["low"] <= 4e-11 <= quadratic["high"]


def test_the_joint_fit_stands_beside_the_axes():
    base = {"n": 512, "d": 64, "heads": 2, "batch": 1}
    records = []
    for axis in ("n", "d", "heads", "batch"):
        for size in (16, 32, 64, 128, 256):
            point = {**base, axis: size}
            work = point["n"] ** 2 * point["d"] * point["heads"] * point["batch"]
            records.append(record(1e-5 + 1e-11 * work, point=point))
    joint = overall(judge_claims(records, [scenario(A2)], [degrees()])).evidence["joint"]["exponents"]
    assert joint["n"][0] == pytest.approx(2.0, abs=0.05)
    assert joint["heads"][1] <= 1.0 <= joint["heads"][2]


def group_of(records):
    return Group("multihead", "d2l", "float32", "cpu", "forward", records, None)


def test_a_crossover_needs_an_additive_law_counts_and_both_kinds_of_steps():
    both = {"projections": 300, "output": 100, "scores": 50, "weighted sum": 50}
    point = {"n": 64, "width": 512}
    assert crossover(A4, group_of([record(1.0, point=point, phases=both)])) == {"crossover": 64 * 400 / 100}
    assert crossover(A2, group_of([record(1.0, point=point, phases=both)])) == {}
    assert crossover(A4, group_of([record(1.0, point=point)])) == {}
    assert crossover(A4, group_of([record(1.0, point=point, phases={"scores": 50})])) == {}
    assert crossover(A4, group_of([])) == {}


def test_an_additive_law_of_too_few_sizes_is_not_fitted():
    few = sweep(lambda n: 1e-6 * n, base={"width": 512, "heads": 8}, sizes=[64, 128, 256])
    assert additive(A4, group_of(few)) == {}
    assert additive(A4, group_of([])) == {}
    assert additive(A2, group_of(sweep(lambda n: 1e-6 * n))) == {}


def test_the_joint_fit_takes_plain_points_alone():
    base = {"n": 512, "d": 64, "heads": 2, "batch": 1}
    points = [{**base, axis: size} for axis in base for size in (16, 32, 64, 128)]
    plain = [record(1e-11 * p["n"] ** 2 * p["d"] * p["heads"] * p["batch"], point=p) for p in points]
    strange = [record(1.0, point=extra) for extra in (
        {**base, "causal": True}, {**base, "n_k": 64}, {"d": 64}, {**base, "kv_heads": 1},
    )]  # fmt: skip
    found = joint(A2, group_of([*plain, *strange]), ScalingPolicy())["joint"]
    assert found["points"] == len(plain)
    assert found["exponents"]["n"][0] == pytest.approx(2.0, abs=0.05)
    assert joint(A2, group_of(strange), ScalingPolicy()) == {}
    assert joint(A4, group_of(plain), ScalingPolicy()) == {}
