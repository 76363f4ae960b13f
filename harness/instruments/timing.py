"""Clocks: the time of blocks of calls, on the host's clock or by CUDA events."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from harness.collector import uncollected
from harness.instruments import cuda

if TYPE_CHECKING:
    from harness.instruments.cuda import Driver

# Bound before any implementation is imported, so that none can replace them later.
CLOCKS = {
    name: getattr(time, name) for name in ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "time")
}
_perf_counter_ns = time.perf_counter_ns

Call = Callable[[], Any]
Meanwhile = Callable[[], object] | None
# A few products small enough for the caches make a canary long enough to meet a neighbour.
CANARY_CALLS = 3
# A zeroed buffer at least twice the size of L2 leaves nothing of the inputs in it (Triton's do_bench uses 256 MB).
FLUSH_BYTES = 256 * 2**20
# Threads that wait for one another on cores which others use make a call of 20 us take 10 ms, for as long as the
# others do: a block that has taken this many seconds by then is ended, with the calls that it made.
PATIENCE = 0.5
# Launches are queued behind a sleep about this many times as long as the host needs to enqueue them.
QUEUE_LEAD = 2.0
# ... and no longer than this, in seconds.
LEAD_AT_MOST = 0.05
# A stream's queue takes about 1,024 launches before the next one waits (tritonbench pull request 779, inductor's own
# benchmarking counts on 1,000): half of that leaves room for what calls launch beside what was counted.
QUEUE_LAUNCHES = 500
# A part of fewer calls would feel the half microsecond that an event resolves.
CALLS_PER_PART_AT_LEAST = 4


@dataclass(frozen=True)
class Block:
    """Seconds per call of one block; `host` is what the host needs to enqueue a call, `queued` whether it ran ahead.

    Queued, `seconds` are the device's alone; else they hold launch latency. `calls` is how many were made, fewer than
    asked for where patience ran out.
    """

    seconds: float
    host: float
    calls: int
    queued: bool = True


class Clock(Protocol):
    """Time a block of calls, each finished before the clock stops.

    `meanwhile` is called while the device is busy with the last of them, where that is possible. `steady` returns the
    seconds per call as a user waits for them, launches included.
    """

    def block(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block: ...  # noqa: D102
    def steady(self, call: Call, calls: int) -> float: ...  # noqa: D102
    def synchronize(self) -> None: ...  # noqa: D102


class HostClock:
    """Time on the host: for devices whose calls return when they are done."""

    def block(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block:
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
        if meanwhile is not None:
            meanwhile()
        seconds = (now - start) * 1e-9 / done
        return Block(seconds=seconds, host=seconds, calls=done)

    def steady(self, call: Call, calls: int) -> float:
        """Return the seconds per call of a block."""
        return self.block(call, calls).seconds

    def synchronize(self) -> None:
        """Wait for nothing: a CPU call is done when it returns."""


class AcceleratorClock:
    """Time on the host around a device-wide synchronisation, for accelerators without CUDA events."""

    def __init__(
        self,
        *,
        wait: Callable[[], object] = torch.accelerator.synchronize,
        clock_ns: Callable[[], int] = _perf_counter_ns,
    ) -> None:
        self._wait, self._clock_ns = wait, clock_ns

    def block(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block:
        """Time `calls` calls from an idle device to an idle device."""
        self.synchronize()
        start = self._clock_ns()
        for _ in range(calls):
            call()
        enqueued = self._clock_ns()
        if meanwhile is not None:
            meanwhile()
        self.synchronize()
        return Block(
            seconds=(self._clock_ns() - start) * 1e-9 / calls,
            host=(enqueued - start) * 1e-9 / calls,
            queued=False,
            calls=calls,
        )

    def steady(self, call: Call, calls: int) -> float:
        """Return the seconds per call of a block."""
        return self.block(call, calls).seconds

    def synchronize(self) -> None:
        """Wait for every stream of the device."""
        self._wait()


class EventClock:
    """Device time, by CUDA events around calls that wait in the queue; a device-wide synchronisation ends each block.

    A block is timed in parts that the queue has room for: beyond that a launch waits for the device, and the host's
    time would be the device's. `launches` is how many a call makes; without it the clock finds the room by halving.
    `cold` zeroes a flush buffer before each call, outside the events, and times call by call.
    """

    def __init__(
        self, device: torch.device, *, cold: bool = False, launches: int | None = None, driver: Driver | None = None
    ) -> None:
        self.device = device
        self.cold = cold
        self._driver = driver or cuda.DRIVER
        size = max(FLUSH_BYTES, 2 * int(self._driver.properties(device).L2_cache_size)) if cold else 0
        self._flush = torch.empty(size, dtype=torch.uint8, device=device) if cold else None
        # The flush and two events take places in the queue as well.
        self._launches = None if launches is None else launches + (3 if cold else 0)
        self._room = QUEUE_LAUNCHES if self._launches is None else QUEUE_LAUNCHES // max(1, self._launches)
        self._enqueue_seconds = 0.0

    def block(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block:
        """Time `calls` calls; in cold mode each has its own pair of events.

        `meanwhile` is called once the last part is queued, while the device is busy with it.
        """
        parts: list[Block] = []
        done, patience = 0, self._driver.clock_ns() + int(PATIENCE * 1e9)
        with self._driver.current(self.device):
            while done < calls and (not parts or self._driver.clock_ns() < patience):
                now = min(calls - done, max(1, self._room))
                done += now
                parts.append(self._part(call, now, meanwhile=meanwhile if done == calls else None))
        return Block(
            seconds=sum(part.seconds for part in parts) / done,
            host=sum(part.host for part in parts) / done,
            queued=all(part.queued for part in parts),
            calls=done,
        )

    def steady(self, call: Call, calls: int) -> float:
        """Return the seconds per call on the host's clock, from an idle device to an idle device: what a user waits."""
        with self._driver.current(self.device):
            self.synchronize()
            start = self._driver.clock_ns()
            for _ in range(calls):
                call()
            self.synchronize()
            return (self._driver.clock_ns() - start) * 1e-9 / calls

    def _part(self, call: Call, calls: int, *, meanwhile: Meanwhile) -> Block:
        """Queue calls behind a sleep, so that none waits for its launch; return their seconds in all."""
        driver = self._driver
        self.synchronize()
        stream = driver.current_stream(self.device)
        pairs = [(driver.event(), driver.event()) for _ in range(calls if self.cold else 1)]
        # One call that fills the queue alone would wait for the sleep to end.
        lead = min(QUEUE_LEAD * self._enqueue_seconds * calls, LEAD_AT_MOST) if self._room else 0.0
        if lead > 0.0:
            driver.sleep(lead, self.device)
        start = driver.clock_ns()
        if self._flush is not None:
            for first, last in pairs:
                self._flush.zero_()
                first.record(stream)
                call()
                last.record(stream)
        else:
            pairs[0][0].record(stream)
            for _ in range(calls):
                call()
            pairs[0][1].record(stream)
        host = (driver.clock_ns() - start) * 1e-9
        queued = lead > 0.0 and not bool(pairs[0][0].query())
        if meanwhile is not None:
            meanwhile()
        self.synchronize()
        self._learn(host / calls, calls=calls, missed=lead > 0.0 and not queued)
        seconds = sum(first.elapsed_time(last) for first, last in pairs) * 1e-3
        return Block(seconds=seconds, host=host, queued=queued, calls=calls)

    def _learn(self, host: float, *, calls: int, missed: bool) -> None:
        """Keep the host's time per call, which sets the next sleep; if the queue may have been full, ask for less."""
        if missed and self._launches is None and calls > CALLS_PER_PART_AT_LEAST:
            self._room = max(CALLS_PER_PART_AT_LEAST, calls // 2)
        else:
            self._enqueue_seconds = host

    def synchronize(self) -> None:
        """Wait for every stream of the device, side streams included."""
        self._driver.synchronize(self.device)


def clock_for(device: torch.device, *, cold: bool, launches: int | None = None) -> Clock:
    """Choose the clock of a device; `launches` is how many kernels one call launches, if that is known."""
    if device.type == "cuda":
        return EventClock(device, cold=cold, launches=launches)
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

    def product(self) -> None:
        """Make one product."""
        torch.mm(self._matrix, self._matrix, out=self._out)

    def seconds(self) -> float:
        """Return the seconds of one product, the mean of a few."""
        start = _perf_counter_ns()
        for _ in range(CANARY_CALLS):
            self.product()
        return (_perf_counter_ns() - start) * 1e-9 / CANARY_CALLS


def minor_faults() -> int:
    """Return the page faults of this process up to now, 0 if the system counts none."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


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
    with uncollected():
        yield
