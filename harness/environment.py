"""The environment of a run: what decides whether runs compare, and what only informs."""

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
from typing import TYPE_CHECKING, Any

import psutil

from harness import nvml
from harness.records import Environment

if TYPE_CHECKING:
    from pydantic import JsonValue

ROOT = Path("/")
# The instruction sets that decide which kernels of oneDNN, MKL and PyTorch run.
FLAGS = (
    *("avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "amx_fp16"),
    *("asimd", "asimdhp", "bf16", "i8mm", "sve", "sve2", "svebf16"),
)
# What users set to change threads and allocation; each shifts measured times.
VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME"),
    *("MKL_NUM_THREADS", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"),
    *("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"),
    *("LD_PRELOAD", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "CUDA_LAUNCH_BLOCKING"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
)
# A limit of memory above this is no limit: cgroup v1 reports "none" as 2^63 rounded down to a page.
NO_LIMIT = 2**62


class Facts:
    """Facts under collection; a value that is None is absent and has a reason instead."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: JsonValue, *, absent: str) -> None:
        """Keep a value, or why there is none."""
        if value is None:
            self.reasons[name] = absent
        else:
            self.values[name] = value

    def take(self, readings: nvml.Readings) -> None:
        """Add NVML readings."""
        self.values |= readings.values
        self.reasons |= readings.reasons


def describe(device: str) -> Environment:
    """Describe this process's environment for a device such as `cpu` or `cuda:0`.

    Call it in the worker: thread counts and library settings are those of the calling process.
    """
    stable, volatile = Facts(), Facts()
    stable.values["device"] = device.split(":", maxsplit=1)[0]
    host_stable(stable)
    _software(stable)
    host_volatile(volatile)
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


def host_stable(facts: Facts, *, root: Path = ROOT) -> None:
    """Add what the machine is: processor, cores that this process may use, kernel."""
    facts.put("cpu", cpu_model(root=root), absent="the system names no processor")
    facts.put("cpu_flags", _cpu_flags(root=root), absent="the system lists no instruction sets")
    facts.values["cpu_cores"] = os.cpu_count() or 1
    facts.values["cpu_cores_allowed"] = allowed_cores()
    facts.put("cpu_quota_cores", cpu_quota(root=root), absent="no cgroup limits the processor time")
    facts.put("cpu_caches", dict(caches(root=root)) or None, absent="the system does not list its caches")
    facts.put("numa_nodes", _numa_nodes(root=root), absent="the system does not list NUMA nodes")
    facts.put("smt", _smt(root=root), absent="the system does not say whether cores are shared")
    facts.values["system"] = f"{platform.system()} {platform.machine()}"
    facts.values["kernel"] = platform.release()
    facts.put(
        "transparent_huge_pages",
        _chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        absent="the system does not say",
    )


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
        _text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        absent="the system does not name its clock",
    )
    facts.values["timer_resolution_seconds"] = time.get_clock_info("perf_counter").resolution
    # A virtual machine may be given memory as it uses it, so even the total is no constant.
    facts.values["memory_bytes"] = memory_bytes(root=root)
    facts.values["memory_available_bytes"] = psutil.virtual_memory().available
    facts.values["commit"] = commit()


def cpu_model(*, root: Path = ROOT) -> str | None:
    """Name the processor with family, model and stepping, since virtual machines shorten the name."""
    entry = _cpuinfo(root)
    name = entry.get("model name") or entry.get("Processor") or platform.processor()
    place = [f"{key} {entry[key]}" for key in ("cpu family", "model", "stepping", "CPU part") if key in entry]
    return f"{name} ({', '.join(place)})" if name and place else name or None


def allowed_core_numbers() -> list[int]:
    """List the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def allowed_cores() -> int:
    """Count the cores that this process may run on."""
    return len(allowed_core_numbers())


def cpu_quota(*, root: Path = ROOT) -> float | None:
    """Return the cores' worth of time that the cgroups allow, the smallest on the way up; None for no limit."""
    quotas = []
    for folder in _cgroups(root):
        words = (_text(folder / "cpu.max") or "").split()
        if len(words) == 2 and words[0] != "max":  # noqa: PLR2004
            quotas.append(int(words[0]) / int(words[1]))
        old = _integer(_text(folder / "cpu.cfs_quota_us")), _integer(_text(folder / "cpu.cfs_period_us"))
        if old[0] is not None and old[1] and old[0] > 0:
            quotas.append(old[0] / old[1])
    return min(quotas, default=None)


def throttled_periods(*, root: Path = ROOT) -> int | None:
    """Count the periods in which a cgroup stopped this process for using up its quota; None without a quota."""
    counts = []
    for folder in _cgroups(root):
        found = re.search(r"^nr_throttled (\d+)$", _text(folder / "cpu.stat") or "", flags=re.MULTILINE)
        if found:
            counts.append(int(found[1]))
    return max(counts) if counts and cpu_quota(root=root) is not None else None


def memory_bytes(*, root: Path = ROOT) -> int:
    """Return the memory that this process may use: the machine's, or a smaller cgroup limit."""
    limits = [psutil.virtual_memory().total]
    for folder in _cgroups(root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _integer(_text(folder / name))
            if limit is not None and limit < NO_LIMIT:
                limits.append(limit)
    return min(limits)


def caches(*, root: Path = ROOT) -> dict[str, int]:
    """Return the bytes of the data caches that the first core reaches, by name: L1, L2, L3."""
    return {name: size for name, size, _shared in _caches_of(0, root=root)}


def last_level_bytes(*, root: Path = ROOT) -> int:
    """Return the bytes of the last-level caches of all allowed cores together; 0 where the system lists none.

    Processors made of several dies have a last-level cache on each.
    """
    found = {}
    for core in allowed_core_numbers():
        for name, size, shared in _caches_of(core, root=root):
            found[name, shared] = size
    last = max((name for name, _shared in found), default="")
    return sum(size for (name, _shared), size in found.items() if name == last)


def _caches_of(core: int, *, root: Path) -> list[tuple[str, int, str]]:
    """List a core's data caches: name, bytes, and the cores that share it."""
    found = []
    for index in sorted((root / f"sys/devices/system/cpu/cpu{core}/cache").glob("index*")):
        size = re.fullmatch(r"(\d+)([KM]?)", _text(index / "size") or "")
        if size and _text(index / "type") != "Instruction":
            unit = {"": 1, "K": 2**10, "M": 2**20}[size[2]]
            shared = _text(index / "shared_cpu_list") or str(core)
            found.append((f"L{_text(index / 'level')}", int(size[1]) * unit, shared))
    return found


def governor(*, root: Path = ROOT) -> str | None:
    """Return the frequency governors in use, joined where cores differ."""
    found = {_text(path) for path in (root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor")}
    return ", ".join(sorted(name for name in found if name)) or None


def turbo(*, root: Path = ROOT) -> bool | None:
    """Return whether the processor may exceed its base frequency."""
    cpu = root / "sys/devices/system/cpu"
    no_turbo, boost = _text(cpu / "intel_pstate/no_turbo"), _text(cpu / "cpufreq/boost")
    if no_turbo is not None:
        return no_turbo == "0"
    return None if boost is None else boost == "1"


def cpu_mhz(*, root: Path = ROOT) -> float | None:
    """Return the mean frequency of the cores where cpufreq measures it.

    /proc/cpuinfo is no substitute: in a virtual machine it repeats the nominal figure.
    """
    paths = (root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_cur_freq")
    values = [value for value in (_integer(_text(path)) for path in paths) if value is not None]
    return sum(values) / len(values) / 1000 if values else None


def cpu_pressure(*, root: Path = ROOT) -> float | None:
    """Return the share of the last ten seconds in which some task waited for a core (/proc/pressure/cpu)."""
    found = re.search(r"some avg10=([\d.]+)", _text(root / "proc/pressure/cpu") or "")
    return float(found[1]) / 100 if found else None


def cpu_ticks(*, root: Path = ROOT) -> tuple[int, int] | None:
    """Return clock ticks since boot of all cores: all, and those that the hypervisor gave to others (steal)."""
    first = (_text(root / "proc/stat") or "").splitlines()[:1]
    ticks = [int(word) for word in first[0].split()[1:9]] if first else []
    # The eighth field is steal (proc(5)); before it are user, nice, system, idle, iowait, irq, softirq.
    return (sum(ticks), ticks[7]) if len(ticks) == 8 else None  # noqa: PLR2004


def steal_share(*, root: Path = ROOT, since: tuple[int, int] = (0, 0)) -> float | None:
    """Return the share of processor time taken by other virtual machines since an earlier `cpu_ticks`, or boot."""
    now = cpu_ticks(root=root)
    if now is None or now[0] <= since[0]:
        return None
    return (now[1] - since[1]) / (now[0] - since[0])


def cpu_temperature() -> float | None:
    """Return the highest temperature of the processor's sensors."""
    read = getattr(psutil, "sensors_temperatures", None)
    sensors = read() if read else {}
    chips = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
    return max((entry.current for chip in chips for entry in sensors.get(chip, ())), default=None)


def commit() -> str:
    """Return the project's git commit, with `+` where files differ from it, or `not a checkout`."""
    folder = Path(__file__).resolve().parent.parent
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
    facts.values["float32_matmul_precision"] = torch.get_float32_matmul_precision()
    facts.values["deterministic"] = torch.are_deterministic_algorithms_enabled()
    facts.values["sdpa_backends"] = _sdpa_backends()
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


def _cpuinfo(root: Path) -> dict[str, str]:
    """Read the first processor's entry of /proc/cpuinfo."""
    first = (_text(root / "proc/cpuinfo") or "").split("\n\n", maxsplit=1)[0]
    pairs = (line.split(":", maxsplit=1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cpu_flags(*, root: Path) -> list[JsonValue] | None:
    entry = _cpuinfo(root)
    present = (entry.get("flags") or entry.get("Features") or "").split()
    return [flag for flag in FLAGS if flag in present] if present else None


def _numa_nodes(*, root: Path) -> int | None:
    return len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None


def _smt(*, root: Path) -> bool | None:
    active = _text(root / "sys/devices/system/cpu/smt/active")
    return None if active is None else active == "1"


def _cgroups(root: Path) -> list[Path]:
    """List the folders of this process's control groups, each with its parents up to the mount."""
    folders: list[Path] = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _number, controllers, path = line.split(":", maxsplit=2)
        base = root / "sys/fs/cgroup" / controllers  # empty for cgroup v2
        place = base / path.lstrip("/")
        folders += [folder for folder in (place, *place.parents) if folder.is_relative_to(base)]
    return folders


def _chosen(text: str | None) -> str | None:
    """Return the bracketed word of a kernel setting such as `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None


def _integer(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """Read a small system file, None where it is missing or refused."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
