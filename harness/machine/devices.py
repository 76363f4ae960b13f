"""Which device to measure on, found without importing torch in this process: each is tried, and says why it fails."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.machine import processor

if TYPE_CHECKING:
    from collections.abc import Callable

# torch counts GPUs through NVML, whatever the driver's age and the GPU's: that one is there says not that it computes.
PROBE = """
import json, os
try:
    os.getcwd()
except OSError:
    os.chdir("/")
import torch
found = [{"name": "cpu"}]
for number in range(torch.cuda.device_count()):
    one = {"name": f"cuda:{number}"}
    try:
        properties = torch.cuda.get_device_properties(number)
        one |= {"model": properties.name, "uuid": str(properties.uuid),
                "capability": f"{properties.major}.{properties.minor}"}
        if float(torch.zeros(1, device=one["name"]).add_(1).item()) != 1:
            one["reason"] = "it computes 0 + 1 wrong"
    except Exception as error:
        one["reason"] = " ".join(str(error).split())[:300] or type(error).__name__
    found.append(one)
if torch.backends.mps.is_available():
    found.append({"name": "mps"})
print(json.dumps(found))
"""
# Seconds; importing torch from a cold disk and a context on each of eight GPUs.
PROBE_SECONDS = 300.0


class DeviceError(ValueError):
    """There is no such device here; the message names those there are."""


class AbsentError(DeviceError):
    """The device's name is one, and none of that name works here."""


@dataclass(frozen=True)
class Device:
    """A device as torch names it; `uuid` is without prefix, and `reason` says why it can't be used."""

    name: str
    model: str = ""
    uuid: str = ""
    capability: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.name} can't be used: {self.reason}"
        known = [part for part in (self.model, self.capability and f"sm {self.capability}", self.uuid) if part]
        return f"{self.name} ({', '.join(known)})" if known else self.name


# The driver's library, without which torch finds no GPU of NVIDIA; and where AMD's driver is spoken to.
NVIDIA_DRIVER, AMD_DRIVER = "libcuda.so.1", Path("/dev/kfd")


def has_gpu_driver() -> bool:
    """Tell whether a GPU could be here; not without a driver on Linux, which a look tells sooner than torch does."""
    if not sys.platform.startswith("linux") or AMD_DRIVER.exists():
        return True
    try:
        ctypes.CDLL(NVIDIA_DRIVER)
    except OSError:
        return False
    return True


@functools.cache
def present() -> tuple[Device, ...]:
    """List the devices that torch sees, the CPU first, each tried. Raises DeviceError if torch can't be imported."""
    if is_built_for_cpu():
        return (Device("cpu"),)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, check=False, timeout=PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"the devices do not answer within {PROBE_SECONDS:.0f} s; --device cpu asks none") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise DeviceError(f"torch can't be imported: {last[0]}")
    return tuple(Device(**one) for one in json.loads(done.stdout.strip().splitlines()[-1]))


def is_built_for_cpu(*, version: Path | None = None) -> bool:
    """Tell whether torch was built for no GPU, by its file `version`; to import it takes a second or more.

    False if that can't be known.
    """
    if version is None:
        found = importlib.util.find_spec("torch")
        version = Path(found.origin).with_name("version.py") if found and found.origin else Path()
    text = processor.text_of(version) or ""
    built = dict(re.findall(r"^(cuda|hip)\b[^=\n]*= (.+)$", text, re.MULTILINE))
    return sys.platform == "linux" and set(built.values()) == {"None"} and len(built) == 2  # noqa: PLR2004


def choose(wanted: str | None, *, tell: Callable[[str], object] = lambda _: None) -> str:
    """Return the device asked for, or the best one: CUDA if there is one that works, else the CPU. Raises DeviceError.

    `tell` hears, a line each, of GPUs that can't be used where nobody asked for one.
    """
    if wanted is not None and not re.fullmatch(r"(cpu|mps|cuda(:\d+)?)", wanted):
        raise DeviceError(f"no device {wanted!r}: have cpu, cuda, cuda:N, mps")
    if wanted == "cpu" or (wanted is None and not has_gpu_driver()):
        return "cpu"
    found = present()
    usable = [device.name for device in found if not device.reason]
    refused = [str(device) for device in found if device.reason]
    cuda = [name for name in usable if name.startswith("cuda")]
    if wanted is None:
        for line in refused:
            tell(line)
        return cuda[0] if cuda else "cpu"
    device = cuda[0] if wanted == "cuda" and cuda else wanted
    if device not in usable:
        why = [line for line in refused if line.startswith(f"{wanted}:" if wanted == "cuda" else f"{wanted} ")]
        raise AbsentError("; ".join([f"no device {wanted!r} here: have {', '.join(usable)}", *why]))
    return device


def identity(device: str) -> str:
    """Return what tells a device from every other of this machine: a GPU's UUID, or a MIG instance's; else its name.

    torch's number of a GPU depends on CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.
    """
    if not device.startswith("cuda"):
        return device
    return next((known.uuid for known in present() if known.name == device and known.uuid), device)


def lockable(device: str) -> list[str]:
    """Return what of a device one run may hold at a time: its `identity`, on a CPU each core that may be used here."""
    if device != "cpu":
        return [identity(device)]
    return [f"core-{number}" for number in processor.allowed_core_numbers()]


def held_name(device: str) -> str:
    """Name a device where it is held: a CPU with its cores where not all of them may be used."""
    cores = processor.allowed_core_numbers()
    is_whole = device != "cpu" or len(cores) == os.cpu_count()
    return device if is_whole else f"{device} (cores {processor.core_ranges(cores)})"
