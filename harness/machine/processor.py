"""What the system says of its processor, memory and control groups; no torch."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import psutil

ROOT = Path("/")

# A limit of memory above this is no limit: cgroup v1 reports "none" as 2^63 rounded down to a page.
NO_LIMIT = 2**62


def cpu_model(*, root: Path = ROOT) -> str | None:
    """Name the processor with family, model and stepping, since virtual machines shorten the name."""
    entry = cpuinfo(root)
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
        words = (text_of(folder / "cpu.max") or "").split()
        if len(words) == 2 and words[0] != "max":  # noqa: PLR2004
            quotas.append(int(words[0]) / int(words[1]))
        old = _integer(text_of(folder / "cpu.cfs_quota_us")), _integer(text_of(folder / "cpu.cfs_period_us"))
        if old[0] is not None and old[1] and old[0] > 0:
            quotas.append(old[0] / old[1])
    return min(quotas, default=None)


def throttled_periods(*, root: Path = ROOT) -> int | None:
    """Count the periods in which a cgroup stopped this process for using up its quota; None without a quota."""
    counts = []
    for folder in _cgroups(root):
        found = re.search(r"^nr_throttled (\d+)$", text_of(folder / "cpu.stat") or "", flags=re.MULTILINE)
        if found:
            counts.append(int(found[1]))
    return max(counts) if counts and cpu_quota(root=root) is not None else None


def memory_bytes(*, root: Path = ROOT) -> int:
    """Return the memory that this process may use: the machine's, or a smaller cgroup limit."""
    limits = [psutil.virtual_memory().total]
    for folder in _cgroups(root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _integer(text_of(folder / name))
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
        size = re.fullmatch(r"(\d+)([KM]?)", text_of(index / "size") or "")
        if size and text_of(index / "type") != "Instruction":
            unit = {"": 1, "K": 2**10, "M": 2**20}[size[2]]
            shared = text_of(index / "shared_cpu_list") or str(core)
            found.append((f"L{text_of(index / 'level')}", int(size[1]) * unit, shared))
    return found


def governor(*, root: Path = ROOT) -> str | None:
    """Return the frequency governors in use, joined where cores differ."""
    found = {text_of(path) for path in (root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor")}
    return ", ".join(sorted(name for name in found if name)) or None


def turbo(*, root: Path = ROOT) -> bool | None:
    """Return whether the processor may exceed its base frequency."""
    cpu = root / "sys/devices/system/cpu"
    no_turbo, boost = text_of(cpu / "intel_pstate/no_turbo"), text_of(cpu / "cpufreq/boost")
    if no_turbo is not None:
        return no_turbo == "0"
    return None if boost is None else boost == "1"


def cpu_mhz(*, root: Path = ROOT) -> float | None:
    """Return the mean frequency of the cores where cpufreq measures it.

    /proc/cpuinfo is no substitute: in a virtual machine it repeats the nominal figure.
    """
    paths = (root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_cur_freq")
    values = [value for value in (_integer(text_of(path)) for path in paths) if value is not None]
    return sum(values) / len(values) / 1000 if values else None


def cpu_pressure(*, root: Path = ROOT) -> float | None:
    """Return the share of the last ten seconds in which some task waited for a core (/proc/pressure/cpu)."""
    found = re.search(r"some avg10=([\d.]+)", text_of(root / "proc/pressure/cpu") or "")
    return float(found[1]) / 100 if found else None


def cpu_ticks(*, root: Path = ROOT) -> tuple[int, int] | None:
    """Return clock ticks since boot of all cores: all, and those that the hypervisor gave to others (steal)."""
    first = (text_of(root / "proc/stat") or "").splitlines()[:1]
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


def cpuinfo(root: Path) -> dict[str, str]:
    """Read the first processor's entry of /proc/cpuinfo."""
    first = (text_of(root / "proc/cpuinfo") or "").split("\n\n", maxsplit=1)[0]
    pairs = (line.split(":", maxsplit=1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cgroups(root: Path) -> list[Path]:
    """List the folders of this process's control groups, each with its parents up to the mount."""
    folders: list[Path] = []
    for line in (text_of(root / "proc/self/cgroup") or "").splitlines():
        _number, controllers, path = line.split(":", maxsplit=2)
        base = root / "sys/fs/cgroup" / controllers  # empty for cgroup v2
        place = base / path.lstrip("/")
        folders += [folder for folder in (place, *place.parents) if folder.is_relative_to(base)]
    return folders


def _integer(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def text_of(path: Path) -> str | None:
    """Read a small system file, None where it is missing or refused."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
