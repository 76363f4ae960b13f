"""A device, or a core, is held by one run at a time, and the neighbours of a run are counted."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.results.device_lock import DeviceHeldError, DeviceLock, neighbours

HOLD = """
import sys
from pathlib import Path
from harness.results.device_lock import DeviceLock
with DeviceLock(sys.argv[2:], folder=Path(sys.argv[1]), name="cpu"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Return what starts a process that holds parts of a device, until the test is over."""
    started = []

    def start(*parts):
        command = [sys.executable, "-c", HOLD, str(tmp_path), *parts]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.communicate()


def lock(tmp_path, *parts, name="cpu"):
    return DeviceLock(parts, folder=tmp_path, name=name)


def test_a_device_is_held_by_one_run_at_a_time(tmp_path):
    with lock(tmp_path, "aaaa", name="cuda:0"):
        with pytest.raises(DeviceHeldError, match=f"cuda:0 is held by another run .process {os.getpid()}."):
            lock(tmp_path, "aaaa", name="cuda:0").__enter__()
        with lock(tmp_path, "bbbb", name="cuda:1"):
            pass
    with lock(tmp_path, "aaaa", name="cuda:0"):
        pass


def test_runs_exclude_each_other_where_they_share_a_core_and_nowhere_else(tmp_path):
    with lock(tmp_path, "core-0", "core-1"):
        for shared in (("core-0", "core-1"), ("core-1", "core-2")):
            with pytest.raises(DeviceHeldError, match="device cpu is held"):
                lock(tmp_path, *shared).__enter__()
        # The one that was refused holds none of its cores.
        with lock(tmp_path, "core-2"):
            pass


def test_neighbours_are_the_processes_that_hold_devices_whatever_these_consist_of(tmp_path, hold):
    assert neighbours([tmp_path]) == 0
    with lock(tmp_path, "core-0"):
        assert neighbours([tmp_path]) == 0
        first = hold("core-1", "core-2")
        hold("aaaa")
        assert neighbours([tmp_path, tmp_path]) == 2
        first.communicate()
        assert neighbours([tmp_path]) == 1


def test_a_lock_dies_with_its_process(tmp_path, hold):
    holder = hold("core-0")
    with pytest.raises(DeviceHeldError, match=f"process {holder.pid}"):
        lock(tmp_path, "core-0").__enter__()
    holder.kill()
    holder.wait()
    with lock(tmp_path, "core-0"):
        pass


def test_a_lock_file_is_everybodys(tmp_path):
    before = os.umask(0o077)
    try:
        with lock(tmp_path, "aaaa") as held:
            assert held.problem == ""
    finally:
        os.umask(before)
    assert (tmp_path / "attnbench-aaaa.lock").stat().st_mode & 0o777 == 0o666


def test_a_lock_that_can_not_be_had_is_told_and_the_run_goes_on(tmp_path):
    (tmp_path / "attnbench-aaaa.lock").mkdir()
    with lock(tmp_path, "aaaa", "bbbb", name="cuda:0") as held:
        assert held.problem.startswith("Other runs on cuda:0 go unnoticed: ")
        with pytest.raises(DeviceHeldError):
            lock(tmp_path, "bbbb").__enter__()
