"""What the machine is, as far as it is known without torch: processor, cores that may be used, kernel."""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

from harness.machine.processor import ROOT, allowed_cores, caches, cpu_model, cpu_quota, cpuinfo, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from harness.machine import nvml

# The instruction sets that decide which kernels of oneDNN, MKL and PyTorch run.
FLAGS = (
    *("avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "amx_fp16"),
    *("asimd", "asimdhp", "bf16", "i8mm", "sve", "sve2", "svebf16"),
)


class Facts:
    """Facts under collection; a value that is None is absent and has a reason instead."""

    def __init__(self) -> None:
        self.values: dict[str, JsonValue] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: JsonValue, *, absent: str) -> None:
        """Keep a value, or why there is none."""
        if value is None:
            self.reasons[name] = absent
        else:
            self.values[name] = value

    def take(self, readings: nvml.Readings) -> None:
        """Add NVML readings."""
        for name, value in readings.values.items():
            self.values[name] = [*value] if isinstance(value, list) else value
        self.reasons |= readings.reasons


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
        _chosen(text_of(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        absent="the system does not say",
    )


def _cpu_flags(*, root: Path) -> list[JsonValue] | None:
    entry = cpuinfo(root)
    present = (entry.get("flags") or entry.get("Features") or "").split()
    return [flag for flag in FLAGS if flag in present] if present else None


def _numa_nodes(*, root: Path) -> int | None:
    return len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None


def _smt(*, root: Path) -> bool | None:
    active = text_of(root / "sys/devices/system/cpu/smt/active")
    return None if active is None else active == "1"


def _chosen(text: str | None) -> str | None:
    """Return the bracketed word of a kernel setting such as `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None
