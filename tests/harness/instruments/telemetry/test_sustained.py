"""The sustained pass: every figure or its reason, on processors and on GPUs of several kinds."""

from __future__ import annotations

import contextlib
import os
import time

import pynvml
import pytest
import torch

from harness.instruments import cuda
from harness.instruments.telemetry import sampler, sensors
from harness.instruments.telemetry.sustained import Rest, _load, calls_between, conclude, energy_of_call, sustained
from harness.machine import nvml, processor
from harness.policy import TelemetryPolicy
from harness.runner import budget
from tests.harness.instruments.telemetry.test_sampler import counted
from tests.support import fake_nvml
from tests.support.simulated_cuda import Simulated

SHORT = TelemetryPolicy(
    lead_in_cuda=0.05,
    window_cuda=0.4,
    lead_in_cpu=0.02,
    window_cpu=0.2,
    sample_seconds_cuda=0.01,
    sample_seconds_cpu=0.05,
)


def busy():
    sum(range(2000))


def measure(device="cuda:0", *, call=busy, operations=10**9):
    return sustained(
        call, device=device, synchronize=lambda: None, call_seconds=5e-5, operations=operations, policy=SHORT
    )


def test_a_healthy_gpu_gives_every_figure(gpu):
    device = gpu(energy_period=0.01)
    found = measure()
    assert found.summary["gpu_utilization"] == pytest.approx(0.97)
    assert found.summary["memory_utilization"] == pytest.approx(0.40)
    assert found.summary["clock_mhz"] == 1755
    assert found.summary["memory_clock_mhz"] == 3201
    assert found.summary["temperature_c"] == 60
    assert found.summary["power_w"] == pytest.approx(500)
    assert found.summary["energy_j"] > 0
    assert found.throttle == []
    assert set(found.reasons) <= {"energy_check"}
    assert device.opened == 0  # NVML is closed again


def test_energy_of_a_call_is_power_over_rate(gpu):
    gpu(energy_period=0.01)
    summary = measure().summary
    # The counter's own power is known to its edges, so this holds at any speed of the machine.
    assert summary["energy_j"] * summary["sustained_calls_per_second"] == pytest.approx(500, rel=0.3)
    assert summary["energy_j_per_tflop"] == pytest.approx(summary["energy_j"] / (10**9 / 1e12))


def test_burst_and_sustained_are_named_apart(gpu):
    gpu()
    summary = measure().summary
    assert summary["burst_calls_per_second"] == pytest.approx(1 / 5e-5)
    assert summary["sustained_calls_per_second"] == pytest.approx(summary["calls"] / summary["seconds"])
    assert summary["sustained_share_of_burst"] == pytest.approx(summary["sustained_calls_per_second"] * 5e-5)


def test_without_an_energy_counter_energy_is_mean_power_times_time(gpu):
    gpu(refuses={"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NOT_SUPPORTED})
    found = measure()
    assert found.summary["energy_j"] == pytest.approx(500 / found.summary["sustained_calls_per_second"])
    assert "Not Supported" in found.reasons["energy_counter"]


def test_without_counter_and_power_energy_is_absent_with_a_reason(gpu):
    gpu(
        refuses={
            "nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NOT_SUPPORTED,
            "nvmlDeviceGetPowerUsage": pynvml.NVML_ERROR_NO_PERMISSION,
        }
    )
    found = measure()
    assert not {"energy_j", "energy_j_per_tflop", "power_w"} & set(found.summary)
    assert "Insufficient Permissions" in found.reasons["power_w"]
    assert "Not Supported" in found.reasons["energy_j"]
    assert found.summary["gpu_utilization"] == pytest.approx(0.97)


@pytest.mark.parametrize("mig", [{"mig": 1}, {"uuid_prefix": b"MIG-"}])
def test_a_share_of_a_gpu_gets_no_figure_of_the_whole(gpu, mig):
    gpu(**mig)
    found = measure()
    for name in sensors.SHARED:
        assert name not in found.summary
        assert name not in found.series
        assert "MIG" in found.reasons[name]
    assert found.summary["clock_mhz"] == 1755


def test_other_processes_make_utilization_and_power_nobodys(gpu):
    gpu(pids=[os.getpid(), 4242])
    found = measure()
    assert "gpu_utilization" not in found.summary
    assert found.reasons["power_w"] == "shared with 1 other process(es): NVML counts the whole GPU"


def test_this_process_alone_is_no_other(gpu):
    gpu(pids=[os.getpid()])
    assert "gpu_utilization" in measure().summary


def test_a_device_lost_midway_keeps_what_was_read_and_gives_no_mean_of_half_a_window(gpu):
    gpu(lost_after_readings=40)
    found = measure()
    assert found.series["clock_mhz"]
    assert "clock_mhz" not in found.summary
    assert "lost after" in found.reasons["clock_mhz"]
    assert "GPU is lost" in found.reasons["clock_mhz"]
    assert found.summary["sustained_calls_per_second"] > 0


def test_an_older_driver_names_its_throttle_reasons_otherwise(gpu):
    gpu(lacks={"nvmlDeviceGetCurrentClocksEventReasons"}, reasons=0x40 | 0x4 | 0x1)
    assert measure().throttle == ["hardware thermal slowdown", "software power cap"]


def test_a_driver_without_either_name_says_so(gpu):
    gpu(lacks={"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"})
    assert "Function Not Found" in measure().reasons["throttle"]


def test_a_driver_without_a_device_of_this_uuid_gives_one_reason(gpu):
    gpu(uuid_prefix=b"OTHER-")
    found = measure()
    assert "no device with UUID" in found.reasons["nvml"]
    assert found.series == {}
    assert found.summary["sustained_calls_per_second"] > 0


def test_no_driver_at_all_gives_one_reason(monkeypatch):
    def missing(_name):
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    monkeypatch.setattr(cuda, "DRIVER", Simulated())
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", missing)
    assert "NVML Shared Library Not Found" in measure().reasons["nvml"]


def test_a_stuck_energy_counter_is_not_energy_of_zero(gpu):
    gpu(energy_period=1e6)
    found = measure()
    assert found.summary["energy_j"] > 0
    assert "changed less than twice" in found.reasons["energy_counter"]


def test_what_the_call_raises_rises_and_nvml_is_closed(gpu):
    device = gpu()

    def broken():
        raise RuntimeError("CUDA error: an illegal memory access")

    with pytest.raises(RuntimeError, match="illegal memory"):
        measure(call=broken)
    assert device.opened == 0


def test_an_old_package_pynvml_costs_readings_and_not_the_run(gpu, monkeypatch):
    gpu(reasons=0x40)
    monkeypatch.delattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons")
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.clock_reasons(opened.handle) == ["hardware thermal slowdown"]
    monkeypatch.delattr(pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons")
    monkeypatch.delattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption")
    found = measure()
    assert "uninstall the old package pynvml" in found.reasons["throttle"]
    assert "nvmlDeviceGetTotalEnergyConsumption" in found.reasons["energy_counter"]
    assert found.summary["clock_mhz"] == 1755


def test_a_processor_gives_its_busy_cores():
    summary = measure("cpu").summary
    assert 0 <= summary["cpu_utilization"] <= 1
    assert summary["process_cores"] > 0
    for core in processor.allowed_core_numbers()[: sensors.CORES_IN_SERIES]:
        assert 0 <= summary[f"core_{core}"] <= 1


def test_what_a_processor_does_not_show_has_a_reason():
    found = measure("cpu")
    for name in ("clock_mhz", "temperature_c", "energy_j", "power_w"):
        assert (name in found.summary) != (name in found.reasons)


def test_energy_is_taken_between_edges_of_the_counter():
    progress = [(float(t), 10.0 * t) for t in range(11)]  # 10 calls a second
    edges = [(0.03, 0.0)] + [(0.1 * k, 40.0 * k) for k in range(1, 100)]  # 400 W
    joules, watts = energy_of_call(edges, progress, start=1.55)
    assert watts == pytest.approx(400)
    assert joules == pytest.approx(40)


def test_reading_without_edges_would_have_been_wrong():
    # Energy over the whole window by its first and last reading: 3 of 3.9 updates seen, 23 % low.
    edges = [(0.1, 4.0), (0.2, 8.0), (0.3, 12.0)]
    progress = [(0.0, 0.0), (0.39, 39.0)]
    joules, _ = energy_of_call([(0.0, 0.0), *edges], progress, start=0.01)
    assert joules == pytest.approx(0.4)
    assert 0.8 * joules > (12.0 - 0.0) / 39


@pytest.mark.parametrize("edges", [[], [(0.0, 1.0)], [(0.0, 1.0), (0.5, 2.0)]])
def test_fewer_than_two_edges_are_no_energy(edges):
    assert energy_of_call(edges, [(0.0, 0.0), (1.0, 10.0)], start=0.0) is None


def test_calls_are_shared_out_within_a_batch():
    progress = [(0.0, 0.0), (1.0, 100.0), (3.0, 200.0)]
    assert calls_between(progress, 0.5, 2.0) == pytest.approx(100)
    assert calls_between(progress, -1.0, 9.0) == pytest.approx(200)


def test_a_disagreement_of_counter_and_power_is_told():
    readings = sampler.Readings(
        series={"power_w": [(0.1 * k, 300.0) for k in range(40)]},
        energy=[(0.1 * k, 40.0 * k) for k in range(40)],
    )
    progress = [(0.1 * k, float(k)) for k in range(40)]
    found = conclude(readings, progress, start=1.0, call_seconds=0.1, operations=1, energy_tolerance=0.05)
    assert "400.0 W, mean power 300.0 W" in found.reasons["energy_check"]


def test_a_throttling_gpu_says_when(gpu):
    gpu(reasons=0x4)
    before = time.time()
    found = measure()
    assert [reason for *_, reason in found.throttle_spans] == ["software power cap"]
    assert 0 <= found.throttle_spans[0][0] < found.throttle_spans[0][1]
    assert before <= found.started <= time.time()


def test_only_the_window_counts_not_the_lead_in():
    readings = sampler.Readings(
        series={"clock_mhz": [(0.5, 300.0), (1.5, 1900.0), (2.5, 1700.0)]},
        throttle=[(0.2, "hardware slowdown"), (1.6, "software power cap"), (1.6, "idle")],
    )
    progress = [(0.0, 0.0), (1.0, 5.0), (3.0, 25.0)]
    found = conclude(readings, progress, start=1.0, call_seconds=0.1, operations=0, energy_tolerance=0.05)
    assert found.summary["clock_mhz"] == 1800
    assert (found.summary["clock_mhz_low"], found.summary["clock_mhz_high"]) == (1700, 1900)
    assert found.summary["calls"] == 20
    assert found.throttle == ["software power cap"]
    assert len(found.series["clock_mhz"]) == 3


def test_a_load_whose_calls_became_slow_ends_with_its_window():
    now = 0.0

    def call():
        nonlocal now
        now += 0.5

    progress = _load(call, synchronize=lambda: None, calls=1000, jitter=0.2, seconds=2.0, clock=lambda: now)
    assert progress == [(0.0, 0.0), (2.0, 4.0)]


class Room:
    """A GPU that cools while it is left alone; `asleep` is how long it was."""

    def __init__(self, device, *, degrees_a_second):
        self.device, self.degrees_a_second, self.asleep = device, degrees_a_second, 0.0

    def sleep(self, seconds):
        self.asleep += seconds
        self.device.temperature = round(self.device.temperature - self.degrees_a_second * seconds)

    def rest(self, **known):
        return Rest(TelemetryPolicy(cool_down_at_most=30.0), sleep=self.sleep, clock=lambda: self.asleep, **known)


def taken(rest):
    with sensors.probe("cuda:0") as available:
        return rest.take(available)


def test_the_first_load_waits_for_the_power_sensor_alone(gpu):
    device = gpu(temperature=70, power_mw=90_000)
    room = Room(device, degrees_a_second=0)
    rest = room.rest()
    idle = taken(rest)
    assert idle.figures == {"cool_down_s": 1.0, "idle_power_w": 90.0}
    assert idle.reasons == {}
    assert rest.start_c == 70


def test_the_next_loads_wait_until_the_device_is_as_cool_as_before_the_first(gpu):
    device = gpu(temperature=70)
    idle = taken(Room(device, degrees_a_second=2).rest(start_c=40.0))
    assert device.temperature == 45
    assert idle.figures["cool_down_s"] == pytest.approx(12.5)
    assert "cool_down_s" not in idle.reasons


def test_a_device_that_does_not_cool_is_waited_for_no_longer_than_the_policy_says(gpu):
    device = gpu(temperature=70)
    idle = taken(Room(device, degrees_a_second=0).rest(start_c=40.0))
    assert idle.figures["cool_down_s"] == 30.0
    assert idle.reasons["cool_down_s"] == "still 30 C warmer than before the first load"
    assert "idle_power_w" in idle.figures


def test_a_device_without_a_temperature_is_not_waited_for(gpu):
    device = gpu(refuses={"nvmlDeviceGetTemperature": pynvml.NVML_ERROR_NOT_SUPPORTED})
    idle = taken(Room(device, degrees_a_second=0).rest(start_c=40.0))
    assert idle.figures == {"idle_power_w": 500.0}


def test_idle_power_that_can_not_be_read_has_a_reason(gpu):
    device = gpu(refuses={"nvmlDeviceGetPowerUsage": pynvml.NVML_ERROR_NO_PERMISSION})
    idle = taken(Room(device, degrees_a_second=0).rest())
    assert "Insufficient Permissions" in idle.reasons["idle_power_w"]
    assert "idle_power_w" not in idle.figures
    device = gpu(mig=1)
    assert "MIG" in taken(Room(device, degrees_a_second=0).rest()).reasons["idle_power_w"]


def test_a_device_lost_while_it_cools_costs_the_figure_alone(gpu):
    device = gpu(temperature=70)
    room = Room(device, degrees_a_second=0)

    def lose(_seconds):
        device.lost_after_readings = 0

    rest = Rest(TelemetryPolicy(), start_c=40.0, sleep=lose, clock=lambda: room.asleep)
    idle = taken(rest)
    assert "GPU is lost" in idle.reasons["idle_power_w"]
    assert idle.figures == {}


def test_without_a_driver_nothing_is_waited_for(gpu):
    room = Room(gpu(uuid_prefix=b"OTHER-"), degrees_a_second=0)
    idle = taken(room.rest())
    assert room.asleep == 0
    assert "no device with UUID" in idle.reasons["idle_power_w"]


def test_idle_power_stands_beside_the_load_and_is_subtracted_from_nothing(gpu):
    device = gpu(energy_period=0.01, power_mw=500_000)
    rest = Room(device, degrees_a_second=0).rest()
    found = sustained(
        busy, device="cuda:0", synchronize=lambda: None, call_seconds=5e-5, operations=1, policy=SHORT, rest=rest
    )
    assert found.summary["idle_power_w"] == 500
    assert found.summary["power_w"] == pytest.approx(500)
    assert found.summary["cool_down_s"] == 1.0


def test_a_processor_is_not_waited_for():
    def refuse(_seconds):
        raise AssertionError("a CPU run must not wait")

    found = sustained(
        busy,
        device="cpu",
        synchronize=lambda: None,
        call_seconds=5e-5,
        operations=1,
        policy=SHORT,
        rest=Rest(SHORT, sleep=refuse),
    )
    assert not {"idle_power_w", "cool_down_s"} & (set(found.summary) | set(found.reasons))
    assert budget.wait_seconds("cpu", SHORT) == 0.0
    assert budget.pass_seconds("cpu", SHORT) == pytest.approx(0.22)


@pytest.mark.gpu
def test_a_real_gpu_gives_its_idle_power_and_the_memory_of_this_process_or_says_why():
    torch.ones(2**20, device="cuda")
    idle = taken(Rest(TelemetryPolicy()))
    assert ("idle_power_w" in idle.figures) != ("idle_power_w" in idle.reasons)
    assert idle.figures.get("idle_power_w", 1.0) > 0
    with contextlib.suppress(sensors.ReadingError):
        assert counted() > 2**22
