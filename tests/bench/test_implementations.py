"""Every implementation under pytest-benchmark: `pytest tests/bench --benchmark-only [--scenario NAME]`."""

from __future__ import annotations

import pytest
import torch

from harness import directions, timing
from harness.agreement import agree
from harness.policy import DEFAULT
from impls import registry

SEED = 0


def test_implementation(benchmark, case):
    if case.skip:
        pytest.skip(case.skip)
    problem, dtype, device = registry.problem(case.problem), getattr(torch, case.dtype), torch.device(case.device)
    point = problem.parse(case.point)
    agreement = agree(
        problem,
        case.implementation,
        point,
        dtype=dtype,
        device=device,
        direction=case.direction,
        seed=SEED,
        policy=DEFAULT.gate,
    )
    assert agreement.passed, f"disagrees with the oracle, so it is not timed: {agreement.worst}"
    cost = problem.cost(point, itemsize=dtype.itemsize, direction=case.direction)
    benchmark.group = f"{case.problem} {case.id.removeprefix(case.implementation.name + '-')}"
    benchmark.extra_info |= {
        "implementation": case.implementation.name,
        "operations": cost.operations,
        "ideal_bytes": cost.ideal_bytes,
        "predicted_extra_bytes": int(case.implementation.score_buffers * cost.score_elements * dtype.itemsize),
        "agreement_ratio": agreement.ratio,
        "rows_checked": agreement.rows_checked,
        "threads": torch.get_num_threads(),
    }
    inputs = problem.inputs(point, dtype=dtype, device=device, seed=SEED + 1)
    synchronize = timing.clock_for(device, cold=False).synchronize
    with directions.direct(problem, case.implementation, inputs, direction=case.direction) as directed:

        def call():
            directed.call()
            synchronize()

        call()  # pytest-benchmark counts its rounds from the first call, which is the slowest
        benchmark(call)
