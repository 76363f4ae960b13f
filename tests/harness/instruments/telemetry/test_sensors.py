"""Every reading of a device is there or has a reason: NVML's of a GPU, the system's of a processor."""

from __future__ import annotations

import collections
import os

import psutil
import pynvml
import pytest

from harness.instruments.telemetry import sensors
from harness.machine import processor


def counter(root, package, joules, *, limit=262_143_328_850):
    folder = root / f"sys/class/powercap/intel-rapl:{package}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(str(round(joules * 1e6)))
    (folder / "max_energy_range_uj").write_text(str(limit))


def test_rapl_adds_packages_and_leaves_their_parts_out(tmp_path):
    for package in ("0", "1", "0:0"):
        counter(tmp_path, package, 10)
    joules = sensors.rapl(root=tmp_path)
    for package in ("0", "1", "0:0"):
        counter(tmp_path, package, 12)
    assert joules() == pytest.approx(4)


def test_a_wrapped_rapl_register_counts_on(tmp_path):
    counter(tmp_path, "0", 0.9, limit=999_999)
    joules = sensors.rapl(root=tmp_path)
    counter(tmp_path, "0", 0.1, limit=999_999)
    assert joules() == pytest.approx(0.2)


def test_rapl_without_permission_says_so(tmp_path, monkeypatch):
    counter(tmp_path, "0", 1)

    def refused(path, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "read_text", refused)
    with pytest.raises(sensors.ReadingError, match=r"no permission to read .*energy_uj, which is root's"):
        sensors.rapl(root=tmp_path)


def test_a_readable_rapl_gives_power_and_energy(tmp_path):
    counter(tmp_path, "0", 1)
    available = sensors.cpu_probe(root=tmp_path)
    assert available.energy is not None
    assert "power_w" in available.readings
    assert "energy_j" not in available.reasons


def test_both_utilizations_are_of_one_reading(gpu):
    device = gpu()
    with sensors.probe("cuda:0") as found:
        probed = device.calls["nvmlDeviceGetUtilizationRates"]
        for expected in (1, 2):
            device.memory_busy = 40 + expected
            assert found.readings["gpu_utilization"]() == 0.97
            assert found.readings["memory_utilization"]() == pytest.approx(0.40 + expected / 100)
            assert device.calls["nvmlDeviceGetUtilizationRates"] == probed + expected
        assert probed == 1


def test_a_card_that_is_not_the_one_measured_on_is_not_read(gpu):
    gpu()
    with sensors.probe("cuda:0") as first, sensors.probe("cuda:1") as second:
        assert first.readings
        assert second.readings == {}
        assert "no device with UUID 00000001-" in second.reasons["nvml"]


def test_a_system_without_rapl_or_with_a_broken_one_says_which(tmp_path):
    with pytest.raises(sensors.ReadingError, match="shows no RAPL counter"):
        sensors.rapl(root=tmp_path)
    counter(tmp_path, "0", 1)
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").write_text("soon\n")
    with pytest.raises(sensors.ReadingError, match=r"energy_uj can't be read: "):
        sensors.rapl(root=tmp_path)


def test_energy_and_power_of_a_processor_are_absent_together_and_with_one_reason(tmp_path):
    available = sensors.cpu_probe(root=tmp_path)
    assert available.energy is None
    assert "power_w" not in available.readings
    assert available.reasons["energy_j"] == available.reasons["power_w"]


def ticking(monkeypatch, root, *, numbers, times):
    """Let the system have cores of these numbers, whose user and idle seconds are given at each reading."""
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "stat").write_text("cpu  1 1\n" + "".join(f"cpu{number} 1 1\n" for number in numbers))
    readings = iter(times)
    monkeypatch.setattr(psutil, "cpu_times", lambda **_: [core(*of_one) for of_one in next(readings)])


def core(user, idle, *, iowait=0.0, guest=0.0):
    kind = collections.namedtuple("kind", ("user", "idle", "iowait", "guest", "guest_nice"))  # noqa: PYI024
    return kind(user, idle, iowait, guest, 0.0)


def test_a_core_is_busy_for_the_share_of_its_ticks_that_were_not_idle(monkeypatch, tmp_path):
    ticking(monkeypatch, tmp_path, numbers=[0, 1], times=[[(0, 0), (10, 90)], [(3, 1), (10, 94)]])
    cores = sensors.Cores([0, 1], root=tmp_path)
    assert cores.read_all() == pytest.approx((0.75 + 0.0) / 2)
    assert (cores.latest(0), cores.latest(1)) == (0.75, 0.0)


def test_cores_are_found_by_their_number_where_others_are_offline(monkeypatch, tmp_path):
    ticking(monkeypatch, tmp_path, numbers=[0, 2, 6], times=[[(0, 0)] * 3, [(0, 1), (1, 0), (1, 1)]])
    cores = sensors.Cores([2, 6], root=tmp_path)
    assert cores.read_all() == pytest.approx(0.75)
    assert cores.busy == {2: 1.0, 6: 0.5}


def test_a_core_that_goes_offline_meanwhile_leaves_the_mean_to_the_others(monkeypatch, tmp_path):
    ticking(monkeypatch, tmp_path, numbers=[0, 1], times=[[(0, 0)] * 2, [(1, 1)]])
    cores = sensors.Cores([0, 1], root=tmp_path)
    (tmp_path / "proc" / "stat").write_text("cpu0 1 1\n")
    assert cores.read_all() == 0.5


def test_without_ticks_by_core_there_is_no_figure(monkeypatch, tmp_path):
    ticking(monkeypatch, tmp_path, numbers=[], times=[[], []])
    with pytest.raises(sensors.ReadingError, match="no ticks of these cores"):
        sensors.Cores([0], root=tmp_path).read_all()


def test_cores_of_a_system_that_does_not_number_them_are_counted_from_zero(monkeypatch, tmp_path):
    monkeypatch.setattr(psutil, "cpu_times", lambda **_: ["a", "b"])
    assert sensors.core_times(root=tmp_path) == {0: "a", 1: "b"}


def test_waiting_for_a_disk_is_idle_and_time_of_guests_is_counted_once():
    before, after = core(10, 10), core(16, 10, iowait=2.0, guest=6.0)
    assert sensors._total(after) - sensors._total(before) == 8.0
    assert sensors._idle(after) - sensors._idle(before) == 2.0


def test_cores_that_were_read_twice_within_a_tick_keep_their_share(monkeypatch, tmp_path):
    ticking(monkeypatch, tmp_path, numbers=[0], times=[[(0, 0)], [(1, 1)], [(1, 1)]])
    cores = sensors.Cores([0], root=tmp_path)
    assert cores.read_all() == cores.read_all() == 0.5


def test_a_rate_is_the_growth_of_its_counter_by_the_seconds_between(monkeypatch):
    moments, values = iter([10.0, 12.0, 12.0]), iter([100.0, 300.0, 300.0])
    monkeypatch.setattr(sensors, "perf_counter", lambda: next(moments))
    read = sensors._rate(lambda: next(values))
    assert read() == 100.0
    assert read() == 0.0, "no time and no growth is no rate"


def test_many_cores_have_a_mean_and_no_series_each(monkeypatch, tmp_path):
    numbers = range(sensors.CORES_IN_SERIES + 1)
    monkeypatch.setattr(processor, "allowed_core_numbers", lambda: list(numbers))
    monkeypatch.setattr(psutil, "cpu_times", lambda *_, **__: [core(1, 1)] * len(numbers))
    available = sensors.cpu_probe(root=tmp_path)
    assert available.reasons["cores"] == "17 cores are too many for a series each"
    assert not any(name.startswith("core_") for name in available.readings)
    assert available.readings["cpu_utilization"]() == 0.0


def test_a_reading_that_the_system_stops_giving_is_refused(tmp_path):
    clock = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
    clock.parent.mkdir(parents=True)
    clock.write_text("2000000\n")
    available = sensors.cpu_probe(root=tmp_path)
    assert available.readings["clock_mhz"]() == 2000.0
    clock.unlink()
    with pytest.raises(sensors.ReadingError, match="the system stopped giving it"):
        available.readings["clock_mhz"]()


def test_readings_of_a_gpu_are_in_the_units_of_their_names(gpu):
    device = gpu(power_mw=123_456, gpu_busy=50, memory_busy=25, energy_period=1e-6)
    with sensors.probe("cuda:0") as available:
        values = {name: reading() for name, reading in available.readings.items()}
        device.violations = {pynvml.NVML_PERF_POLICY_POWER: 7}
        assert available.held_back() == {"software power cap": 7}
        assert available.throttle() == ["idle"]
        assert available.others() == 0
    assert values == {
        "gpu_utilization": 0.5,
        "memory_utilization": 0.25,
        "power_w": 123.456,
        "clock_mhz": 1755.0,
        "memory_clock_mhz": 3201.0,
        "temperature_c": 60.0,
    }
    assert device.opened == 0


def test_what_a_gpu_refuses_is_absent_with_nvmls_words_and_the_rest_is_read(gpu):
    gpu(
        refuses={
            "nvmlDeviceGetTemperature": pynvml.NVML_ERROR_NOT_SUPPORTED,
            "nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NO_PERMISSION,
        }
    )
    with sensors.probe("cuda:0") as available:
        assert set(available.reasons) == {"temperature_c", "energy_j"}
        assert available.energy is None
        assert "temperature_c" not in available.readings
        assert available.readings["clock_mhz"]() == 1755.0


def test_a_refusal_that_comes_later_is_a_reading_error_in_nvmls_words(gpu):
    device = gpu()
    with sensors.probe("cuda:0") as available:
        device.lost_after_readings = 0
        with pytest.raises(sensors.ReadingError, match="NVML: GPU is lost"):
            available.readings["power_w"]()


def test_figures_of_a_whole_gpu_are_absent_where_it_is_shared(gpu):
    gpu(pids=[os.getpid(), 4242])
    with sensors.probe("cuda:0") as available:
        assert available.others() == 1
        assert not set(sensors.SHARED) & set(available.readings)
        assert available.energy is None
        assert {available.reasons[name] for name in sensors.SHARED} == {
            "shared with 1 other process(es): NVML counts the whole GPU"
        }


def test_a_mean_is_exact_and_one_of_nothing_rises():
    assert sensors.mean(value for value in [1e16, 1.0, -1e16]) == pytest.approx(1 / 3)
    with pytest.raises(ZeroDivisionError):
        sensors.mean([])
