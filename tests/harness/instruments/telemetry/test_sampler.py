"""Readings taken beside a load: what is lost has a moment and a reason, what changed is kept, throttling is told."""

from __future__ import annotations

import os

import pynvml
import pytest

from harness.instruments.telemetry import sampler, sensors
from harness.machine import processor


def test_a_snapshot_tells_of_throttling(gpu):
    device = gpu(reasons=0x40)
    watch = sampler.Watch("cuda:0")
    snapshot = watch.snapshot()
    assert (snapshot.clock_mhz, snapshot.temperature_c) == (1755, 60)
    assert snapshot.throttle == ["hardware thermal slowdown"]
    assert snapshot.is_throttled
    device.reasons = 0x4
    assert not watch.snapshot().is_throttled
    device.lost_after_readings = 0
    assert watch.snapshot() == sampler.Snapshot()
    watch.close()
    assert device.opened == 0


def test_a_slow_down_that_is_over_by_the_time_of_the_look_is_told(gpu):
    thermal = pynvml.NVML_PERF_POLICY_THERMAL
    device = gpu(reasons=0x1, violations={thermal: 1_000, pynvml.NVML_PERF_POLICY_POWER: 5})
    watch = sampler.Watch("cuda:0")
    watch.begin()
    assert not watch.snapshot().is_throttled
    device.violations[thermal] += 1
    snapshot = watch.snapshot()
    assert snapshot.throttle == ["thermal slowdown"]
    assert snapshot.is_throttled
    watch.close()


def test_a_snapshot_of_a_processor_invents_nothing():
    watch = sampler.Watch("cpu")
    snapshot = watch.snapshot()
    watch.close()
    assert (snapshot.clock_mhz is None) == (processor.cpu_mhz() is None)
    assert snapshot.throttle == []


def test_a_throttled_stretch_lasts_until_a_look_that_no_longer_finds_it():
    cap, heat = "software power cap", "hardware thermal slowdown"
    readings = sampler.Readings(
        looks=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
        throttle=[(0.0, "idle"), (0.1, cap), (0.2, cap), (0.2, heat), (0.4, cap), (0.5, cap)],
    )
    assert sampler.throttle_spans(readings) == [(0.1, 0.3, cap), (0.2, 0.3, heat), (0.4, 0.5, cap)]
    assert sampler.throttle_spans(sampler.Readings()) == []


def test_a_series_keeps_its_changes_and_its_ends():
    series = [(0.0, 1.0), (0.1, 1.0), (0.2, 2.0), (0.3, 2.0), (0.4, 2.0)]
    assert sampler.changes(series) == [(0.0, 1.0), (0.2, 2.0), (0.4, 2.0)]
    assert sampler.changes([]) == []
    assert sampler.changes(series[:1]) == series[:1]


def counted():
    watch = sampler.Watch("cuda:0")
    try:
        return watch.process_bytes()
    finally:
        watch.close()


def test_the_driver_counts_the_memory_of_this_process_alone(gpu):
    gpu(pids=[4242, os.getpid()], process_bytes={4242: 5 * 2**30, os.getpid(): 3 * 2**20})
    assert counted() == 3 * 2**20


def test_a_share_of_a_gpu_has_an_entry_for_each_instance(gpu):
    gpu(mig=1, uuid_prefix=b"MIG-", pids=[os.getpid(), os.getpid()], process_bytes={os.getpid(): 2**20})
    assert counted() == 2**21


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"pids": []}, "NVML lists no process on the device"),
        ({"pids": [4242], "process_bytes": {4242: 1}}, "lists 1 process.es., none by this one's id"),
        ({"pids": [os.getpid()]}, "counts no memory by process"),
        ({"pids": [os.getpid()], "process_bytes": {os.getpid(): 0}}, "counts 0 bytes for this process"),
        (
            {"refuses": {"nvmlDeviceGetComputeRunningProcesses_v3": pynvml.NVML_ERROR_NO_PERMISSION}},
            "NVML: Insufficient Permissions",
        ),
        ({"uuid_prefix": b"OTHER-"}, "no device with UUID"),
        ({"pids": [os.getpid()], "process_bytes": {os.getpid(): 1}, "lost_after_readings": 12}, "GPU is lost"),
    ],
)
def test_a_count_that_can_not_be_had_has_a_reason(gpu, behaviour, reason):
    device = gpu(**behaviour)
    watch = sampler.Watch("cuda:0")
    if device.lost_after_readings is not None:
        device.lost_after_readings = 0
    with pytest.raises(sensors.ReadingError, match=reason):
        watch.process_bytes()
    watch.close()


def test_a_processor_has_no_driver_that_counts():
    watch = sampler.Watch("cpu")
    with pytest.raises(sensors.ReadingError, match="no driver"):
        watch.process_bytes()
    watch.close()
