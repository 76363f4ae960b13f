"""What the system's files say of processor, memory and control groups; what they don't say is None."""

from __future__ import annotations

from harness.machine import environment, processor


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
    facts = environment.Facts()
    environment.host_stable(facts, root=tmp_path)
    assert facts.values["cpu_flags"] == ["avx2", "avx512f"]
