"""What the system's files say of processor, memory and control groups; what they don't say is None."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from harness.machine import host, processor


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_governor_turbo_and_frequency_are_read(tmp_path):
    cpu = "sys/devices/system/cpu"
    for core, (name, khz) in enumerate([("performance", 3_000_000), ("powersave", 2_000_000)]):
        write(tmp_path, f"{cpu}/cpu{core}/cpufreq/scaling_governor", name + "\n")
        write(tmp_path, f"{cpu}/cpu{core}/cpufreq/scaling_cur_freq", f"{khz}\n")
    write(tmp_path, f"{cpu}/intel_pstate/no_turbo", "1\n")
    assert processor.governor(root=tmp_path) == "performance, powersave"
    assert processor.cpu_mhz(root=tmp_path) == 2500.0
    assert processor.turbo(root=tmp_path) is False
    write(tmp_path, f"{cpu}/intel_pstate/no_turbo", "0\n")
    assert processor.turbo(root=tmp_path) is True


def test_the_smallest_quota_on_the_way_up_counts(tmp_path):
    write(tmp_path, "proc/self/cgroup", "0::/jobs/mine\n")
    write(tmp_path, "sys/fs/cgroup/jobs/cpu.max", "150000 100000\n")
    write(tmp_path, "sys/fs/cgroup/jobs/mine/cpu.max", "max 100000\n")
    write(tmp_path, "sys/fs/cgroup/jobs/mine/cpu.stat", "nr_periods 10\nnr_throttled 4\n")
    assert processor.cpu_quota(root=tmp_path) == 1.5
    assert processor.throttled_periods(root=tmp_path) == 4


def test_the_older_control_groups_are_read(tmp_path):
    write(tmp_path, "proc/self/cgroup", "4:cpu,cpuacct:/box\n3:memory:/box\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "50000\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")
    write(tmp_path, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1048576\n")
    assert processor.cpu_quota(root=tmp_path) == 0.5
    assert processor.memory_bytes(root=tmp_path) == 2**20


def test_no_quota_is_none_and_not_zero(tmp_path):
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "max 100000\n")
    assert processor.cpu_quota(root=tmp_path) is None
    assert processor.throttled_periods(root=tmp_path) is None


def test_steal_is_a_share_of_the_ticks_since_the_earlier_reading(tmp_path):
    write(tmp_path, "proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert processor.steal_share(root=tmp_path) == 0.1
    earlier = processor.cpu_ticks(root=tmp_path)
    write(tmp_path, "proc/stat", "cpu  150 0 100 700 0 0 0 150 0 0\n")
    assert processor.steal_share(root=tmp_path, since=earlier) == 0.5


def test_caches_are_data_caches_in_bytes(tmp_path):
    for index, (level, kind, size) in enumerate(
        [(1, "Data", "48K"), (1, "Instruction", "32K"), (2, "Unified", "2M"), (3, "Unified", "32768K")]
    ):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
        for name, text in (("level", str(level)), ("type", kind), ("size", size)):
            write(tmp_path, f"{folder}/{name}", text + "\n")
    assert processor.caches(root=tmp_path) == {"L1": 48 * 2**10, "L2": 2 * 2**20, "L3": 32 * 2**20}


def test_the_last_level_caches_of_several_dies_add_up(tmp_path):
    for core in processor.allowed_core_numbers():
        for index, (level, size) in enumerate([(2, "1M"), (3, "32M")]):
            folder = f"sys/devices/system/cpu/cpu{core}/cache/index{index}"
            shared = str(core)  # here every core is a die of its own
            for name, text in (("level", str(level)), ("type", "Unified"), ("size", size), ("shared_cpu_list", shared)):
                write(tmp_path, f"{folder}/{name}", text + "\n")
    assert processor.last_level_bytes(root=tmp_path) == processor.allowed_cores() * 32 * 2**20
    assert processor.last_level_bytes(root=tmp_path / "nowhere") == 0


def test_the_processor_is_named_with_what_tells_models_apart(tmp_path):
    first = "model name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: 17\nflags\t\t: sse avx2 avx512f made_up\n"
    text = first + "\nmodel name\t: another\n"
    write(tmp_path, "proc/cpuinfo", text)
    assert processor.cpu_model(root=tmp_path) == "AMD EPYC (cpu family 25, model 17)"
    facts = host.Facts()
    host.host_stable(facts, root=tmp_path)
    assert facts.values["cpu_flags"] == ["avx2", "avx512f"]


@pytest.mark.parametrize(
    "reading",
    [
        processor.cpu_quota, processor.throttled_periods, processor.governor, processor.turbo, processor.cpu_mhz,
        processor.cpu_pressure, processor.cpu_ticks, processor.steal_share,
    ],
)  # fmt: skip
def test_what_a_system_does_not_show_is_none(tmp_path, reading):
    assert reading(root=tmp_path) is None


@pytest.mark.parametrize("text", ["", "cpu", "cpu 1 2 3", "nonsense\n"])
def test_ticks_of_an_older_kernel_are_none(tmp_path, text):
    write(tmp_path, "proc/stat", text)
    assert processor.cpu_ticks(root=tmp_path) is None
    assert processor.steal_share(root=tmp_path) is None


def test_steal_between_two_readings_of_the_same_moment_is_unknown(tmp_path):
    write(tmp_path, "proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\n")
    now = processor.cpu_ticks(root=tmp_path)
    assert now == (1000, 100)
    assert processor.steal_share(root=tmp_path, since=now) is None


def test_pressure_is_a_share_and_not_a_percentage(tmp_path):
    write(tmp_path, "proc/pressure/cpu", "some avg10=12.50 avg60=3.00 avg300=1.00 total=5\nfull avg10=0.00\n")
    assert processor.cpu_pressure(root=tmp_path) == 0.125


def test_a_frequency_that_a_core_does_not_tell_is_left_out_of_the_mean(tmp_path):
    cpu = "sys/devices/system/cpu"
    write(tmp_path, f"{cpu}/cpu0/cpufreq/scaling_cur_freq", "3000000\n")
    write(tmp_path, f"{cpu}/cpu1/cpufreq/scaling_cur_freq", "<unknown>\n")
    assert processor.cpu_mhz(root=tmp_path) == 3000.0


def test_boost_is_read_where_intels_switch_is_missing(tmp_path):
    boost = "sys/devices/system/cpu/cpufreq/boost"
    write(tmp_path, boost, "1\n")
    assert processor.turbo(root=tmp_path) is True
    write(tmp_path, boost, "0\n")
    assert processor.turbo(root=tmp_path) is False


def test_memory_is_the_machines_unless_a_smaller_limit_holds(tmp_path):
    whole = psutil.virtual_memory().total
    write(tmp_path, "proc/self/cgroup", "0::/jobs/mine\n")
    assert processor.memory_bytes(root=tmp_path) == whole
    for text, limit in (("max\n", whole), (f"{2**63 - 4096}\n", whole), (f"{2**62 - 1}\n", whole), ("4096\n", 4096)):
        write(tmp_path, "sys/fs/cgroup/jobs/memory.max", text)
        assert processor.memory_bytes(root=tmp_path) == limit
    write(tmp_path, "sys/fs/cgroup/jobs/mine/memory.max", "1024\n")
    assert processor.memory_bytes(root=tmp_path) == 1024


@pytest.mark.parametrize("text", ["", "0", "max", "max 100000\n", "x y\n", "100 0\n", "100 100 100\n"])
def test_a_quota_that_can_not_be_read_is_none(tmp_path, text):
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", text)
    assert processor.cpu_quota(root=tmp_path) is None


@pytest.mark.parametrize("text", ["\n", ":::\n", "0::/nowhere\n", "nonsense\n", "1:cpu\n"])
def test_control_groups_that_can_not_be_read_are_none(tmp_path, text):
    write(tmp_path, "proc/self/cgroup", text)
    assert processor.cpu_quota(root=tmp_path) is None
    assert processor.memory_bytes(root=tmp_path) == psutil.virtual_memory().total


def test_a_quota_of_the_older_groups_that_is_none_is_minus_one(tmp_path):
    write(tmp_path, "proc/self/cgroup", "4:cpu,cpuacct:/\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert processor.cpu_quota(root=tmp_path) is None


def test_caches_without_a_size_or_of_another_unit_are_left_out(tmp_path):
    for index, size in enumerate(["", "12G", "512", "32K"]):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
        for name, text in (("level", str(index + 1)), ("type", "Unified"), ("size", size)):
            write(tmp_path, f"{folder}/{name}", text + "\n")
    assert processor.caches(root=tmp_path) == {"L3": 512, "L4": 32 * 2**10}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Processor\t: ARMv8\nCPU part\t: 0xd0c\n", "ARMv8 (CPU part 0xd0c)"),
        ("model name\t: Some: CPU @ 2 GHz\nstepping : 3\n", "Some: CPU @ 2 GHz (stepping 3)"),
        ("model name\t: Bare\n", "Bare"),
    ],
)
def test_a_processor_is_named_by_what_its_kind_of_system_says(tmp_path, text, name):
    write(tmp_path, "proc/cpuinfo", text)
    assert processor.cpu_model(root=tmp_path) == name


def test_a_processor_that_nothing_names_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(processor.platform, "processor", lambda: "")
    assert processor.cpu_model(root=tmp_path) is None
    write(tmp_path, "proc/cpuinfo", "cpu family : 6\n")
    assert processor.cpu_model(root=tmp_path) is None


def test_the_hottest_sensor_of_a_processor_counts_and_others_do_not(monkeypatch):
    def sensors(**chips):
        read = {name: [SimpleNamespace(current=value) for value in values] for name, values in chips.items()}
        monkeypatch.setattr(psutil, "sensors_temperatures", lambda: read, raising=False)
        return processor.cpu_temperature()

    assert sensors(coretemp=[50.0, 61.0], nvme=[80.0]) == 61.0
    assert sensors(k10temp=[45.5]) == 45.5
    assert sensors(nvme=[80.0]) is None
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert processor.cpu_temperature() is None


def test_allowed_cores_are_those_of_the_affinity_or_all(monkeypatch):
    assert processor.allowed_cores() == len(processor.allowed_core_numbers()) >= 1
    monkeypatch.setattr(processor.os, "sched_getaffinity", lambda _pid: {5, 2}, raising=False)
    assert processor.allowed_core_numbers() == [2, 5]
    monkeypatch.delattr(processor.os, "sched_getaffinity")
    monkeypatch.setattr(processor.os, "cpu_count", lambda: None)
    assert processor.allowed_core_numbers() == [0]


def test_a_file_that_is_no_text_or_refused_does_no_harm(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n")
    assert processor.text_of(tmp_path / "binary") == "\ufffd\ufffd"
    assert processor.text_of(tmp_path) is None
    assert processor.text_of(tmp_path / "missing") is None
