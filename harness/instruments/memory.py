"""Memory of one call: allocator peak on CPU (allocation events) and CUDA, resident peak beside it."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.instruments import cuda
from harness.instruments.telemetry.sensors import ReadingError
from harness.machine import processor
from harness.records import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
# How many calls the allocator's peak is taken over, so that varying allocation is noticed. On the CPU one call only
# where profiling is slow (thousands of operators).
REPEATS = 2


@dataclass(frozen=True)
class Sizes:
    """The bytes of a call that need no measuring: its tensors, what backward keeps, and the peak that was predicted."""

    inputs: int
    outputs: int
    saved: int | None = None
    predicted: int | None = None


def peak_of(allocations: list[int]) -> int:
    """Return the largest running sum of allocation events, in bytes."""
    current = peak = 0
    for size in allocations:
        current += size
        peak = max(peak, current)
    return peak


@dataclass
class Resident:
    """The resident peak of a block, in bytes, or the reason for its absence."""

    peak: int | None = None
    reasons: dict[str, str] = field(default_factory=dict)


@contextmanager
def resident_peak() -> Iterator[Resident]:
    """Watch the resident set's high-water mark; free pages are given back first, else reuse would hide growth."""
    found = Resident()
    try:
        _trim()
        CLEAR_REFS.write_text("5", encoding="ascii")
        before = _status_bytes("VmRSS")
    except OSError as error:
        found.reasons["rss_peak"] = f"the system refuses to reset the high-water mark: {error.strerror}"
        yield found
        return
    yield found
    found.peak = max(0, _status_bytes("VmHWM") - before)


def _trim() -> None:
    library = ctypes.util.find_library("c")
    if library:
        trim = getattr(ctypes.CDLL(library), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _status_bytes(key: str) -> int:
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(2, f"no {key}")


def unequal(peaks: Sequence[int]) -> dict[str, str]:
    """Say that peaks differ between calls: the largest then stands for the case."""
    if len(set(peaks)) <= 1:
        return {}
    return {"peak": f"differs between calls: {', '.join(f'{peak:,}' for peak in peaks)} bytes"}


def on_cpu(
    allocations: Sequence[list[int]],
    *,
    sizes: Sizes,
    resident: Resident,
) -> Memory:
    """Split the peak of profiled CPU calls, a list of allocations each, into outputs and workspace."""
    peaks = [peak_of(of_call) for of_call in allocations]
    peak = max(peaks)
    return Memory(
        inputs=sizes.inputs,
        outputs=sizes.outputs,
        saved=sizes.saved,
        workspace=max(0, peak - sizes.outputs),
        peak=peak,
        predicted=sizes.predicted,
        rss_peak=resident.peak,
        peaks=peaks,
        reasons={**resident.reasons, "reserved": "the CPU allocator keeps no pool", **unequal(peaks)},
    )


def beyond_torch(found: Memory, *, resident: Resident, reason: str) -> Memory:
    """Take back what torch's allocator says of a call whose memory it did not give; the resident peak stands instead.

    `resident` is another peak of the same call, such as of its first: the larger counts.
    """
    peaks = [peak for peak in (found.rss_peak, resident.peak) if peak is not None]
    reasons = {**found.reasons, **resident.reasons, "peak": reason, "workspace": reason}
    return found.model_copy(
        update={
            "peak": None,
            "workspace": None,
            "peaks": [],
            "rss_peak": max(peaks, default=None),
            "reasons": reasons,
        }
    )


@dataclass(frozen=True)
class DriverMemory:
    """Bytes that the driver counts for this process, that torch's pool holds and that are used on the whole device.

    All are of one moment. Without the first there is a reason.
    """

    driver: int | None
    pool: int
    used: int
    reason: str = ""


def on_cuda(
    call: Callable[[], Any],
    *,
    device: torch.device,
    sizes: Sizes,
    driver: Callable[[], int],
    outside_from: int,
) -> Memory:
    """Measure the caching allocator's peak over what was resident, what the pool reserved, and the driver's count.

    `driver` returns the bytes that the driver counts for this process, or raises ReadingError. Where they grow by
    `outside_from` more than the pool does, a reason says that memory came from elsewhere.
    """
    peaks: list[int] = []
    for _ in range(REPEATS):
        gc.collect()
        cuda.DRIVER.synchronize(device)
        cuda.DRIVER.empty_cache(device)
        cuda.DRIVER.reset_peaks(device)
        allocated = cuda.DRIVER.bytes_of(device).allocated
        before = _driver_memory(driver, device)
        result = call()
        cuda.DRIVER.synchronize(device)
        after = _driver_memory(driver, device)
        held = cuda.DRIVER.bytes_of(device)
        peaks.append(held.peak_allocated - allocated)
        reserved = held.peak_reserved
        del result
    peak = max(peaks)
    return Memory(
        inputs=sizes.inputs,
        outputs=sizes.outputs,
        saved=sizes.saved,
        workspace=max(0, peak - sizes.outputs),
        peak=peak,
        predicted=sizes.predicted,
        reserved=reserved,
        device_process=after.driver,
        peaks=peaks,
        reasons={
            "rss_peak": "the call's memory is on the device",
            **_driver_reasons(before, after, outside_from),
            **unequal(peaks),
        },
    )


def _driver_memory(driver: Callable[[], int], device: torch.device) -> DriverMemory:
    held = cuda.DRIVER.bytes_of(device)
    used = held.total - held.free
    try:
        return DriverMemory(driver(), held.reserved, used)
    except ReadingError as error:
        return DriverMemory(None, held.reserved, used, str(error))


def _driver_reasons(before: DriverMemory, after: DriverMemory, outside_from: int) -> dict[str, str]:
    """Say why the driver's count is absent, or that a call holds memory which torch did not give it."""
    reasons = {} if after.driver is not None else {"device_process": after.reason}
    whose = ""
    grown = after.used - before.used
    if after.driver is not None and before.driver is not None:
        grown = after.driver - before.driver
    else:
        # As in containers: what the whole device uses is this process's if nobody else is on it.
        whose = "; counted on the whole device, other processes included"
    outside = grown - (after.pool - before.pool)
    if outside > outside_from:
        told = f"the call took {outside:,} bytes that torch's allocator did not give it{whose}"
        reasons["outside_allocator"] = told
    return reasons


def free_bytes(device: torch.device) -> int:
    """Return the bytes that a new case could use: a device's free memory, or what machine and cgroups leave."""
    if device.type == "cuda":
        return cuda.DRIVER.bytes_of(device).free
    return processor.memory_available_bytes()


def cap_process(limit: int) -> bool:
    """Let this process allocate at most `limit` bytes beyond what it holds; a larger request fails, nothing is killed.

    Returns False if the system has no such limit.
    """
    try:
        import resource
    except ImportError:
        return False
    held = _status_bytes("VmData") if STATUS.exists() else 0
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (held + limit, held + limit))
    except (OSError, ValueError):
        return False
    return True
