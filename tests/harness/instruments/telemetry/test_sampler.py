"""Readings taken beside a load: what is lost has a moment and a reason, what changed is kept, throttling is told."""

from __future__ import annotations

import itertools
import os
import threading
import time

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


def refused():
    raise sensors.ReadingError("gone")


def test_a_reading_that_fails_has_the_moment_and_is_not_tried_again():
    tries = []

    def fails():
        tries.append(None)
        raise sensors.ReadingError("GPU is lost")

    available = sensors.Probe(readings={"power_w": fails, "clock_mhz": lambda: 1755.0}, throttle=refused)
    readings = sampler.Readings(reasons={"temperature_c": "no sensor"})
    for moment in (0.1, 0.2, 0.3):
        readings.read_all(available, at=moment)
    assert readings.series == {"power_w": [], "clock_mhz": [(0.1, 1755.0), (0.2, 1755.0), (0.3, 1755.0)]}
    assert readings.reasons == {
        "temperature_c": "no sensor",
        "power_w": "lost after 0.1 s: GPU is lost",
        "throttle": "lost after 0.1 s: gone",
    }
    assert len(tries) == 1
    assert readings.looks == []


def test_an_energy_counter_is_kept_where_it_changed_until_it_is_lost():
    readings, values = sampler.Readings(), iter([1.0, 1.0, 2.0, 2.0, 3.0])
    for moment in range(5):
        readings.read_energy(lambda: next(values), at=float(moment))
    assert readings.energy == [(0.0, 1.0), (2.0, 2.0), (4.0, 3.0)]
    readings.read_energy(refused, at=5.0)
    readings.read_energy(lambda: 9.0, at=6.0)
    assert readings.energy[-1] == (4.0, 3.0)
    assert readings.reasons["energy_j"] == "lost after 5.0 s: gone"


def test_every_look_at_throttling_is_kept_with_what_it_found():
    found = iter([[], ["idle", "software power cap"], []])
    available = sensors.Probe(throttle=lambda: next(found))
    readings = sampler.Readings()
    for moment in (0.0, 0.5, 1.0):
        readings.read_all(available, at=moment)
    assert readings.looks == [0.0, 0.5, 1.0]
    assert readings.throttle == [(0.5, "idle"), (0.5, "software power cap")]
    assert sampler.throttle_spans(readings) == [(0.5, 1.0, "software power cap")]


def test_a_sampler_reads_for_as_long_as_its_context_lasts_and_ends_with_what_rises():
    threads = []
    available = sensors.Probe(
        readings={"clock_mhz": lambda: threads.append(threading.current_thread().name) or 1.0},
        reasons={"power_w": "no counter"},
    )
    watching = sampler.Sampler(available, every=0.001, energy_every=9.0)

    def broken():
        with watching.running():
            while len(threads) < 3:
                time.sleep(0.001)
            raise FloatingPointError("boom")

    with pytest.raises(FloatingPointError, match="boom"):
        broken()
    count = len(threads)
    time.sleep(0.01)
    assert len(threads) == count, "nothing is read any more"
    assert set(threads) == {"telemetry"}
    moments = [moment for moment, _ in watching.readings.series["clock_mhz"]]
    assert moments == sorted(moments)
    assert 0.0 <= moments[0] < moments[-1] <= watching.elapsed()
    assert watching.readings.reasons == {"power_w": "no counter"}
    assert abs(watching.readings.started - time.time()) < 60.0


def test_the_energy_counter_is_read_at_a_pace_of_its_own():
    joules = itertools.count()
    available = sensors.Probe(readings={"clock_mhz": lambda: 1.0}, energy=lambda: float(next(joules)))
    watching = sampler.Sampler(available, every=60.0, energy_every=0.001)
    with watching.running():
        while len(watching.readings.energy) < 5:
            time.sleep(0.001)
    assert len(watching.readings.series["clock_mhz"]) == 1, "everything else is read once a minute"


def test_two_reasons_have_a_stretch_each_and_one_at_the_last_look_ends_there():
    readings = sampler.Readings(looks=[0.0, 1.0], throttle=[(0.0, "b"), (1.0, "a")])
    assert sampler.throttle_spans(readings) == [(0.0, 1.0, "b"), (1.0, 1.0, "a")]


def test_the_last_of_many_equal_values_is_kept_once():
    assert sampler.changes([(0.0001, 1.0), (0.5, 1.0)]) == [(0.0, 1.0), (0.5, 1.0)]
    assert sampler.changes([(0.0, 1.0), (0.5, 2.0)]) == [(0.0, 1.0), (0.5, 2.0)]


def test_a_watch_over_a_device_that_is_lost_says_nothing_and_does_not_rise(gpu):
    device = gpu()
    watch = sampler.Watch("cuda:0")
    assert watch.others() == 0
    device.lost_after_readings = 0
    watch.begin()
    assert watch.others() is None
    assert watch.snapshot() == sampler.Snapshot()
    watch.close()


def test_a_processor_is_watched_without_others():
    watch = sampler.Watch("cpu")
    watch.begin()
    assert watch.others() is None
    watch.close()
