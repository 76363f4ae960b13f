"""A device that is there and does not compute is told with its reason, and is nobody's default."""

from __future__ import annotations

import json
import os
import subprocess
from types import SimpleNamespace

import pytest

from harness.machine import devices
from harness.machine.devices import DeviceError
from harness.runner import execute

OLD = "The NVIDIA driver on your system is too old (found version 12020)."
FIRST = {"name": "cuda:0", "model": "NVIDIA H100 80GB HBM3", "uuid": "aaaa", "capability": "9.0"}
SECOND = {"name": "cuda:1", "model": "Tesla V100-SXM2-16GB", "reason": "no kernel image is available"}


@pytest.fixture
def found(monkeypatch):
    """Return a function that lets the probe find some devices beside the CPU."""

    monkeypatch.setattr(devices, "is_built_for_cpu", lambda: False)

    def plug(*gpus, returncode=0, stderr=""):
        listed = json.dumps([{"name": "cpu"}, *gpus])
        done = SimpleNamespace(returncode=returncode, stdout=f"a warning\n{listed}\n", stderr=stderr)
        monkeypatch.setattr(devices.subprocess, "run", lambda *_, **__: done)
        monkeypatch.setattr(devices, "has_gpu_driver", lambda: True)
        devices.present.cache_clear()

    yield plug
    devices.present.cache_clear()


def test_the_first_gpu_that_works_is_the_default(found):
    found(SECOND | {"name": "cuda:0"}, FIRST | {"name": "cuda:1"})
    assert devices.choose(None) == devices.choose("cuda") == "cuda:1"


def test_a_driver_that_is_too_old_leaves_the_processor_and_a_line(found):
    found({"name": "cuda:0", "reason": OLD})
    told = []
    assert devices.choose(None, tell=told.append) == "cpu"
    assert told == [f"cuda:0 can't be used: {OLD}"]
    with pytest.raises(DeviceError, match="too old"):
        devices.choose("cuda")


def test_a_gpu_that_is_asked_for_and_does_not_work_is_an_error_with_its_reason(found):
    found(FIRST, SECOND)
    assert devices.choose("cuda:0") == "cuda:0"
    with pytest.raises(DeviceError, match="have cpu, cuda:0; cuda:1 can't be used: no kernel image"):
        devices.choose("cuda:1")
    with pytest.raises(DeviceError, match=r"no device 'cuda:7' here: have cpu, cuda:0$"):
        devices.choose("cuda:7")


def test_the_processor_is_taken_without_asking_torch(monkeypatch):
    monkeypatch.setattr(devices.subprocess, "run", None)
    assert devices.choose("cpu") == "cpu"


def test_without_a_driver_of_gpus_torch_is_not_asked_for_one(monkeypatch, found, tmp_path):
    monkeypatch.setattr(devices.sys, "platform", "linux")
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", "libnowhere.so.1")
    monkeypatch.setattr(devices, "AMD_DRIVER", tmp_path / "none")
    assert not devices.has_gpu_driver()
    monkeypatch.setattr(devices.subprocess, "run", None)
    assert devices.choose(None) == "cpu"


@pytest.mark.parametrize("place", ["libc.so.6", "a folder"])
def test_with_a_driver_it_is(monkeypatch, found, tmp_path, place):
    monkeypatch.setattr(devices.sys, "platform", "linux")
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", place)
    monkeypatch.setattr(devices, "AMD_DRIVER", tmp_path if place == "a folder" else tmp_path / "none")
    has_driver = devices.has_gpu_driver()
    found(FIRST)
    assert has_driver
    assert devices.choose(None) == "cuda:0"


def test_a_probe_that_hangs_or_can_not_import_torch_says_so(found, monkeypatch):
    found(returncode=1, stderr="Traceback\nImportError: libcudart.so.13")
    with pytest.raises(DeviceError, match=r"torch can't be imported: ImportError: libcudart"):
        devices.present()

    def hang(*_, **__):
        raise subprocess.TimeoutExpired("probe", 300)

    monkeypatch.setattr(devices.subprocess, "run", hang)
    with pytest.raises(DeviceError, match="do not answer"):
        devices.present()


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\nxpu = None\n", True),
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", False),
        ("cuda = None\nhip = '7.0'\n", False),
        ("cuda: Optional[str] = None\n", False),
        ("", False),
    ],
)
def test_a_build_for_the_processor_alone_is_told_by_its_version_file(text, alone, tmp_path):
    (tmp_path / "version.py").write_text(text)
    assert devices.is_built_for_cpu(version=tmp_path / "version.py") == alone
    assert not devices.is_built_for_cpu(version=tmp_path / "none.py")


def test_a_build_for_the_processor_alone_has_no_device_asked_for(monkeypatch):
    monkeypatch.setattr(devices.subprocess, "run", None)
    monkeypatch.setattr(devices, "is_built_for_cpu", lambda: True)
    devices.present.cache_clear()
    assert devices.choose(None) == "cpu"
    devices.present.cache_clear()


def test_what_the_version_file_says_is_what_torch_says():
    import torch

    built = torch.version.cuda is not None or torch.version.hip is not None
    assert devices.is_built_for_cpu() == (not built)


def test_the_probe_itself_finds_this_machine(monkeypatch):
    monkeypatch.setattr(devices, "is_built_for_cpu", lambda: False)
    devices.present.cache_clear()
    assert str(devices.present()[0]) == "cpu"


def test_a_gpu_is_told_from_others_by_its_uuid_and_not_by_its_number(found):
    found(FIRST, FIRST | {"name": "cuda:1", "uuid": "bbbb"})
    assert [devices.identity(name) for name in ("cuda:0", "cuda:1", "cpu")] == ["aaaa", "bbbb", "cpu"]
    assert str(devices.present()[1]) == "cuda:0 (NVIDIA H100 80GB HBM3, sm 9.0, aaaa)"


def test_a_gpus_lock_is_shared_by_all_users_and_a_cpus_is_ones_own(found, tmp_path, monkeypatch):
    found(FIRST)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    locks = []
    monkeypatch.setattr(execute, "DeviceLock", lambda *wanted, **more: locks.append((wanted, more)))
    execute.lock_of("cuda:0")
    execute.lock_of("cpu")
    (gpu, more), (cpu, own) = locks
    assert (gpu, str(more["folder"]), more["name"]) == ((["aaaa"],), "/tmp", "cuda:0")
    assert (cpu, own["folder"]) == (([f"core-{number}" for number in sorted(os.sched_getaffinity(0))],), tmp_path)


def test_a_processor_is_held_by_the_cores_that_may_be_used_and_named_with_them_where_they_are_few(monkeypatch):
    monkeypatch.setattr(devices.processor, "allowed_core_numbers", lambda: [0, 1, 2, 5])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert devices.lockable("cpu") == ["core-0", "core-1", "core-2", "core-5"]
    assert devices.held_name("cpu") == "cpu"
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert devices.held_name("cpu") == "cpu (cores 0-2,5)"
