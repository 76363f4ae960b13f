"""The environment of a run: what decides whether two runs compare, and what informs."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from harness.machine import nvml
from harness.machine.host import Facts, host_stable
from harness.machine.processor import (
    ROOT,
    allowed_core_numbers,
    core_ranges,
    cpu_mhz,
    cpu_pressure,
    cpu_temperature,
    governor,
    memory_available_bytes,
    memory_bytes,
    steal_share,
    text_of,
    throttled_periods,
    turbo,
)
from harness.records import Environment

if TYPE_CHECKING:
    from pydantic import JsonValue


# What users set to change threads and allocation; each shifts measured times.
VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME"),
    *("MKL_NUM_THREADS", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"),
    *("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"),
    *("LD_PRELOAD", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "CUDA_LAUNCH_BLOCKING"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
    *("CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_SCALE_LAUNCH_QUEUES", "CUDA_MODULE_LOADING", "TORCH_BLAS_PREFER_CUBLASLT"),
    # It decides which backend scaled_dot_product_attention chooses by itself.
    "TORCH_CUDNN_SDPA_DEPRIORITIZED",
    *("PYTORCH_NO_CUDA_MEMORY_CACHING", "TRITON_INTERPRET"),
)
# What users set to say which GPU is which; it changes no time.
PLACING = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES")


def describe(device: str) -> Environment:
    """Describe this process's environment for a device such as `cpu` or `cuda:0`.

    Call it in the worker: thread counts and library settings are those of the calling process.
    """
    stable, volatile = Facts(), Facts()
    stable.values["device"] = device.split(":", maxsplit=1)[0]
    host_stable(stable)
    _software(stable)
    host_volatile(volatile)
    volatile.values |= {"hostname": platform.node(), "cores": core_ranges(allowed_core_numbers())}
    if device.startswith("cuda"):
        _gpu(device, stable, volatile)
    return Environment(
        id=fingerprint(stable.values),
        stable=stable.values,
        volatile=volatile.values,
        reasons=stable.reasons | volatile.reasons,
    )


def fingerprint(stable: dict[str, JsonValue]) -> str:
    """Hash the stable facts."""
    return hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()[:16]


def host_volatile(facts: Facts, *, root: Path = ROOT) -> None:
    """Add how the machine is at this moment: load, governor, frequency, temperature, clock, memory."""
    with contextlib.suppress(OSError):
        facts.values["load_average"] = list(psutil.getloadavg())
    facts.put("cpu_pressure", cpu_pressure(root=root), absent="the kernel reports no pressure (/proc/pressure/cpu)")
    facts.put("steal_share_since_boot", steal_share(root=root), absent="the kernel reports no steal time (/proc/stat)")
    facts.put("throttled_periods", throttled_periods(root=root), absent="no cgroup limits the processor time")
    facts.put("governor", governor(root=root), absent="frequency scaling is not visible here, as in virtual machines")
    facts.put("turbo", turbo(root=root), absent="the system does not say whether turbo is on")
    facts.put("cpu_mhz", cpu_mhz(root=root), absent="the current frequency is not visible here, as in virtual machines")
    facts.put("cpu_temperature_c", cpu_temperature(), absent="no temperature sensor is visible")
    facts.put(
        "clock_source",
        text_of(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        absent="the system does not name its clock",
    )
    facts.values["timer_resolution_seconds"] = time.get_clock_info("perf_counter").resolution
    # A virtual machine may be given memory as it uses it, so even the total is no constant.
    facts.values["memory_bytes"] = memory_bytes(root=root)
    facts.values["memory_available_bytes"] = memory_available_bytes(root=root)
    facts.values["commit"] = commit()


def commit() -> str:
    """Return the project's git commit, with `+` where files differ from it, or `not a checkout`."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return "not a checkout"
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"unreadable: {error}"
    return described.stdout.strip()


def _software(facts: Facts) -> None:
    """Add versions and the settings of torch in this process."""
    import torch

    from impls.numerics.precision import float32_precision

    facts.values["python"] = platform.python_version()
    for package in ("attnbench", "torch", "numpy", "triton"):
        facts.put(package, _version(package), absent="not installed")
    config = torch.__config__.show()
    for name, pattern in (("mkl", r"Math Kernel Library Version (\S+)"), ("onednn", r"MKL-DNN (v\S+)")):
        found = re.search(pattern, config)
        facts.put(name, found[1] if found else None, absent="torch was built without it")
    facts.put("cuda", torch.version.cuda, absent="torch was built without CUDA")
    cudnn = torch.backends.cudnn.version() if torch.version.cuda else None  # type: ignore[no-untyped-call]
    facts.put("cudnn", cudnn, absent="torch was built without CUDA")
    facts.values["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    facts.values["threads"] = torch.get_num_threads()
    facts.values["interop_threads"] = torch.get_num_interop_threads()
    facts.values["variables"] = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    facts.values["float32_matmul_precision"] = float32_precision()
    facts.values["deterministic"] = torch.are_deterministic_algorithms_enabled()
    facts.values["sdpa_backends"] = [*_sdpa_backends()]
    facts.values["sdpa_flash"] = _flash_implementation()


def _sdpa_backends() -> list[str]:
    """List the backends of scaled_dot_product_attention that are switched on."""
    from torch.backends import cuda

    switches = {
        "flash": cuda.flash_sdp_enabled,
        "efficient": cuda.mem_efficient_sdp_enabled,
        "math": cuda.math_sdp_enabled,
        "cudnn": cuda.cudnn_sdp_enabled,
    }
    return [name for name, is_enabled in switches.items() if is_enabled()]  # type: ignore[no-untyped-call]


def _flash_implementation() -> str:
    """Name the flash kernels behind SDPA, which may be replaced since torch 2.12 (activate_flash_attention_impl)."""
    import torch.nn.attention

    current = getattr(torch.nn.attention, "current_flash_attention_impl", None)
    return str(current()) if current and current() else "built in"


def _gpu(device: str, stable: Facts, volatile: Facts) -> None:
    """Add the GPU as torch and NVML see it."""
    import torch

    properties = torch.cuda.get_device_properties(device)
    stable.values |= {
        "gpu_capability": f"{properties.major}.{properties.minor}",
        "gpu_multiprocessors": properties.multi_processor_count,
        "gpu_memory_bytes": properties.total_memory,
        "gpu_l2_bytes": properties.L2_cache_size,
    }
    # Which of several equal cards it was: two runs on them compare, and a resumed run says if it moved.
    volatile.values["gpu_index"] = int(device.partition(":")[2] or 0)
    volatile.values["gpu_uuid"] = f"GPU-{properties.uuid}"
    volatile.values["gpu_variables"] = {name: os.environ[name] for name in PLACING if name in os.environ}
    # Creates this process's context, so that NVML's list of processes is known to hold it.
    torch.zeros(1, device=device)
    try:
        with nvml.opened(str(properties.uuid)) as gpu:
            stable.take(nvml.read(gpu, nvml.stable_readings()))
            stable.values["gpu_mig"] = gpu.is_mig
            volatile.take(nvml.read(gpu, nvml.volatile_readings(holds_context=True)))
    except nvml.UnavailableError as error:
        stable.values["gpu"] = properties.name
        stable.reasons["nvml"] = str(error)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
