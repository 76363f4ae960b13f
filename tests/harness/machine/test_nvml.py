"""NVML is read without raising: each figure, or the driver's own words for why there is none."""

from __future__ import annotations

import os
import sys

import pynvml
import pytest

from harness.machine import nvml
from tests.support import fake_nvml


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that plugs a GPU in."""

    def plug(**behaviour):
        device = fake_nvml.Device(**behaviour)
        fake_nvml.install(monkeypatch, device)
        return device

    return plug


def test_the_gpu_part_of_the_environment_comes_with_reasons(gpu):
    gpu(refuses={"nvmlDeviceGetEccMode": pynvml.NVML_ERROR_NOT_SUPPORTED})
    with nvml.opened(fake_nvml.UUID) as opened:
        stable = nvml.read(opened, nvml.stable_readings())
        volatile = nvml.read(opened, nvml.volatile_readings(holds_context=False))
    assert stable.values["gpu"] == "NVIDIA H200"
    assert stable.values["gpu_driver"] == "580.10"
    assert stable.values["gpu_driver_cuda"] == "13.0"
    assert stable.values["gpu_power_limit_w"] == 700
    assert stable.reasons == {"gpu_ecc": "NVML: Not Supported"}
    assert volatile.values["gpu_persistence"] is True
    assert volatile.values["gpu_other_processes"] == 0
    assert volatile.values["gpu_uuid"] == f"GPU-{fake_nvml.UUID}"
    assert volatile.values["gpu_pci"] == "00000000:18:00.0"


@pytest.mark.parametrize(("holds_context", "others"), [(True, 1), (False, 2)])
def test_process_ids_of_the_host_are_not_ours_in_a_container(gpu, holds_context, others):
    gpu(pids=[999_001, 999_002])
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.other_processes(opened.handle, holds_context=holds_context) == others


def test_a_reason_without_a_name_is_told_by_its_number(gpu):
    gpu(reasons=0x200 | 0x8000)
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.clock_reasons(opened.handle) == ["board limit", "unknown reason 0x8000"]


def test_nvml_is_closed_again_whatever_happens_meanwhile(gpu):
    device = gpu()
    with nvml.opened(fake_nvml.UUID) as opened:
        assert device.opened == 1
        assert (opened.uuid, opened.is_mig) == (f"GPU-{fake_nvml.UUID}", False)
    assert device.opened == 0

    def broken():
        with nvml.opened(fake_nvml.UUID):
            raise FloatingPointError("boom")

    with pytest.raises(FloatingPointError, match="boom"):
        broken()
    assert device.opened == 0


def test_a_device_that_nvml_does_not_know_is_unavailable_and_nvml_is_closed(gpu):
    device = gpu()
    with pytest.raises(nvml.UnavailableError, match="no device with UUID nonsense: Not Found"):
        nvml.opened("nonsense").__enter__()
    assert device.opened == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [(pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"), (pynvml.NVML_ERROR_NO_PERMISSION, "Permissions")],
)
def test_a_driver_that_does_not_start_is_unavailable_in_its_own_words(gpu, error, said):
    gpu(refuses={"nvmlInitWithFlags": error})
    with pytest.raises(nvml.UnavailableError, match=f"NVML does not start: .*{said}"):
        nvml.opened(fake_nvml.UUID).__enter__()


def test_a_missing_package_is_unavailable_by_its_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(nvml.UnavailableError, match="the package nvidia-ml-py is missing"):
        nvml.opened(fake_nvml.UUID).__enter__()


@pytest.mark.parametrize(
    ("behaviour", "is_mig"),
    [
        ({}, False),
        ({"mig": 1}, True),
        ({"uuid_prefix": b"MIG-"}, True),
        ({"refuses": {"nvmlDeviceGetMigMode": pynvml.NVML_ERROR_NOT_SUPPORTED}}, False),
    ],
)
def test_a_share_of_a_gpu_is_told_from_a_whole_one(gpu, behaviour, is_mig):
    gpu(**behaviour)
    with nvml.opened(fake_nvml.UUID) as opened:
        assert opened.is_mig is is_mig


def test_each_reading_that_is_refused_has_its_own_reason_and_the_others_their_values(gpu):
    gpu(lacks={"nvmlDeviceGetPowerUsage"}, refuses={"nvmlDeviceGetTemperature": pynvml.NVML_ERROR_NO_PERMISSION})

    def unknown(_handle):
        raise nvml.UnavailableError("nobody tells")

    with nvml.opened(fake_nvml.UUID) as opened:
        wanted = {
            **nvml.volatile_readings(holds_context=False),
            "mine": unknown,
            "old": lambda _handle: pynvml.nvmlNoSuchFunction,
        }
        found = nvml.read(opened, wanted)
    assert set(found.values) | set(found.reasons) == set(wanted)
    assert not set(found.values) & set(found.reasons)
    assert found.reasons["gpu_power_w"] == "NVML: Function Not Found"
    assert found.reasons["gpu_temperature_c"] == "NVML: Insufficient Permissions"
    assert found.reasons["mine"] == "nobody tells"
    assert found.reasons["old"].startswith("the installed pynvml lacks nvmlNoSuchFunction: uninstall the old package")
    assert found.values["gpu_sm_clock_mhz"] == 1755


def test_every_bit_of_the_clocks_reasons_has_its_name_and_none_is_lost(gpu):
    gpu(reasons=sum(nvml.CLOCK_REASONS) | 0x1000)
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.clock_reasons(opened.handle) == [*nvml.CLOCK_REASONS.values(), "unknown reason 0x1000"]
    gpu(reasons=0)
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.clock_reasons(opened.handle) == []


def test_benign_reasons_spoil_nothing_and_each_that_spoils_can_be_read():
    names = {*nvml.CLOCK_REASONS.values(), *nvml.VIOLATIONS.values()}
    assert not nvml.BENIGN & nvml.SPOILING
    assert names >= nvml.BENIGN | nvml.SPOILING
    assert names - nvml.BENIGN - nvml.SPOILING == {"software power cap", "display clock setting"}


def test_time_held_back_is_that_of_the_policies_that_the_driver_counts(gpu):
    device = gpu(violations={pynvml.NVML_PERF_POLICY_POWER: 5, pynvml.NVML_PERF_POLICY_THERMAL: 7_000})
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.held_back(opened.handle) == {"software power cap": 5, "thermal slowdown": 7_000}
        device.violations = {}
        with pytest.raises(nvml.UnavailableError, match="NVML: Not Supported"):
            nvml.held_back(opened.handle)


def test_this_process_is_never_counted_among_the_others(gpu):
    device = gpu(pids=[os.getpid(), 1, 2])
    with nvml.opened(fake_nvml.UUID) as opened:
        assert nvml.other_processes(opened.handle, holds_context=True) == 2
        device.pids = []
        assert nvml.other_processes(opened.handle, holds_context=True) == 0, "never fewer than none"


@pytest.mark.parametrize(("number", "version"), [(13_000, "13.0"), (12_040, "12.4"), (12_080, "12.8")])
def test_a_version_of_cuda_is_read_from_its_number(number, version):
    assert nvml._cuda_version(number) == version
