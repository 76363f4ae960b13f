"""Telemetry: what the device does under a load that lasts, and a light reading beside each timed round."""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import random
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from time import time as wall_clock
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from harness import environment, nvml
from harness.records import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from harness.policy import TelemetryPolicy

Series = list[tuple[float, float]]

# NVML gives these for the whole GPU: they are nobody's in particular where a GPU is shared.
SHARED = ("gpu_utilization", "memory_utilization", "power_w", "energy_j")
# Per-core series of more cores than this would be most of a record; their summary stays.
CORES_IN_SERIES = 16
TERA = 1e12
# NVML gives whole degrees; a GPU at rest loses about one a second.
REST_STEP = 0.5

Value = TypeVar("Value")


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
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """One light reading: clock in MHz, temperature in degrees Celsius, and why the clocks are low. Absent: None."""

    clock_mhz: float | None = None
    temperature_c: float | None = None
    throttle: list[str] = field(default_factory=list)

    @property
    def is_throttled(self) -> bool:
        """Tell whether the device ran slower than its own limits ask for."""
        return not nvml.SPOILING.isdisjoint(self.throttle)


@dataclass
class Rest:
    """The device between sustained loads; `start_c` is its temperature before the first, which the next wait for."""

    policy: TelemetryPolicy
    start_c: float | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def take(self, available: Probe) -> Idle:
        """Leave the device alone until it is about as cool as before the first load, then read its idle power."""
        temperature, power = (available.readings.get(name) for name in ("temperature_c", "power_w"))
        why = available.reasons.get("power_w") or available.reasons.get("nvml", "no power sensor is visible")
        idle = Idle(reasons={"idle_power_w": why})
        begun = self.clock()
        try:
            if temperature or power:
                self.sleep(self.policy.idle_seconds_cuda)
            if temperature:
                warm = self._cool(temperature, begun=begun)
                idle.figures["cool_down_s"] = self.clock() - begun
                if warm:
                    idle.reasons["cool_down_s"] = f"still {warm:.0f} C warmer than before the first load"
            if power:
                idle.figures["idle_power_w"] = power()
                del idle.reasons["idle_power_w"]
        except ReadingError as error:
            idle.reasons["idle_power_w"] = str(error)
        return idle

    def _cool(self, temperature: Callable[[], float], *, begun: float) -> float:
        """Wait for the temperature to fall; return by how much it is too high at the end, 0 where it isn't."""
        now = temperature()
        self.start_c = now if self.start_c is None else self.start_c
        while now - self.start_c > self.policy.cool_within_c:
            if self.clock() - begun >= self.policy.cool_down_at_most:
                return now - self.start_c
            self.sleep(REST_STEP)
            now = temperature()
        return 0.0


@dataclass(frozen=True)
class Idle:
    """What a rest gave: seconds and watts by the name of the summary's figure, and reasons of what is absent."""

    figures: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def sustained(
    call: Callable[[], object],
    *,
    device: str,
    synchronize: Callable[[], object],
    call_seconds: float,
    operations: int,
    policy: TelemetryPolicy,
    rest: Rest | None = None,
) -> Telemetry:
    """Run a verified call back to back for seconds and report the device's state meanwhile.

    `call_seconds` is the timed median, from which burst throughput and batch lengths follow; `operations` are those
    of one call. On the CPU sampling is light, yet this is no timing pass. A GPU is given a `rest` before. Whatever the
    call raises rises from here.
    """
    on_gpu = device.startswith("cuda")
    lead_in = policy.lead_in_cuda if on_gpu else policy.lead_in_cpu
    window = policy.window_cuda if on_gpu else policy.window_cpu
    with probe(device) as available:
        idle = rest.take(available) if rest and on_gpu else Idle()
        every = policy.sample_seconds_cuda if on_gpu else policy.sample_seconds_cpu
        sampler = Sampler(available, every=every, energy_every=policy.energy_seconds)
        with sampler.running():
            progress = _load(
                call,
                synchronize=synchronize,
                calls=max(1, math.ceil(policy.batch_seconds / call_seconds)),
                jitter=policy.batch_jitter,
                seconds=lead_in + window,
                clock=sampler.elapsed,
            )
    found = conclude(
        sampler.readings,
        progress,
        start=lead_in,
        call_seconds=call_seconds,
        operations=operations,
        energy_tolerance=policy.energy_tolerance,
    )
    return found.model_copy(update={"summary": found.summary | idle.figures, "reasons": found.reasons | idle.reasons})


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
    import torch

    return str(torch.cuda.get_device_properties(device).uuid)


def gpu_probe(gpu: nvml.Gpu) -> Probe:
    """Return the readings of a GPU, each tried once: what NVML refuses now is absent with its words."""
    import pynvml

    wanted: dict[str, Callable[[Any], float]] = {
        "gpu_utilization": lambda handle: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        "memory_utilization": lambda handle: pynvml.nvmlDeviceGetUtilizationRates(handle).memory / 100,
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
        reasons=reasons,
    )


def _shared_with(gpu: nvml.Gpu) -> str:
    """Say who else uses a GPU, empty where nobody does or nobody can tell."""
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


def cpu_probe(*, root: Path = environment.ROOT) -> Probe:
    """Return the readings of the processor: busy cores, this process's cores, frequency, temperature, RAPL energy."""
    readings: dict[str, Callable[[], float]] = {}
    reasons: dict[str, str] = {}
    cores = Cores(environment.allowed_core_numbers())
    process = psutil.Process()
    readings["cpu_utilization"] = cores.read_all
    readings["process_cores"] = _rate(lambda: sum(process.cpu_times()[:2]))
    if len(cores.busy) <= CORES_IN_SERIES:
        readings |= {f"core_{core}": functools.partial(cores.latest, core) for core in cores.busy}
    else:
        reasons["cores"] = f"{len(cores.busy)} cores are too many for a series each"
    clock = functools.partial(environment.cpu_mhz, root=root)
    for name, reading, absent in (
        ("clock_mhz", clock, "the frequency is not visible, as in virtual machines"),
        ("temperature_c", environment.cpu_temperature, "no temperature sensor is visible"),
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


def rapl(*, root: Path = environment.ROOT) -> Callable[[], float]:
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


class Sampler:
    """Read a probe in a thread of its own: everything at a slow pace, the energy counter at a fast one."""

    def __init__(self, available: Probe, *, every: float, energy_every: float) -> None:
        self.readings = Readings(reasons=dict(available.reasons))
        self._probe = available
        self._every = every
        self._pace = energy_every if available.energy else every
        self._stop = threading.Event()
        self._origin = perf_counter()

    def elapsed(self) -> float:
        """Return the seconds since the sampler was made."""
        return perf_counter() - self._origin

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample for as long as the context lasts."""
        self._origin = perf_counter()
        self.readings.started = wall_clock()
        thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        due = 0.0
        while not self._stop.wait(self._pace):
            now = self.elapsed()
            if self._probe.energy:
                self.readings.read_energy(self._probe.energy, at=now)
            if now >= due:
                due = now + self._every
                self.readings.read_all(self._probe, at=now)


@dataclass
class Readings:
    """What was read: series by name, edges of the energy counter, throttle reasons, and what failed meanwhile.

    `looks` are the moments at which throttle reasons were read, also those that found none; `started` is where all
    moments count from, in unix seconds.
    """

    series: dict[str, Series] = field(default_factory=dict)
    energy: Series = field(default_factory=list)
    throttle: list[tuple[float, str]] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    started: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    def read_all(self, available: Probe, *, at: float) -> None:
        """Take every reading that has not failed yet."""
        for name, reading in available.readings.items():
            if name not in self.reasons:
                self._keep(name, reading, at=at)
        if available.throttle and "throttle" not in self.reasons:
            try:
                self.throttle += [(at, name) for name in available.throttle()]
                self.looks.append(at)
            except ReadingError as error:
                self.reasons["throttle"] = f"lost after {at:.1f} s: {error}"

    def read_energy(self, counter: Callable[[], float], *, at: float) -> None:
        """Keep the energy counter where it changed, so that its edges are known."""
        if "energy_j" in self.reasons:
            return
        try:
            joules = counter()
        except ReadingError as error:
            self.reasons["energy_j"] = f"lost after {at:.1f} s: {error}"
            return
        if not self.energy or joules != self.energy[-1][1]:
            self.energy.append((at, joules))

    def _keep(self, name: str, reading: Callable[[], float], *, at: float) -> None:
        try:
            self.series.setdefault(name, []).append((at, reading()))
        except ReadingError as error:
            self.reasons[name] = f"lost after {at:.1f} s: {error}"


def conclude(
    readings: Readings,
    progress: Series,
    *,
    start: float,
    call_seconds: float,
    operations: int,
    energy_tolerance: float,
) -> Telemetry:
    """Summarise what was read from `start` on; `progress` has (seconds, calls done), a pair each batch."""
    end = progress[-1][0]
    calls = calls_between(progress, start, end)
    rate = calls / (end - start)
    summary = {
        "seconds": end - start,
        "calls": calls,
        "sustained_calls_per_second": rate,
        "burst_calls_per_second": 1 / call_seconds,
        "sustained_share_of_burst": rate * call_seconds,
        "sustained_flops": rate * operations,
        "burst_flops": operations / call_seconds,
    }
    reasons = dict(readings.reasons)
    for name, series in readings.series.items():
        values = [value for at, value in series if at >= start]
        if name in reasons:
            continue
        if not values:
            reasons[name] = "no reading fell into the window"
            continue
        summary[name] = _mean(values)
        if name in {"clock_mhz", "temperature_c", "power_w"}:
            summary[f"{name}_low"], summary[f"{name}_high"] = min(values), max(values)
    _add_energy(summary, reasons, readings, progress, start=start, operations=operations, tolerance=energy_tolerance)
    return Telemetry(
        series={name: changes(series) for name, series in readings.series.items()},
        summary=summary,
        reasons=reasons,
        throttle=sorted({name for at, name in readings.throttle if at >= start} - nvml.BENIGN),
        throttle_spans=throttle_spans(readings),
        started=readings.started,
    )


def _add_energy(
    summary: dict[str, float],
    reasons: dict[str, str],
    readings: Readings,
    progress: Series,
    *,
    start: float,
    operations: int,
    tolerance: float,
) -> None:
    """Add energy a call and per TFLOP from the counter, or from mean power where there is no counter."""
    counted = energy_of_call(readings.energy, progress, start=start) if "energy_j" not in reasons else None
    power = summary.get("power_w")
    if counted is not None:
        joules, watts = counted
        if power is not None and abs(watts / power - 1) > tolerance:
            reasons["energy_check"] = f"the energy counter says {watts:.1f} W, mean power {power:.1f} W"
        summary.setdefault("power_w", watts)
        reasons.pop("power_w", None)
    elif power is not None and summary["calls"] > 0:
        joules = power / summary["sustained_calls_per_second"]
        absent = reasons.pop("energy_j", "the energy counter changed less than twice in the window")
        reasons["energy_counter"] = f"{absent}; energy is mean power times time"
    else:
        reasons.setdefault("energy_j", "the energy counter changed less than twice in the window")
        return
    summary["energy_j"] = joules
    if operations:
        summary["energy_j_per_tflop"] = joules / (operations / TERA)


def energy_of_call(edges: Series, progress: Series, *, start: float) -> tuple[float, float] | None:
    """Return (joules a call, mean watts) between the first and the last edge of the counter after `start`.

    A counter that is updated every 100 ms is exact at its edges only. None with fewer than two of them.
    """
    within = [edge for edge in edges if start <= edge[0] <= progress[-1][0]]
    # The first entry is where reading began, which is no edge.
    within = within[1:] if within and within[0] == edges[0] else within
    if len(within) < 2:  # noqa: PLR2004
        return None
    (first, before), (last, after) = within[0], within[-1]
    calls = calls_between(progress, first, last)
    return ((after - before) / calls, (after - before) / (last - first)) if calls > 0 else None


def calls_between(progress: Series, start: float, end: float) -> float:
    """Return the calls done between two moments, with parts of a batch in proportion to time."""
    return _calls_at(progress, end) - _calls_at(progress, start)


def _calls_at(progress: Series, moment: float) -> float:
    after = bisect.bisect_left(progress, moment, key=lambda pair: pair[0])
    if after == len(progress):
        return progress[-1][1]
    if after == 0:
        return progress[0][1]
    (t0, calls0), (t1, calls1) = progress[after - 1], progress[after]
    return calls0 + (calls1 - calls0) * (moment - t0) / (t1 - t0)


def throttle_spans(readings: Readings) -> list[tuple[float, float, str]]:
    """Return [from, to, reason] of each stretch in which clocks were held back, in order, to the millisecond.

    A stretch lasts until the next look that no longer finds its reason, or the last look there was.
    """
    found = []
    for name in sorted({name for _, name in readings.throttle} - nvml.BENIGN):
        seen = {at for at, reason in readings.throttle if reason == name}
        began: float | None = None
        for at in readings.looks:
            if at in seen and began is None:
                began = at
            elif at not in seen and began is not None:
                found.append((round(began, 3), round(at, 3), name))
                began = None
        if began is not None:
            found.append((round(began, 3), round(readings.looks[-1], 3), name))
    return sorted(found)


def changes(series: Series) -> Series:
    """Keep the first, the last and every changed value of a series, its times to the millisecond."""
    kept = series[:1] + [now for before, now in itertools.pairwise(series) if now[1] != before[1]]
    kept += series[-1:] if series and kept[-1] != series[-1] else []
    return [(round(at, 3), value) for at, value in kept]


def _load(
    call: Callable[[], object],
    *,
    synchronize: Callable[[], object],
    calls: int,
    jitter: float,
    seconds: float,
    clock: Callable[[], float],
) -> Series:
    """Call back to back in batches until `seconds` have passed; return (seconds, calls done) after each batch.

    Batch lengths vary, so that no load keeps time with a sensor that looks at a part of each 100 ms only
    (arXiv 2312.02741: errors up to 48 % with a load in step).
    """
    lengths = random.Random(0)
    synchronize()
    done = 0
    progress = [(clock(), 0.0)]
    while progress[-1][0] < seconds:
        batch = max(1, round(calls * lengths.uniform(1 - jitter, 1 + jitter)))
        for _ in range(batch):
            call()
            done += 1
            # On busy cores a batch of milliseconds may take minutes.
            if clock() >= seconds:
                break
        synchronize()
        progress.append((clock(), float(done)))
    return progress


class Watch:
    """Read a device lightly beside timed rounds; NVML stays open until `close`."""

    def __init__(self, device: str) -> None:
        self._stack = ExitStack()
        self._probe = self._stack.enter_context(probe(device))
        self._held: dict[str, int] = {}

    def begin(self) -> None:
        """Remember for how long clocks were held back until now; the next snapshot tells what was added."""
        self._held = self._held_back()

    def snapshot(self) -> Snapshot:
        """Read clock, temperature and throttle reasons, those since `begin` included; what is absent is None."""
        values: dict[str, float | None] = {}
        for name in ("clock_mhz", "temperature_c"):
            reading = self._probe.readings.get(name)
            try:
                values[name] = reading() if reading else None
            except ReadingError:
                values[name] = None
        try:
            throttle = self._probe.throttle() if self._probe.throttle else []
        except ReadingError:
            throttle = []
        grown = [name for name, held in self._held_back().items() if held > self._held.get(name, held)]
        return Snapshot(throttle=sorted({*throttle, *grown} - nvml.BENIGN), **values)

    def _held_back(self) -> dict[str, int]:
        try:
            return self._probe.held_back() if self._probe.held_back else {}
        except ReadingError:
            return {}

    def process_bytes(self) -> int:
        """Return the bytes that the driver counts for this process. Raises ReadingError."""
        if self._probe.process_bytes is None:
            raise ReadingError(self._probe.reasons.get("nvml", "the device has no driver that counts them"))
        return self._probe.process_bytes()

    def close(self) -> None:
        """Close NVML."""
        self._stack.close()


class Cores:
    """The busy share of each core since they were last read, from the system's tick counters."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.busy = dict.fromkeys(numbers, 0.0)
        self._last = psutil.cpu_times(percpu=True)

    def read_all(self) -> float:
        """Read every core and return their mean."""
        now = psutil.cpu_times(percpu=True)
        for core in self.busy:
            ticks = _total(now[core]) - _total(self._last[core])
            idle = _idle(now[core]) - _idle(self._last[core])
            if ticks > 0:
                self.busy[core] = min(1.0, max(0.0, 1 - idle / ticks))
        self._last = now
        return _mean(self.busy.values())

    def latest(self, core: int) -> float:
        """Return what `read_all` found of a core."""
        return self.busy[core]


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


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
