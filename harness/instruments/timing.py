"""Clocks: the time of blocks of calls, on the host's clock or by CUDA events."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

# Bound before any implementation is imported, so that none can replace them later.
CLOCKS = {
    name: getattr(time, name) for name in ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "time")
}
_perf_counter_ns = time.perf_counter_ns
_Event = torch.cuda.Event
_synchronize_cuda = torch.cuda.synchronize

Call = Callable[[], Any]
# A few products small enough for the caches make a canary long enough to meet a neighbour.
CANARY_CALLS = 3
# A zeroed buffer at least twice the size of L2 leaves nothing of the inputs in it (Triton's do_bench uses 256 MB).
FLUSH_BYTES = 256 * 2**20
# Threads that wait for one another on cores which others use make a call of 20 us take 10 ms, for as long as the
# others do: a block that has taken this many seconds by then is ended, with the calls that it made.
PATIENCE = 0.5
# Launches are queued behind a sleep about this many times as long as the host needs to enqueue them.
QUEUE_LEAD = 2.0
# Beyond this many launches the driver's queue fills and the host waits.
QUEUE_AT_MOST = 1000


@dataclass(frozen=True)
class Block:
    """Seconds a call of one block; `host` is the host's time a call, `queued` whether launches ran ahead.

    `calls` is how many were made, fewer than asked for where patience ran out.
    """

    seconds: float
    host: float
    calls: int
    queued: bool = True


class Clock(Protocol):
    """Time a block of calls, each finished before the clock stops."""

    def block(self, call: Call, calls: int) -> Block: ...  # noqa: D102
    def synchronize(self) -> None: ...  # noqa: D102


class HostClock:
    """Time on the host: for devices whose calls return when they are done."""

    def block(self, call: Call, calls: int) -> Block:
        """Time `calls` back-to-back calls; outputs are dropped inside the loop, as keeping them costs memory.

        The clock is looked at after 1, 2, 4, ... calls, and a block that takes longer than PATIENCE ends there.
        """
        done, patience = 0, int(PATIENCE * 1e9)
        start = now = _perf_counter_ns()
        while done < calls and now - start < patience:
            more = min(max(1, done), calls - done)
            for _ in range(more):
                call()
            done += more
            now = _perf_counter_ns()
        seconds = (now - start) * 1e-9 / done
        return Block(seconds=seconds, host=seconds, calls=done)

    def synchronize(self) -> None:
        """Wait for nothing: a CPU call is done when it returns."""


class AcceleratorClock:
    """Time on the host around a device-wide synchronisation, for accelerators without CUDA events."""

    def block(self, call: Call, calls: int) -> Block:
        """Time `calls` calls from an idle device to an idle device."""
        self.synchronize()
        start = _perf_counter_ns()
        for _ in range(calls):
            call()
        enqueued = _perf_counter_ns()
        self.synchronize()
        return Block(
            seconds=(_perf_counter_ns() - start) * 1e-9 / calls,
            host=(enqueued - start) * 1e-9 / calls,
            queued=False,
            calls=calls,
        )

    def synchronize(self) -> None:
        """Wait for every stream of the device."""
        torch.accelerator.synchronize()


class EventClock:
    """Time by CUDA events with the queue kept full; a device-wide synchronisation ends each block.

    `cold` zeroes a flush buffer before each call, outside the events, and times call by call.
    """

    def __init__(self, device: torch.device, *, cold: bool = False) -> None:
        self.device = device
        self.cold = cold
        properties = torch.cuda.get_device_properties(device)
        size = max(FLUSH_BYTES, 2 * int(properties.L2_cache_size))
        self._flush = torch.empty(size, dtype=torch.uint8, device=device) if cold else None
        self._cycles_per_second = float(getattr(properties, "clock_rate", 1_500_000)) * 1e3
        self._enqueue_seconds = 0.0

    def block(self, call: Call, calls: int) -> Block:
        """Time `calls` calls; in cold mode each has its own pair of events."""
        self.synchronize()
        pairs = [_event_pair() for _ in range(calls if self.cold else 1)]
        # Sleeping on the device first lets the host run ahead, so that launch latency stays out of the events.
        lead = min(QUEUE_LEAD * self._enqueue_seconds * min(calls, QUEUE_AT_MOST), 0.05)
        if lead > 0.0:
            torch.cuda._sleep(int(lead * self._cycles_per_second))  # type: ignore[no-untyped-call]  # noqa: SLF001
        start = _perf_counter_ns()
        if self._flush is not None:
            for first, last in pairs:
                self._flush.zero_()
                first.record()
                call()
                last.record()
        else:
            pairs[0][0].record()
            for _ in range(calls):
                call()
            pairs[0][1].record()
        host = (_perf_counter_ns() - start) * 1e-9 / calls
        queued = lead > 0.0 and not bool(pairs[0][0].query())
        self.synchronize()
        self._enqueue_seconds = host
        seconds = sum(first.elapsed_time(last) for first, last in pairs) * 1e-3 / calls
        return Block(seconds=seconds, host=host, queued=queued, calls=calls)

    def synchronize(self) -> None:
        """Wait for every stream of the device, side streams included."""
        _synchronize_cuda(self.device)


def _event_pair() -> tuple[Any, Any]:
    event: Callable[..., Any] = _Event
    return event(enable_timing=True), event(enable_timing=True)


def clock_for(device: torch.device, *, cold: bool) -> Clock:
    """Choose the clock of a device."""
    if device.type == "cuda":
        return EventClock(device, cold=cold)
    return HostClock() if device.type == "cpu" else AcceleratorClock()


def mend_clocks() -> list[str]:
    """Put back the clocks that an implementation replaced, and name them."""
    replaced = [name for name, clock in CLOCKS.items() if getattr(time, name) is not clock]
    for name in replaced:
        setattr(time, name, CLOCKS[name])
    return replaced


class Canary:
    """A fixed product on the CPU, timed beside each block: it sees contention that no counter shows."""

    def __init__(self, size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self._matrix = torch.randn(size, size, generator=generator)
        self._out = torch.empty_like(self._matrix)
        self.seconds()

    def seconds(self) -> float:
        """Return the seconds of one product, the mean of a few."""
        start = _perf_counter_ns()
        for _ in range(CANARY_CALLS):
            torch.mm(self._matrix, self._matrix, out=self._out)
        return (_perf_counter_ns() - start) * 1e-9 / CANARY_CALLS


@dataclass(frozen=True)
class HostCounters:
    """What the operating system counted for this process and machine up to now."""

    minor_faults: int
    involuntary_switches: int
    steal: float
    total: float


def read_counters() -> HostCounters:
    """Read page faults, involuntary switches and steal time; zeros where the system has none."""
    faults = switches = 0
    try:
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        faults, switches = usage.ru_minflt, usage.ru_nivcsw
    except ImportError:
        pass
    steal = total = 0.0
    try:
        with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123
            fields = [float(part) for part in file.readline().split()[1:]]
        steal, total = (fields[7] if len(fields) > 7 else 0.0), sum(fields[:8])  # noqa: PLR2004
    except OSError:
        pass
    return HostCounters(faults, switches, steal, total)


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of timed blocks."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
