"""What is measured beside a block: what a caller waits, which a device's own time leaves out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.instruments import timing
from harness.policy import DEFAULT
from harness.worker import measuring
from harness.worker.workbench import CallsAccount
from tests.support.simulated_cuda import Simulated

US = 1_000


def bench_on(device):
    return SimpleNamespace(device=torch.device(device), policy=DEFAULT, calls=CallsAccount())


@pytest.mark.parametrize(("cost", "waited"), [(12 * US, 12e-6), (1 * US, 5e-6)])
def test_a_single_block_has_what_a_caller_waits_beside_it(cost, waited):
    cuda = Simulated()
    clock = timing.EventClock(torch.device("cuda:0"), launches=1, driver=cuda)

    def call():
        cuda.launch(5 * US, cost=cost)

    blocks = [clock.block(call, 200)]
    assert measuring.waited_seconds(bench_on("cuda:0"), clock, call, blocks) == pytest.approx(waited, rel=0.05)


def test_launches_of_slow_calls_and_calls_on_a_cpu_are_not_waited_for():
    slow = timing.Block(seconds=DEFAULT.timing.slow_call_seconds, host=1e-5, queued=True, calls=1)
    short = timing.Block(seconds=1e-5, host=1e-5, queued=False, calls=10)
    made = []
    clock = timing.HostClock()
    assert measuring.waited_seconds(bench_on("cuda:0"), clock, lambda: made.append(1), [slow]) is None
    assert measuring.waited_seconds(bench_on("cpu"), clock, lambda: made.append(1), [short]) is None
    assert made == []
