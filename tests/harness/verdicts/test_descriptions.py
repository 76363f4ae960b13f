"""What stands beside a verdict describes it, and decides nothing."""

from __future__ import annotations

import pytest

from harness.verdicts.judging import judge
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
    verdict = overall(judge(records, [scenario(A4, problem="multihead")], [found]))
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
    joint = overall(judge(records, [scenario(A2)], [degrees()])).evidence["joint"]["exponents"]
    assert joint["n"][0] == pytest.approx(2.0, abs=0.05)
    assert joint["heads"][1] <= 1.0 <= joint["heads"][2]
