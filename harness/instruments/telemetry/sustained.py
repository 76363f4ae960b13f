"""A sustained load, and what the device did meanwhile."""

from __future__ import annotations

import bisect
import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from harness.instruments.telemetry.sampler import Readings, Sampler, changes, throttle_spans
from harness.instruments.telemetry.sensors import Probe, ReadingError, mean, probe
from harness.machine import nvml
from harness.records import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.policy import TelemetryPolicy


Series = list[tuple[float, float]]

TERA = 1e12
# NVML gives whole degrees; a GPU at rest loses about one a second.
REST_STEP = 0.5

Value = TypeVar("Value")


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
        """Wait for the temperature to fall; return by how much it is too high at the end, 0 if it isn't."""
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
    of one call. On the CPU sampling is light, yet calls in here are not timed. A GPU is given a `rest` before.
    Exceptions of the call propagate.
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
        summary[name] = mean(values)
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
    """Add energy per call and per TFLOP from the counter, or from mean power where there is no counter."""
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
    """Return (joules per call, mean watts) between the first and the last edge of the counter after `start`.

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
