"""The clock of CUDA on a simulated device: device time apart from launching, whatever the queue holds."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import timing
from tests.support.simulated_cuda import Simulated

US = 1_000


def call_of(cuda, *, kernels, duration_ns, cost_ns=4 * US):
    """Return a call of so many kernels; its host time is kernels x cost."""

    def call():
        for _ in range(kernels):
            cuda.launch(duration_ns, cost=cost_ns)

    return call


def clock_of(cuda, *, device="cuda:0", **options):
    return timing.EventClock(torch.device(device), driver=cuda, **options)


def blocks(clock, call, calls, *, count=5):
    """Return the blocks of a visit, the untimed call before them aside."""
    clock.block(call, 1)
    return [clock.block(call, calls) for _ in range(count)]


@pytest.mark.parametrize("launches", [1, None])
def test_a_short_call_is_timed_without_its_launch(launches):
    cuda = Simulated()
    found = blocks(
        clock_of(cuda, launches=launches), call_of(cuda, kernels=1, duration_ns=5 * US, cost_ns=12 * US), 200
    )
    assert all(block.queued for block in found)
    assert [block.seconds for block in found] == pytest.approx([5e-6] * 5, rel=0.01)
    assert [block.host for block in found] == pytest.approx([12e-6] * 5, rel=0.05)


def test_the_hosts_time_is_its_own_where_a_block_has_more_launches_than_the_queue():
    cuda = Simulated()
    found = blocks(clock_of(cuda, launches=8), call_of(cuda, kernels=8, duration_ns=3 * US, cost_ns=2500), 160)
    assert all(block.queued for block in found)
    assert [block.seconds for block in found] == pytest.approx([24e-6] * 5, rel=0.01)
    assert [block.host for block in found] == pytest.approx([20e-6] * 5, rel=0.05)


def test_the_hosts_time_settles_where_nobody_counted_the_launches():
    cuda = Simulated()
    found = blocks(clock_of(cuda), call_of(cuda, kernels=8, duration_ns=3 * US, cost_ns=2500), 160, count=8)
    assert [block.host for block in found[-4:]] == pytest.approx([20e-6] * 4, rel=0.05)
    assert [block.seconds for block in found[-4:]] == pytest.approx([24e-6] * 4, rel=0.02)


def test_one_call_that_fills_the_queue_does_not_wait_behind_our_own_sleep():
    cuda = Simulated()
    found = blocks(clock_of(cuda, launches=1500), call_of(cuda, kernels=1500, duration_ns=3 * US), 1)
    assert [block.host for block in found] == pytest.approx([6e-3] * 5, rel=0.01)
    assert not any(block.queued for block in found)
    assert cuda.blocked_ns == 0


def test_what_a_user_waits_for_is_the_larger_of_host_and_device():
    cuda = Simulated()
    clock = clock_of(cuda, launches=1)
    short = call_of(cuda, kernels=1, duration_ns=5 * US, cost_ns=12 * US)
    long = call_of(cuda, kernels=1, duration_ns=100 * US, cost_ns=12 * US)
    assert clock.steady(short, 200) == pytest.approx(12e-6, rel=0.01)
    assert clock.steady(long, 200) == pytest.approx(100e-6, rel=0.01)


def test_calls_on_a_second_device_are_timed_there():
    cuda = Simulated(devices=2)

    def call():
        with cuda.current(1):
            cuda.launch(50 * US)

    found = blocks(clock_of(cuda, device="cuda:1", launches=1), call, 20)
    assert [block.seconds for block in found] == pytest.approx([50e-6] * 5, rel=0.01)
    assert cuda.current_device == 0
    assert cuda.current_stream(0).free == 0


def test_the_device_is_busy_while_it_is_looked_at():
    cuda = Simulated()
    clock = clock_of(cuda, launches=1)
    call = call_of(cuda, kernels=1, duration_ns=50 * US)
    clock.block(call, 1)
    busy = []
    clock.block(call, 200, meanwhile=lambda: busy.append(cuda.current_stream(0).free > cuda.host))
    assert busy == [True]


def test_launches_that_wait_for_their_kernels_are_said_to_be_unqueued():
    cuda = Simulated(blocking=True)
    found = blocks(clock_of(cuda, launches=1), call_of(cuda, kernels=1, duration_ns=50 * US), 20)
    assert not any(block.queued for block in found[1:])


def test_a_block_ends_where_calls_became_far_slower():
    cuda = Simulated()
    slow = call_of(cuda, kernels=10, duration_ns=20_000 * US)
    block = clock_of(cuda, launches=10).block(slow, 1000)
    assert block.calls == 50
    assert block.seconds == pytest.approx(0.2, rel=0.01)


def test_a_fault_of_a_kernel_rises_from_its_own_block():
    cuda = Simulated()
    with pytest.raises(RuntimeError, match="illegal memory access"):
        clock_of(cuda).block(lambda: cuda.launch(US, fault="an illegal memory access was encountered"), 1)


def test_an_accelerator_without_events_is_timed_from_idle_to_idle():
    cuda = Simulated()
    clock = timing.AcceleratorClock(wait=cuda.synchronize, clock_ns=cuda.clock_ns)
    block = clock.block(call_of(cuda, kernels=1, duration_ns=50 * US), 100)
    assert block.seconds == pytest.approx(50e-6, rel=0.01)
    assert block.host == pytest.approx(4e-6, rel=0.01)
    assert not block.queued
