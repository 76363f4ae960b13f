"""Readings of a device taken while something else runs."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from time import time as wall_clock
from typing import TYPE_CHECKING

from harness.instruments.telemetry.sensors import Probe, ReadingError, probe
from harness.machine import nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.instruments.telemetry.sustained import Series


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

    def others(self) -> int | None:
        """Count the processes on a GPU besides this one, None if the driver doesn't tell."""
        try:
            return self._probe.others() if self._probe.others else None
        except ReadingError:
            return None

    def process_bytes(self) -> int:
        """Return the bytes that the driver counts for this process. Raises ReadingError."""
        if self._probe.process_bytes is None:
            raise ReadingError(self._probe.reasons.get("nvml", "the device has no driver that counts them"))
        return self._probe.process_bytes()

    def close(self) -> None:
        """Close NVML."""
        self._stack.close()
