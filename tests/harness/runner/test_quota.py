"""What a container may use decides the threads, is counted over a run, and is told; a folder stands for its files."""

from __future__ import annotations

import pytest
import torch

from harness.machine import processor
from harness.machine.processor import Throttling
from harness.policy import DEFAULT
from harness.protocol.messages import Start
from harness.runner.quota import QuotaWatch, thread_warnings
from harness.worker import workbench
from tests.support.scripted import plan_of, state_of

MIB = 2**20


def second(root, *, cpu_max="150000 100000", stat="nr_periods 100\nnr_throttled 4\nthrottled_usec 9\n", **files):
    """Write a box of the second version, two groups deep, its quota and limit on the upper one."""
    write(root, "proc/self/cgroup", "0::/box/job\n")
    upper = root / "sys/fs/cgroup/box"
    write(root, "sys/fs/cgroup/box/job/cpu.max", "max 100000\n")
    write(upper, "cpu.max", cpu_max + "\n")
    write(upper, "cpu.stat", stat)
    for name, text in files.items():
        write(upper, name.replace("__", "."), f"{text}\n")
    return root


def first(root):
    """Write a box of the first version as a container sees it: the path is the host's, the mount is its own."""
    write(root, "proc/self/cgroup", "12:cpu,cpuacct:/docker/0123\n9:memory:/docker/0123\n1:name=systemd:/docker/0123\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 100\nnr_throttled 4\nthrottled_time 9\n")
    write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{512 * MIB}\n")
    write(root, "sys/fs/cgroup/memory/memory.usage_in_bytes", f"{500 * MIB}\n")
    write(root, "sys/fs/cgroup/memory/memory.stat", f"inactive_file 1\ntotal_inactive_file {100 * MIB}\n")
    return root


def both(root):
    """Write a box where the processor is limited in a second version mounted below the first."""
    write(root, "proc/self/cgroup", "3:memory:/box\n0::/box\n")
    write(root, "sys/fs/cgroup/unified/box/cpu.max", "150000 100000\n")
    write(root, "sys/fs/cgroup/unified/box/cpu.stat", "nr_periods 100\nnr_throttled 4\n")
    write(root, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", f"{512 * MIB}\n")
    return root


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize("box", [second, first, both])
def test_a_quota_of_either_version_decides_the_threads_and_is_counted(tmp_path, box):
    root = box(tmp_path)
    assert processor.cpu_quota(root=root) == 1.5
    assert processor.quota_threads(8, root=root, variables={}) == 1
    assert processor.throttling(root=root) == Throttling(periods=100, stopped=4)


@pytest.mark.parametrize(
    ("cpu_max", "threads", "variables", "used"),
    [
        ("400000 100000", 8, {}, 4),
        ("400000 100000", 2, {}, 2),
        ("399000 100000", 8, {}, 3),
        ("50000 100000", 8, {}, 1),
        ("max 100000", 8, {}, 8),
        ("nonsense", 8, {}, 8),
        ("0 0", 8, {}, 8),
        ("400000 100000", 8, {"OMP_NUM_THREADS": "8"}, 8),
        ("400000 100000", 8, {"MKL_NUM_THREADS": "8"}, 8),
        ("400000 100000", 8, {"OMP_NUM_THREADS": ""}, 4),
    ],
)
def test_there_are_as_many_threads_as_the_quota_feeds_unless_the_user_says_how_many(
    tmp_path, cpu_max, threads, variables, used
):
    assert processor.quota_threads(threads, root=second(tmp_path, cpu_max=cpu_max), variables=variables) == used


def test_a_worker_starts_with_the_threads_that_the_quota_feeds(tmp_path, monkeypatch):
    root, before = second(tmp_path, cpu_max="100000 100000"), torch.get_num_threads()
    quota_threads = processor.quota_threads
    monkeypatch.setattr(processor, "quota_threads", lambda threads: quota_threads(threads, root=root, variables={}))
    monkeypatch.setattr(workbench, "cap_allocations", lambda *_, **__: None)
    monkeypatch.setattr(workbench.gc, "freeze", lambda: None)
    try:
        torch.set_num_threads(2)
        workbench.set_up(Start(device="cpu", policy=DEFAULT), announce=lambda _: None)
        assert torch.get_num_threads() == 1
        workbench.set_up(Start(device="cpu", policy=DEFAULT, threads=2), announce=lambda _: None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_limit_of_memory_counts_as_the_machines_and_cached_files_as_free(tmp_path):
    root = first(tmp_path / "first")
    assert processor.memory_bytes(root=root) == 512 * MIB
    assert processor.memory_available_bytes(root=root) == 112 * MIB
    stat = f"anon 7\ninactive_file {10 * MIB}\nactive_file 5"
    files = {"memory__max": 64 * MIB, "memory__current": 60 * MIB, "memory__stat": stat}
    root = second(tmp_path / "second", **files)
    assert processor.memory_bytes(root=root) == 64 * MIB
    assert processor.memory_available_bytes(root=root) == 14 * MIB
    over = second(tmp_path / "over", memory__max=MIB, memory__current=2 * MIB)
    assert processor.memory_available_bytes(root=over) == 0


def test_without_a_limit_the_machine_is_the_limit(tmp_path):
    root = second(tmp_path, memory__max="max", memory__current=60 * MIB)
    assert processor.memory_bytes(root=root) == processor.memory_bytes(root=tmp_path / "nowhere")
    assert processor.memory_available_bytes(root=root) > 64 * MIB


def test_the_periods_in_which_a_quota_stopped_a_run_are_counted_and_many_are_told(tmp_path):
    root = second(tmp_path)
    watch = QuotaWatch(root=root)
    write(root / "sys/fs/cgroup/box", "cpu.stat", "nr_periods 1100\nnr_throttled 8\n")
    assert watch.stopped() == Throttling(periods=1000, stopped=4)
    assert watch.warning() == []
    write(root / "sys/fs/cgroup/box", "cpu.stat", "nr_periods 1100\nnr_throttled 254\n")
    (said,) = watch.warning()
    assert said.startswith("A quota of 1.5 cores stopped the run in 250 of 1,000 periods")


def test_without_a_quota_nothing_is_counted(tmp_path):
    watch = QuotaWatch(root=second(tmp_path, cpu_max="max 100000"))
    assert (watch.stopped(), watch.warning()) == (None, [])
    assert QuotaWatch(root=tmp_path / "nowhere").stopped() is None


def test_the_summary_of_a_run_has_the_count(tmp_path):
    root = second(tmp_path)
    state = state_of(*plan_of().cases)
    assert state.summary(is_complete=True).throttled_periods is None or processor.cpu_quota() is not None
    state.quota = QuotaWatch(root=root)
    write(root / "sys/fs/cgroup/box", "cpu.stat", "nr_periods 130\nnr_throttled 7\n")
    assert state.summary(is_complete=True).throttled_periods == 3


@pytest.mark.parametrize(
    ("threads", "words"),
    [(None, ""), (1, ""), (10_000, "processors: they wait for each other")],
)
def test_more_threads_than_processors_are_a_warning(tmp_path, threads, words):
    assert words in " ".join(thread_warnings(threads, root=tmp_path))
    assert bool(words) == bool(thread_warnings(threads, root=tmp_path))


def test_more_threads_than_a_quota_feeds_are_a_warning(tmp_path):
    root = second(tmp_path, cpu_max="50000 100000")
    assert thread_warnings(1, root=root) == [
        "1 threads were asked for, and a quota allows 0.5 cores: all stop once it is used up"
    ]
