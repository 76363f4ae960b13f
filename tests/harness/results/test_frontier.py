"""The frontier of memory is where the predicted bytes are the limit, and where allocation then fails in earnest."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from harness.policy import DEFAULT
from harness.protocol import messages
from harness.records import PlannedCase, Prediction
from harness.results.frontier import bytes_along, frontiers
from harness.results.plan_file import Plan
from harness.worker import prediction
from harness.worker.modelled import ModelledDevice
from tests.support import runs
from tests.support.benches import bench_on
from tests.support.drawn import run_of

SIZES = (1024, 2048, 4096, 8192)
LIMIT = 2**30
RATES = {"float32": 1e12, "bytes": 1e10}
# Grows n until an allocation beyond the cap fails, then halves the rest; small blocks are given back as large ones are.
CAPPED = """
import ctypes, ctypes.util
ctypes.CDLL(ctypes.util.find_library("c")).mallopt(-3, 65536)
import torch
from harness.instruments.memory import cap_process
from impls import discovery, registry
discovery.discover()
torch.set_num_threads(1)

def fits(call, n):
    try:
        call(*(torch.randn(1, 1, n, 64) for _ in range(3)))
    except RuntimeError:
        return False
    return True

for name, limit in (("batched", {batched}), ("online", {online})):
    call = registry.get("attention", name).function
    with torch.no_grad():
        assert fits(call, 64) and cap_process(limit)
        low = 512
        while fits(call, 2 * low):
            low *= 2
        high = 2 * low
        while high > 1.01 * low:
            n = (low + high) // 2
            low, high = (n, high) if fits(call, n) else (low, n)
    print(low)
"""


# 11,585 is the largest n at which 8 n^2 bytes are within the limit.
def planned(name, n, needs, *, limit=LIMIT, skip=None):
    known = Prediction(operations=1, extra_bytes=needs, resident_bytes=0, seconds=1e-3, limit_bytes=limit)
    case = runs.ok_case(name, scenario="long-context", n=n, d=64, heads=1, batch=1)
    return PlannedCase(case=case, predicted=known, skip=skip, reason="too much" if skip else "")


def run_with(*cases):
    return run_of([runs.ok_record(n=64)], plan=Plan.model_construct(cases=list(cases)))


def test_the_frontier_is_where_predicted_bytes_are_the_limit():
    squares = [planned("batched", n, 8 * n * n, skip="predicted_oom" if 8 * n * n > LIMIT else None) for n in SIZES]
    lines = [planned("online", n, 4096 * n) for n in SIZES]
    never = [planned("sdpa-cudnn", n, 0, skip="unsupported") for n in SIZES]
    (sweep,) = frontiers(run_with(*squares, *lines, *never))
    assert [(one.implementation, one.reach, one.refused) for one in sweep] == [
        ("batched", math.isqrt(LIMIT // 8), None),
        ("online", LIMIT // 4096, None),
    ]
    more = [planned("batched", n, 8 * n * n, skip="predicted_oom" if n > 11585 else None) for n in (*SIZES, 16384)]
    ((one,),) = frontiers(run_with(*more))
    assert (one.refused, one.ran) == (16384, None)


def test_memory_far_away_and_runs_that_know_no_limit_have_no_frontier():
    assert frontiers(run_with(*(planned("online", n, 8 * n) for n in SIZES))) == []
    assert frontiers(run_with(*(planned("online", n, 4096 * n, limit=None) for n in SIZES))) == []
    assert frontiers(run_with(*(planned("online", n, 2**20 * n) for n in SIZES[:2]))) == []
    assert frontiers(run_of([])) == []


def test_bytes_that_are_rounded_get_no_square():
    assert bytes_along([(10, 100), (20, 201), (40, 400)], 300).square == 0.0
    known = bytes_along([(10, 3 * 100 + 50), (20, 3 * 400 + 100), (40, 3 * 1600 + 200)], 4000)
    assert known == pytest.approx((3.0, 5.0, 0.0))
    assert known.at(30) == pytest.approx(3 * 900 + 150)


@pytest.mark.parametrize("limit", [50, 90, 140, 199, 250, 330, 500, 900])
def test_bytes_that_bend_are_followed_where_the_limit_is(limit):
    # As the scores of a block that is clipped to n: n^2 up to 10, then 10 n, then n^2 / 2 and more.
    def needs(n):
        return n * n if n <= 10 else 10 * n if n <= 20 else n * n // 2

    sizes = (5, 10, 15, 20, 30, 40)
    reach = bytes_along([(n, needs(n)) for n in sizes], limit).reach(limit)
    exact = (
        next(n / 100 for n in range(100, 10_000) if (n / 100) ** 2 >= limit)
        if limit <= 100
        else (limit / 10 if limit <= 200 else (2 * limit) ** 0.5)
    )
    assert reach == pytest.approx(exact, rel=0.08)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit of the process's data")
def test_an_allocation_cap_ends_calls_within_a_tenth_of_the_predicted_length():
    limits = {"batched": 64 * 2**20, "online": 16 * 2**20}
    done = subprocess.run(
        [sys.executable, "-c", CAPPED.format(**limits)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        # What a second thread has allocated and given back is room that the cap does not see.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    for (name, limit), reached in zip(limits.items(), map(int, done.stdout.split()), strict=True):
        bench = bench_on("cpu", modelled=ModelledDevice("a device", RATES, int(limit / DEFAULT.memory.share) + 1))
        cases = [runs.ok_case(name, scenario="long-context", n=n, d=64, heads=1, batch=1) for n in SIZES]
        found = prediction.predict(bench, messages.Predict(cases=cases)).predictions
        joined = [
            PlannedCase(case=case, predicted=one.predicted, skip=one.skip, reason=one.reason)
            for case, one in zip(cases, found, strict=True)
        ]
        ((end,),) = frontiers(run_with(*joined))
        assert end.limit == pytest.approx(limit, abs=1)
        assert reached == pytest.approx(end.reach, rel=0.1), name
