"""What the system says of its processor, memory and control groups; no torch."""

from __future__ import annotations

import math
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path("/")

# A limit of memory above this is no limit: cgroup v1 reports "none" as 2^63 rounded down to a page.
NO_LIMIT = 2**62
# By these a user says how many threads there are to be; torch heeds them.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Throttling:
    """What a quota did: the periods (of 100 ms, mostly) in which its group ran, and those in which it was stopped."""

    periods: int
    stopped: int

    def since(self, earlier: Throttling) -> Throttling:
        """Return what came after an earlier reading."""
        return Throttling(self.periods - earlier.periods, self.stopped - earlier.stopped)


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


def core_ranges(numbers: Sequence[int]) -> str:
    """Write core numbers in ascending order as taskset takes them: `0-3,8`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def cpu_quota(*, root: Path = ROOT) -> float | None:
    """Return the cores' worth of time that the cgroups allow, the smallest on the way up; None for no limit."""
    return min((quota for folder in _cgroups(root) if (quota := _quota_of(folder)) is not None), default=None)


def _quota_of(folder: Path) -> float | None:
    """Return the quota that one group sets, in either version of control groups; None if it sets none."""
    words = (text_of(folder / "cpu.max") or "").split()
    words = words or [text_of(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
    numbers = [_integer(word) for word in words]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:  # noqa: PLR2004
        return None
    return numbers[0] / numbers[1] if min(numbers[0], numbers[1]) > 0 else None


def quota_threads(threads: int, *, root: Path = ROOT, variables: Mapping[str, str] | None = None) -> int:
    """Return how many of so many threads a quota feeds: all without one, or where the user has set their number.

    Threads beyond it would use up the quota early in each of its periods, and all would stop until the next.
    """
    quota = cpu_quota(root=root)
    known = os.environ if variables is None else variables
    if quota is None or any(known.get(name) for name in THREAD_VARIABLES):
        return threads
    return max(1, min(threads, math.floor(quota)))


def throttling(*, root: Path = ROOT) -> Throttling | None:
    """Count the periods of the quota that stopped this process most often; None without a quota."""
    found = []
    for folder in _cgroups(root):
        text = text_of(folder / "cpu.stat") or ""
        counts = dict(re.findall(r"^(nr_periods|nr_throttled) (\d+)$", text, re.MULTILINE))
        if len(counts) == 2:  # noqa: PLR2004
            found.append(Throttling(int(counts["nr_periods"]), int(counts["nr_throttled"])))
    return max(found, key=lambda one: one.stopped) if found and cpu_quota(root=root) is not None else None


def throttled_periods(*, root: Path = ROOT) -> int | None:
    """Count the periods in which a cgroup stopped this process for using up its quota; None without a quota."""
    found = throttling(root=root)
    return None if found is None else found.stopped


def stand_somewhere() -> None:
    """Go to the root where this process's working directory is gone: MKL ends a process that stands nowhere."""
    try:
        os.getcwd()  # noqa: PTH109  # it is the system that is asked
    except OSError:
        os.chdir(ROOT)


def memory_bytes(*, root: Path = ROOT) -> int:
    """Return the memory that this process may use: the machine's, or a smaller cgroup limit."""
    return min([psutil.virtual_memory().total, *(limit for _, limit in _memory_limits(root))])


def memory_available_bytes(*, root: Path = ROOT) -> int:
    """Return the memory that this process could still take, by the machine and by each cgroup that limits it.

    What a group holds of files that were read counts as free, for the kernel gives it up first.
    """
    left = [int(psutil.virtual_memory().available)]
    for folder, limit in _memory_limits(root):
        used = _integer(text_of(folder / "memory.current") or text_of(folder / "memory.usage_in_bytes"))
        if used is not None:
            # The first version counts a group's own apart from the total of all below it.
            text = text_of(folder / "memory.stat") or ""
            cached = map(int, re.findall(r"^(?:total_)?inactive_file (\d+)$", text, re.MULTILINE))
            left.append(max(0, limit - used + max(cached, default=0)))
    return min(left)


def _memory_limits(root: Path) -> list[tuple[Path, int]]:
    """List the groups that limit this process's memory, each with its limit in bytes."""
    found = []
    for folder in _cgroups(root):
        limit = _integer(text_of(folder / "memory.max") or text_of(folder / "memory.limit_in_bytes"))
        if limit is not None and limit < NO_LIMIT:
            found.append((folder, limit))
    return found


def caches(*, root: Path = ROOT) -> dict[str, int]:
    """Return the bytes of the data caches that the first core reaches, by name: L1, L2, L3."""
    return {name: size for name, size, _shared in _caches_of(0, root=root)}


def last_level_bytes(*, root: Path = ROOT) -> int:
    """Return the bytes of the last-level caches of all allowed cores together; 0 if the system lists none.

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
    """List the folders of this process's control groups, each with its parents up to the mount.

    In a container the path is often the host's, and only the mount itself is there.
    """
    folders: list[Path] = []
    for line in (text_of(root / "proc/self/cgroup") or "").splitlines():
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # Without controllers it is the second version, whose mount lies lower where both are there.
        mounts = ("",) if controllers else ("", "unified")
        for base in (root / "sys/fs/cgroup" / mount / controllers for mount in mounts):
            place = base / path.lstrip("/")
            folders += [folder for folder in (place, *place.parents) if folder.is_relative_to(base)]
    return list(dict.fromkeys(folders))


def _integer(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def text_of(path: Path) -> str | None:
    """Read a small system file, None if it is missing or refused."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
