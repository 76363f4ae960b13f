"""NVML is read without raising: each figure, or the driver's own words for why there is none."""

from __future__ import annotations

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
