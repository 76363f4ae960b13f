"""NVML through `pynvml` (nvidia-ml-py): the GPU that torch uses, read without raising; each absence has a reason."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


# NVML API reference, nvmlClocksEventReasons; drivers before 535 call the same bits throttle reasons, with two more.
CLOCK_REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
# Policies that hold the clocks back, whose time the driver adds up: NVML API reference, nvmlPerfPolicyType_t.
VIOLATIONS = {
    "NVML_PERF_POLICY_POWER": "software power cap",
    "NVML_PERF_POLICY_THERMAL": "thermal slowdown",
    "NVML_PERF_POLICY_SYNC_BOOST": "sync boost",
    "NVML_PERF_POLICY_BOARD_LIMIT": "board limit",
    "NVML_PERF_POLICY_RELIABILITY": "reliability",
}
# Idle and application clocks are how a healthy device behaves; a power cap is legal, and worth saying.
BENIGN = frozenset({"idle", "application clocks"})
# Under these the device runs slower than its own power limit asks for: such a figure does not transfer.
SPOILING = frozenset(
    {
        "hardware slowdown",
        "sync boost",
        "software thermal slowdown",
        "hardware thermal slowdown",
        "hardware power brake",
        "thermal slowdown",
        "board limit",
        "reliability",
    }
)

Value = float | int | str | bool | list[str]


class UnavailableError(RuntimeError):
    """NVML can't be used here; the message says why."""


@dataclass(frozen=True)
class Gpu:
    """A device under NVML: its handle, and whether it is a MIG instance, a share of a GPU."""

    handle: Any
    uuid: str
    is_mig: bool


@dataclass(frozen=True)
class Readings:
    """Values by name, and the reasons of those that could not be had."""

    values: dict[str, Value] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@contextmanager
def opened(uuid: str) -> Iterator[Gpu]:
    """Open NVML and find a device by the UUID that CUDA gives, so that CUDA_VISIBLE_DEVICES needs no translation.

    `uuid` is without prefix. Raises UnavailableError without the package, the driver, the right or the device.
    """
    try:
        import pynvml
    except ImportError as error:
        raise UnavailableError(f"the package nvidia-ml-py is missing: {error}") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise UnavailableError(f"NVML does not start: {error}") from None
    try:
        yield _find(uuid)
    finally:
        # A device lost meanwhile may refuse; there is nothing left to close then.
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _find(uuid: str) -> Gpu:
    import pynvml

    refused = ""
    for prefix in ("GPU-", "MIG-"):
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(prefix + uuid)
        except pynvml.NVMLError as error:
            refused = str(error)
        else:
            return Gpu(handle, prefix + uuid, is_mig=prefix == "MIG-" or _in_mig_mode(handle))
    raise UnavailableError(f"NVML knows no device with UUID {uuid}: {refused}")


def _in_mig_mode(handle: Any) -> bool:
    import pynvml

    try:
        current, _pending = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError:
        return False  # the device or its driver has no MIG at all
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)


def read(gpu: Gpu, wanted: Mapping[str, Callable[[Any], Value]]) -> Readings:
    """Take readings by name; NVML's own words are the reason where it refuses one."""
    import pynvml

    readings = Readings()
    for name, reading in wanted.items():
        try:
            readings.values[name] = reading(gpu.handle)
        except pynvml.NVMLError as error:
            readings.reasons[name] = f"NVML: {error}"
        except UnavailableError as error:
            readings.reasons[name] = str(error)
        except AttributeError as error:
            readings.reasons[name] = _stale(error)
    return readings


def _stale(error: AttributeError) -> str:
    """Say that the module is not the one that this was written for."""
    return f"the installed pynvml lacks {error.name}: uninstall the old package pynvml, nvidia-ml-py has it"


def clock_reasons(handle: Any) -> list[str]:
    """Name why the clocks are below their maximum, through the older name of the call if driver or module are older.

    A bit that has no name here is given by its number.
    """
    import pynvml

    mask = None
    # The package called pynvml, where it is left over, knows the older name only.
    newer = getattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    if newer is not None:
        with suppress(pynvml.NVMLError_FunctionNotFound):
            mask = newer(handle)
    if mask is None:
        mask = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    bits = [1 << place for place in range(int(mask).bit_length()) if int(mask) >> place & 1]
    return [CLOCK_REASONS.get(bit, f"unknown reason {bit:#x}") for bit in bits]


def held_back(handle: Any) -> dict[str, int]:
    """Return the nanoseconds, since the driver was loaded, in which each policy held the clocks back.

    A difference of two readings misses nothing that came and went between them. Raises UnavailableError if the driver
    counts for no policy.
    """
    import pynvml

    found: dict[str, int] = {}
    refused = "none of the policies is known"
    for policy, name in VIOLATIONS.items():
        try:
            counted = pynvml.nvmlDeviceGetViolationStatus(handle, getattr(pynvml, policy))
        except pynvml.NVMLError as error:
            refused = f"NVML: {error}"
        else:
            found[name] = int(counted.violationTime)
    if not found:
        raise UnavailableError(refused)
    return found


def other_processes(handle: Any, *, holds_context: bool) -> int:
    """Count compute processes on the device besides this one.

    In a container NVML lists process ids of the host. Then none of them is ours, although one is when this process
    holds a context.
    """
    import pynvml

    listed = [process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)]
    if os.getpid() in listed:
        return len(listed) - 1
    return max(0, len(listed) - holds_context)


def process_bytes(handle: Any) -> int:
    """Return the bytes of the device that the driver counts for this process, its context included.

    Raises UnavailableError where the driver doesn't tell, NVMLError where it refuses.
    """
    import pynvml

    listed = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    # A process has an entry for each MIG instance that it uses.
    ours = [process.usedGpuMemory for process in listed if process.pid == os.getpid()]
    if not listed:
        raise UnavailableError("NVML lists no process on the device")
    if not ours:
        raise UnavailableError(f"NVML lists {len(listed)} process(es), none by this one's id: a container hides ids")
    if None in ours:
        raise UnavailableError("the driver counts no memory by process here")
    # A context alone takes over 100 MiB: newer drivers know our id in a container, and count nothing for it.
    if not sum(ours):
        raise UnavailableError("the driver counts 0 bytes for this process, as it does in containers")
    return int(sum(ours))


def stable_readings() -> dict[str, Callable[[Any], Value]]:
    """Return the readings that identify a device and how it is set up."""
    import pynvml

    return {
        "gpu": pynvml.nvmlDeviceGetName,
        "gpu_driver": lambda _handle: str(pynvml.nvmlSystemGetDriverVersion()),
        "gpu_driver_cuda": lambda _handle: _cuda_version(pynvml.nvmlSystemGetCudaDriverVersion()),
        "gpu_ecc": lambda handle: bool(pynvml.nvmlDeviceGetEccMode(handle)[0]),
        "gpu_power_limit_w": lambda handle: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
        "gpu_sm_clock_max_mhz": lambda handle: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
    }


def volatile_readings(*, holds_context: bool) -> dict[str, Callable[[Any], Value]]:
    """Return the readings that change from one moment to the next, and those that tell a card from its like."""
    import pynvml

    return {
        "gpu_uuid": lambda handle: str(pynvml.nvmlDeviceGetUUID(handle)),
        "gpu_pci": lambda handle: str(pynvml.nvmlDeviceGetPciInfo(handle).busId),
        "gpu_temperature_c": lambda handle: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        "gpu_sm_clock_mhz": lambda handle: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "gpu_memory_clock_mhz": lambda handle: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
        "gpu_power_w": lambda handle: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "gpu_clock_reasons": clock_reasons,
        "gpu_persistence": lambda handle: bool(pynvml.nvmlDeviceGetPersistenceMode(handle)),
        "gpu_other_processes": lambda handle: other_processes(handle, holds_context=holds_context),
    }


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
