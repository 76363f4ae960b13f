"""What every library's attention is asked: the quick battery in each of its dtypes, in this process."""

from __future__ import annotations

import pytest

from harness.gate.battery import Examinee
from harness.policy import GatePolicy
from harness.worker import prediction
from impls import registry
from tests.support.examining import examine


def failures(name, dtype, *, problem="attention", only=""):
    """Hold a library's implementation against the oracle; return what failed, one line each. Something has to pass."""
    entry = registry.get(problem, name)
    entry.load()
    examinee = Examinee(registry.problem(problem), entry, dtype, "cpu", GatePolicy())
    outcomes = list(examine(examinee, quick=True, only=only))
    assert any(outcome.status == "ok" for outcome in outcomes), outcomes
    return [f"{one.title}: {one.reason}" for one in outcomes if one.status not in {"ok", "unsupported"}]


def failures_on_cuda(name, dtype):
    """Hold a library's implementation for CUDA against the oracle, its first contact; skip where it can't be loaded."""
    entry = registry.get("attention", name)
    (limits,) = entry.limits
    missing = prediction.missing_packages(limits)
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    if entry.load is not None:
        entry.load()
    examinee = Examinee(registry.problem("attention"), entry, dtype, "cuda", GatePolicy())
    outcomes = list(examine(examinee, quick=True))
    assert any(outcome.status == "ok" for outcome in outcomes), outcomes
    return [f"{one.title}: {one.reason}" for one in outcomes if one.status not in {"ok", "unsupported"}]
