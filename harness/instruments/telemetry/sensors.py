"""Where the device's state is read: NVML for a GPU, the system's files for a CPU."""

from __future__ import annotations

import functools
import math
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psutil

from harness.machine import nvml, processor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from harness.instruments.telemetry.sustained import Value


# NVML gives these for the whole GPU: on a shared GPU they cannot be attributed to one process.
SHARED = ("gpu_utilization", "memory_utilization", "power_w", "energy_j")
# Per-core series of more cores than this would be most of a record; their summary stays.
CORES_IN_SERIES = 16


class ReadingError(RuntimeError):
    """A reading is refused; the message says why."""


@dataclass(frozen=True)
class Probe:
    """What can be read of a device: readings by name, an energy counter in joules, reasons of what is absent."""

    readings: dict[str, Callable[[], float]] = field(default_factory=dict)
    energy: Callable[[], float] | None = None
    throttle: Callable[[], list[str]] | None = None
    held_back: Callable[[], dict[str, int]] | None = None
    process_bytes: Callable[[], int] | None = None
    others: Callable[[], int] | None = None
    reasons: dict[str, str] = field(default_factory=dict)


@contextmanager
def probe(device: str) -> Iterator[Probe]:
    """Find what can be read of a device such as `cpu` or `cuda:0`, for as long as the context lasts."""
    if not device.startswith("cuda"):
        yield cpu_probe()
        return
    with ExitStack() as stack:
        try:
            gpu = stack.enter_context(nvml.opened(cuda_uuid(device)))
        except nvml.UnavailableError as error:
            yield Probe(reasons={"nvml": str(error)})
            return
        yield gpu_probe(gpu)


def cuda_uuid(device: str) -> str:
    """Return the UUID that CUDA gives a device, without prefix."""
    from harness.instruments import cuda

    return str(cuda.DRIVER.properties(device).uuid)


def gpu_probe(gpu: nvml.Gpu) -> Probe:
    """Return the readings of a GPU, each tried once: what NVML refuses now is absent with its words."""
    import pynvml

    busy = _Utilization()
    wanted: dict[str, Callable[[Any], float]] = {
        "gpu_utilization": busy.of_gpu,
        "memory_utilization": busy.of_memory,
        "power_w": lambda handle: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "clock_mhz": lambda handle: float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
        "memory_clock_mhz": lambda handle: float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
        "temperature_c": lambda handle: float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        "energy_j": lambda handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,
    }
    tried = nvml.read(gpu, wanted)
    reasons = tried.reasons | nvml.read(gpu, {"throttle": nvml.clock_reasons}).reasons
    shared = _shared_with(gpu)
    if shared:
        reasons |= dict.fromkeys(SHARED, shared)
    usable = {name: _on(gpu, reading) for name, reading in wanted.items() if name not in reasons}
    energy = usable.pop("energy_j", None)
    throttle = None if "throttle" in reasons else _on(gpu, nvml.clock_reasons)
    return Probe(
        readings=usable,
        energy=energy,
        throttle=throttle,
        held_back=_on(gpu, nvml.held_back),
        process_bytes=_on(gpu, nvml.process_bytes),
        others=_on(gpu, lambda handle: nvml.other_processes(handle, holds_context=True)),
        reasons=reasons,
    )


class _Utilization:
    """The busy shares of a GPU and of its memory, which are one reading: the first of the two keeps the other's."""

    def __init__(self) -> None:
        self._memory: int | None = None

    def of_gpu(self, handle: Any) -> float:
        """Read both, and return the GPU's."""
        import pynvml

        rates = pynvml.nvmlDeviceGetUtilizationRates(handle)
        self._memory = rates.memory
        return float(rates.gpu / 100)

    def of_memory(self, handle: Any) -> float:
        """Return the memory's of that reading, read anew if there is none."""
        import pynvml

        kept, self._memory = self._memory, None
        return float((pynvml.nvmlDeviceGetUtilizationRates(handle).memory if kept is None else kept) / 100)


def _shared_with(gpu: nvml.Gpu) -> str:
    """Say who else uses a GPU, empty if nobody does or nobody can tell."""
    import torch

    if gpu.is_mig:
        return "a MIG instance: NVML counts the whole GPU"
    holds_context = bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
    read = nvml.read(gpu, {"others": lambda handle: nvml.other_processes(handle, holds_context=holds_context)})
    count = read.values.get("others", 0)
    return f"shared with {count} other process(es): NVML counts the whole GPU" if count else ""


def _on(gpu: nvml.Gpu, reading: Callable[[Any], Value]) -> Callable[[], Value]:
    """Bind a reading to a GPU; a refusal is raised as ReadingError, in NVML's words if they are NVML's."""
    import pynvml

    def read() -> Value:
        try:
            return reading(gpu.handle)
        except pynvml.NVMLError as error:
            raise ReadingError(f"NVML: {error}") from None
        except (nvml.UnavailableError, AttributeError) as error:
            raise ReadingError(str(error)) from None

    return read


def cpu_probe(*, root: Path = processor.ROOT) -> Probe:
    """Return the readings of the processor: busy cores, this process's cores, frequency, temperature, RAPL energy."""
    readings: dict[str, Callable[[], float]] = {}
    reasons: dict[str, str] = {}
    cores = Cores(processor.allowed_core_numbers(), root=root)
    process = psutil.Process()
    readings["cpu_utilization"] = cores.read_all
    readings["process_cores"] = _rate(lambda: sum(process.cpu_times()[:2]))
    if len(cores.busy) <= CORES_IN_SERIES:
        readings |= {f"core_{core}": functools.partial(cores.latest, core) for core in cores.busy}
    else:
        reasons["cores"] = f"{len(cores.busy)} cores are too many for a series each"
    clock = functools.partial(processor.cpu_mhz, root=root)
    for name, reading, absent in (
        ("clock_mhz", clock, "the frequency is not visible, as in virtual machines"),
        ("temperature_c", processor.cpu_temperature, "no temperature sensor is visible"),
    ):
        if reading() is None:
            reasons[name] = absent
        else:
            readings[name] = _present(reading)
    try:
        energy = rapl(root=root)
    except ReadingError as error:
        return Probe(readings=readings, reasons=reasons | dict.fromkeys(("energy_j", "power_w"), str(error)))
    readings["power_w"] = _rate(energy)
    return Probe(readings=readings, energy=energy, reasons=reasons)


def rapl(*, root: Path = processor.ROOT) -> Callable[[], float]:
    """Return a counter of the joules of all processor packages since now; a wrapped register counts on.

    The kernel's powercap interface (Documentation/power/powercap): intel-rapl:N are packages, on AMD too. Raises
    ReadingError without it or without the right to read it.
    """
    folders = sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*"))
    packages = [folder for folder in folders if folder.name.count(":") == 1]
    if not packages:
        raise ReadingError("the system shows no RAPL counter (/sys/class/powercap), as in virtual machines")
    last = {package: _micro_joules(package / "energy_uj") for package in packages}
    ranges = {package: _micro_joules(package / "max_energy_range_uj") for package in packages}
    total = 0

    def joules() -> float:
        nonlocal total
        for package in packages:
            now = _micro_joules(package / "energy_uj")
            total += (now - last[package]) % (ranges[package] + 1)
            last[package] = now
        return total / 1e6

    return joules


def _micro_joules(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except PermissionError:
        # Since Linux 5.10 only root may read it (CVE-2020-8694).
        raise ReadingError(f"no permission to read {path}, which is root's") from None
    except (OSError, ValueError) as error:
        raise ReadingError(f"{path} can't be read: {error}") from None


class Cores:
    """The busy share of each core since they were last read, from the system's tick counters."""

    def __init__(self, numbers: Sequence[int], *, root: Path = processor.ROOT) -> None:
        self.busy = dict.fromkeys(numbers, 0.0)
        self._root = root
        self._last = core_times(root=root)

    def read_all(self) -> float:
        """Read every core and return their mean. Raises ReadingError where the system counts for none of them."""
        now = core_times(root=self._root)
        known = self.busy.keys() & now.keys() & self._last.keys()
        if not known:
            raise ReadingError("the system counts no ticks of these cores")
        for core in known:
            ticks = _total(now[core]) - _total(self._last[core])
            idle = _idle(now[core]) - _idle(self._last[core])
            if ticks > 0:
                self.busy[core] = min(1.0, max(0.0, 1 - idle / ticks))
        self._last = now
        return mean(self.busy[core] for core in known)

    def latest(self, core: int) -> float:
        """Return what `read_all` found of a core."""
        return self.busy[core]


def core_times(*, root: Path = processor.ROOT) -> dict[int, Any]:
    """Return the tick counters of the cores that are online, by their numbers, which may have gaps (proc(5))."""
    times = psutil.cpu_times(percpu=True)
    listed = re.findall(r"^cpu(\d+) ", processor.text_of(root / "proc/stat") or "", flags=re.MULTILINE)
    numbers = [int(number) for number in listed] if len(listed) == len(times) else range(len(times))
    return dict(zip(numbers, times, strict=True))


def _idle(times: Any) -> float:
    return float(times.idle + getattr(times, "iowait", 0.0))


def _total(times: Any) -> float:
    # Linux counts time of guests in user time as well.
    return float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _present(reading: Callable[[], float | None]) -> Callable[[], float]:
    """Turn a reading that gives None into one that refuses."""

    def read() -> float:
        value = reading()
        if value is None:
            raise ReadingError("the system stopped giving it")
        return value

    return read


def _rate(counter: Callable[[], float]) -> Callable[[], float]:
    """Return a reading of a counter's growth per second since it was last taken."""
    moment, value = perf_counter(), counter()

    def read() -> float:
        nonlocal moment, value
        now, current = perf_counter(), counter()
        rate = (current - value) / max(now - moment, 1e-9)
        moment, value = now, current
        return rate

    return read


def mean(values: Iterable[float]) -> float:
    """Return the mean of at least one value."""
    listed = list(values)
    return math.fsum(listed) / len(listed)
