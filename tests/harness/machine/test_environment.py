"""The stable part decides comparability and nothing volatile enters it; whatever can't be read has a reason."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pynvml
import pytest
import torch

from harness.machine import environment, host
from tests.support import fake_nvml
from tests.support.places import ROOT


def test_describe_states_threads_and_versions_of_this_process():
    described = environment.describe("cpu")
    assert described.stable["threads"] == torch.get_num_threads()
    assert described.stable["torch"].startswith(torch.__version__.split("+")[0])
    assert described.stable["numpy"]
    assert described.stable["device"] == "cpu"
    assert described.volatile["timer_resolution_seconds"] > 0


def test_the_id_follows_the_stable_part_alone():
    first = environment.describe("cpu")
    second = environment.describe("cpu")
    assert first.id == second.id == environment.fingerprint(second.stable)
    other = dict(second.stable, threads=second.stable["threads"] + 1)
    assert environment.fingerprint(other) != second.id


@pytest.mark.parametrize(
    "name", ["load_average", "cpu_mhz", "memory_bytes", "commit", "governor", "steal_share_since_boot"]
)
def test_what_changes_between_runs_of_one_machine_is_not_in_the_stable_part(name):
    assert name not in environment.describe("cpu").stable


def test_which_host_and_cores_it_was_is_known_and_changes_no_identity(monkeypatch):
    here = environment.describe("cpu")
    monkeypatch.setattr(environment.platform, "node", lambda: "another-host")
    monkeypatch.setattr(environment, "allowed_core_numbers", lambda: [5, 6, 9])
    there = environment.describe("cpu")
    assert (there.volatile["hostname"], there.volatile["cores"]) == ("another-host", "5-6,9")
    assert here.volatile["hostname"] != "another-host"
    assert there.id == here.id


def test_whatever_is_absent_has_a_reason():
    described = environment.describe("cpu")
    for name in ("governor", "cpu_mhz", "cpu_quota_cores", "cpu_temperature_c", "triton", "cuda"):
        present = name in described.stable or name in described.volatile
        assert present != bool(described.reasons.get(name))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_commit_is_that_of_the_checkout():
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert environment.commit().removesuffix("+") == head.stdout.strip()


def test_threads_of_the_calling_process_change_the_id():
    code = (
        "import torch; from harness.machine import environment; torch.set_num_threads({});"
        "d = environment.describe('cpu'); print(d.id, d.stable['threads'])"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code.format(n)], capture_output=True, text=True, check=True
        ).stdout.split()
        for n in (1, 2)
    ]
    assert [output[1] for output in outputs] == ["1", "2"]
    assert outputs[0][0] != outputs[1][0]


def test_a_bare_machine_gives_reasons_and_no_error(tmp_path):
    stable, volatile = host.Facts(), host.Facts()
    host.host_stable(stable, root=tmp_path)
    environment.host_volatile(volatile, root=tmp_path)
    assert {"cpu_flags", "cpu_caches", "smt", "numa_nodes"} <= set(stable.reasons)
    assert {"governor", "turbo", "cpu_pressure", "steal_share_since_boot"} <= set(volatile.reasons)


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that makes torch and NVML show a GPU."""
    properties = SimpleNamespace(
        name="NVIDIA H200",
        major=9,
        minor=0,
        multi_processor_count=132,
        total_memory=150_754_820_096,
        L2_cache_size=62_914_560,
        uuid=fake_nvml.UUID,
    )

    def plug(**behaviour):
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: properties)
        monkeypatch.setattr(torch, "zeros", lambda *_sizes, **_options: None)
        device = fake_nvml.Device(**behaviour)
        fake_nvml.install(monkeypatch, device)
        return device

    return plug


def test_a_gpu_is_described_by_torch_and_nvml(gpu):
    gpu(pids=[4242, 4243])
    described = environment.describe("cuda:0")
    assert described.stable["gpu"] == "NVIDIA H200"
    assert described.stable["gpu_capability"] == "9.0"
    assert described.stable["gpu_power_limit_w"] == 700
    assert described.stable["gpu_mig"] is False
    assert described.volatile["gpu_other_processes"] == 1  # one of the two is this process, seen from the host


def test_which_of_several_equal_cards_it_was_is_known_and_changes_no_identity(gpu, monkeypatch):
    gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1")
    second = environment.describe("cuda:0")
    assert second.volatile["gpu_uuid"] == f"GPU-{fake_nvml.UUID}"
    assert second.volatile["gpu_pci"] == "00000000:18:00.0"
    assert second.volatile["gpu_variables"] == {"CUDA_VISIBLE_DEVICES": "1"}
    # What changes which kernels run is part of the identity, and the two don't hide one another.
    assert second.stable["variables"]["TORCH_CUDNN_SDPA_DEPRIORITIZED"] == "1"
    assert not second.stable.keys() & second.volatile.keys()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert environment.describe("cuda:0").id == second.id


def test_what_a_gpu_does_at_the_moment_is_not_its_identity(gpu):
    device = gpu()
    first = environment.describe("cuda:0")
    device.temperature, device.sm_clock, device.power_mw, device.reasons = 85, 1200, 690_000, 0x4
    second = environment.describe("cuda:0")
    assert first.id == second.id
    assert first.volatile["gpu_sm_clock_mhz"] != second.volatile["gpu_sm_clock_mhz"]
    device.ecc = 0
    assert environment.describe("cuda:0").id != first.id


def test_a_gpu_without_nvml_keeps_its_name_and_gives_the_reason(gpu):
    gpu(refuses={"nvmlInitWithFlags": pynvml.NVML_ERROR_DRIVER_NOT_LOADED})
    described = environment.describe("cuda:0")
    assert described.stable["gpu"] == "NVIDIA H200"
    assert "Driver Not Loaded" in described.reasons["nvml"]
    assert "gpu_temperature_c" not in described.volatile
