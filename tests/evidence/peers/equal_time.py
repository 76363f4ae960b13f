"""Time the cases of a run by another tool, so many seconds per case: `... equal_time TOOL RUN SECONDS` prints JSON."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import torch

from harness.results.run import read_run
from impls import discovery, registry
from tests.evidence.peers.rules import of_independent
from tests.evidence.peers.tools import Quiet

SEED = 0


def blocked_autorange(call, *, seconds):
    """Return the samples of torch.utils.benchmark."""
    from torch.utils import benchmark

    timer = benchmark.Timer(stmt="call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=seconds).times


def pytest_benchmark(call, *, seconds):
    """Return the samples of pytest-benchmark's fixture."""
    from pytest_benchmark.fixture import BenchmarkFixture
    from pytest_benchmark.utils import NameWrapper

    class Node:
        name = nodeid = "case"

    fixture = BenchmarkFixture(
        Node(), disable_gc=False, timer=NameWrapper(time.perf_counter), min_rounds=5, min_time=0.000005,
        max_time=seconds, precision=None, confidence=None, warmup=False, warmup_iterations=100000,
        calibration_precision=10, add_stats=lambda _stats: None, logger=Quiet(), warner=None, disabled=False,
        cprofile=None, cprofile_loops=None, cprofile_dump=None,
    )  # fmt: skip
    fixture(call)
    return [one / fixture.stats.iterations for one in fixture.stats.stats.data]


TOOLS = {"pytest-benchmark": pytest_benchmark, "blocked_autorange": blocked_autorange}


def call_of(case):
    """Build a forward call of a case on inputs of a fixed seed, waiting for a device at its end."""
    problem = registry.problem(case.problem)
    inputs = problem.inputs(
        problem.parse(case.point), dtype=getattr(torch, case.dtype), device=torch.device(case.device), seed=SEED
    )
    bound = problem.bind(registry.get(case.problem, case.implementation), inputs)
    if not case.device.startswith("cuda"):
        return bound

    def call():
        bound()
        torch.cuda.synchronize()

    return call


def main():
    """Time every timed forward case of the run in shuffled order."""
    tool, directory, seconds = TOOLS[sys.argv[1]], Path(sys.argv[2]), float(sys.argv[3])
    discovery.discover()
    cases = [one.case for one in read_run(directory).records if one.time and one.case.direction == "forward"]
    found = {}
    with torch.no_grad():
        for case in random.Random(SEED).sample(cases, len(cases)):
            one = of_independent(torch.tensor(tool(call_of(case), seconds=seconds)).numpy())
            found[case.id] = (one.centre, one.low, one.high)
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
