"""Every implementation under pytest-benchmark: `pytest tests/bench --benchmark-only [--scenario NAME]`."""

from __future__ import annotations

import pytest
import torch

from harness.gate.agreement import agree
from harness.instruments import directions, timing
from harness.policy import DEFAULT
from impls import registry
from impls.subject import Subject

SEED = 0


def test_implementation(benchmark, case):
    if case.skip:
        pytest.skip(case.skip)
    problem, dtype, device = registry.problem(case.problem), getattr(torch, case.dtype), torch.device(case.device)
    subject = Subject(problem, case.implementation, problem.parse(case.point), dtype, device, case.direction)
    agreement = agree(subject, seed=SEED, policy=DEFAULT.gate)
    assert agreement.passed, f"disagrees with the oracle, so it is not timed: {agreement.worst}"
    cost = subject.cost()
    benchmark.group = f"{case.problem} {case.id.removeprefix(case.implementation.name + '-')}"
    benchmark.extra_info |= {
        "implementation": case.implementation.name,
        "operations": cost.operations,
        "ideal_bytes": cost.ideal_bytes,
        "predicted_extra_bytes": int(case.implementation.buffers(case.dtype) * cost.score_elements * dtype.itemsize),
        "agreement_ratio": agreement.ratio,
        "rows_checked": agreement.rows_checked,
        "threads": torch.get_num_threads(),
    }
    synchronize = timing.clock_for(device, cold=False).synchronize
    with directions.measured_call(subject, subject.inputs(seed=SEED + 1)) as measured:

        def call():
            measured.call()
            synchronize()

        call()  # pytest-benchmark counts its rounds from the first call, which is the slowest
        benchmark(call)
