"""Which device to measure on, found without importing torch in this process."""

from __future__ import annotations

import json
import re
import subprocess
import sys

PROBE = """
import json, torch
found = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
if torch.backends.mps.is_available():
    found.append("mps")
print(json.dumps(found))
"""


class DeviceError(ValueError):
    """There is no such device here; the message names those there are."""


def present() -> list[str]:
    """List devices as torch names them, the CPU first. Raises DeviceError where torch can't be imported."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise DeviceError(f"torch can't be imported: {last[0]}")
    found: list[str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def choose(wanted: str | None) -> str:
    """Return the device asked for, or the best one: CUDA if there is one, else the CPU. Raises DeviceError."""
    if wanted is not None and not re.fullmatch(r"(cpu|mps|cuda(:\d+)?)", wanted):
        raise DeviceError(f"no device {wanted!r}: have cpu, cuda, cuda:N, mps")
    if wanted == "cpu":
        return "cpu"
    found = present()
    cuda = [device for device in found if device.startswith("cuda")]
    if wanted is None:
        return cuda[0] if cuda else "cpu"
    device = cuda[0] if wanted == "cuda" and cuda else wanted
    if device not in found:
        raise DeviceError(f"no device {wanted!r} here: have {', '.join(found)}")
    return device
