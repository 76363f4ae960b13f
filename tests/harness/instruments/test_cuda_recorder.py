"""Recording and timing on a simulated device: streams are put back, failures are reasons, work lies where it should."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import cuda, cuda_graphs, rounds, timing
from harness.policy import TimingPolicy
from tests.support.simulated_cuda import CudaError, Simulated

US = 1_000
GPU = torch.device("cuda:0")


def launched(simulated, out, *, duration=5 * US, cost=8 * US):
    """Return a call that launches a kernel, whose effect is to write ones into a fresh tensor."""

    def call():
        result = torch.zeros(3)
        simulated.launch(duration, cost=cost, effect=lambda: result.fill_(1.0))
        out.append(result)
        return result

    return call


def replayed(simulated, calls):
    recorder = cuda_graphs.CudaRecorder(GPU, driver=simulated)
    clock = timing.EventClock(GPU, launches=1, driver=simulated)
    return cuda_graphs.replays(
        calls,
        recorder=recorder,
        timed=clock.block,
        call_seconds=5e-6,
        blocks=3,
        policy=TimingPolicy(),
    )


def test_a_graph_gives_the_kernels_time_without_its_launch():
    simulated = Simulated()
    found = replayed(simulated, [launched(simulated, []) for _ in range(4)])
    assert found.reason == ""
    assert found.samples == pytest.approx([5e-6] * 3, rel=0.05)


def test_the_stream_of_the_caller_is_current_again_after_a_capture_that_failed():
    simulated = Simulated()
    before = simulated.current_stream()
    simulated.capture_fails = "operation not permitted when stream is capturing"
    found = replayed(simulated, [launched(simulated, []) for _ in range(4)])
    assert found.capture_failed
    assert "not permitted when stream is capturing" in found.reason
    assert simulated.current_stream() is before


def test_a_call_that_waits_for_the_device_can_not_be_captured_and_says_so():
    simulated = Simulated()

    def waits():
        simulated.launch(5 * US)
        simulated.synchronize(0)
        return torch.ones(3)

    found = replayed(simulated, [waits] * 4)
    assert found.capture_failed
    assert "not permitted when stream is capturing" in found.reason


def test_an_error_of_the_device_is_raised_and_no_reason():
    simulated = Simulated()

    def dies():
        simulated.launch(5 * US, fault="an illegal memory access was encountered")
        return torch.ones(3)

    with pytest.raises(CudaError, match="illegal memory access"):
        replayed(simulated, [dies] * 4)


def test_calls_timed_in_turn_on_a_second_device_have_its_time(monkeypatch):
    """The doctor's A/A test times what was launched on its device, and not microseconds of nothing."""
    simulated = Simulated(devices=2)
    monkeypatch.setattr(cuda, "DRIVER", simulated)

    def call():
        with simulated.current(1):
            simulated.launch(50 * US)

    policy = TimingPolicy(warm_up_seconds=0.0, rounds_at_most=2, blocks_per_round=2)
    found = rounds.interleave({"one": {"first": call}}, device=torch.device("cuda:1"), policy=policy, seed=0)
    assert found["one"]["first"].median == pytest.approx(50e-6, rel=0.02)
    assert simulated.current_stream(0).free == 0
