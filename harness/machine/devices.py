"""Which device to measure on, found without importing torch in this process: each is tried, and says why it fails."""

from __future__ import annotations

import functools
import glob
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# torch counts GPUs through NVML, whatever the driver's age and the GPU's: that one is there says not that it computes.
PROBE = """
import json, torch
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
# Nodes of NVIDIA's drivers (on Tegra and under Windows too) and of AMD's.
GPU_NODES = ("/dev/nvidia*", "/dev/nvhost*", "/dev/nvgpu*", "/dev/nvmap", "/dev/dxg", "/dev/kfd")
# Seconds; importing torch from a cold disk and a context on each of eight GPUs.
PROBE_SECONDS = 300.0


class DeviceError(ValueError):
    """There is no such device here; the message names those there are."""


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


def may_have_gpu(nodes: Sequence[str] = GPU_NODES) -> bool:
    """Tell whether a GPU may be here: on Linux a driver shows itself by a node, elsewhere only torch can tell."""
    return sys.platform != "linux" or any(glob.glob(node) for node in nodes)  # noqa: PTH207  # patterns from the root


@functools.cache
def present() -> tuple[Device, ...]:
    """List the devices that torch sees, the CPU first, each tried. Raises DeviceError if torch can't be imported."""
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


def choose(wanted: str | None, *, tell: Callable[[str], object] = lambda _: None) -> str:
    """Return the device asked for, or the best one: CUDA if there is one that works, else the CPU. Raises DeviceError.

    `tell` hears, a line each, of GPUs that can't be used where nobody asked for one.
    """
    if wanted is not None and not re.fullmatch(r"(cpu|mps|cuda(:\d+)?)", wanted):
        raise DeviceError(f"no device {wanted!r}: have cpu, cuda, cuda:N, mps")
    if wanted == "cpu" or (wanted is None and not may_have_gpu()):
        # Asking torch takes seconds.
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
        raise DeviceError("; ".join([f"no device {wanted!r} here: have {', '.join(usable)}", *why]))
    return device


def identity(device: str) -> str:
    """Return what tells a device from every other of this machine: a GPU's UUID, or a MIG instance's; else its name.

    torch's number of a GPU depends on CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.
    """
    if not device.startswith("cuda"):
        return device
    return next((known.uuid for known in present() if known.name == device and known.uuid), device)
