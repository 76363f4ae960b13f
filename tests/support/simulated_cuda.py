"""A simulated CUDA device: a host clock, device clocks, bounded queues, streams, events, graphs, memory, and faults.

Nothing computes and nothing waits: a launch has a duration, a call of the API has a price on the host's clock, and both
clocks are integers of nanoseconds. What the real device would make visible is visible here: a launch into a full queue
blocks the host, an event has a time once its stream reaches it, a fault of a kernel surfaces at the next call that
looks, and every call after it fails. `Simulated` has the methods that `harness.instruments.cuda` asks of the driver.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

# Kernels that wait for their turn on a stream before a launch blocks (tritonbench pull request 779).
DEPTH = 1024
LAUNCH_NS = 4_000
RECORD_NS = 500
CLOCK_HZ = 1.98e9
# Allocations come from segments of this size (PyTorch's notes on CUDA: large blocks are of 20 MiB and more).
SEGMENT = 20 * 2**20


class CudaError(RuntimeError):
    """What torch raises where the driver reports an error; named as torch's `AcceleratorError` is."""


CudaError.__name__ = "AcceleratorError"


class OutOfMemoryError(RuntimeError):
    """An allocation beyond what is free."""


@dataclass(eq=False)
class Stream:
    """A queue of work on a device; `ends` are the moments at which its pending entries are done."""

    cuda: Simulated
    device: int
    ends: deque[int] = field(default_factory=deque)
    # The moment from which new work may run: the end of the last entry, or of work of another stream waited for.
    free: int = 0
    capturing: Graph | None = None

    def wait_stream(self, other: Stream) -> None:
        """Let later work of this stream wait for what the other has queued by now."""
        self.cuda.call(RECORD_NS)
        if self.capturing or other.capturing:
            # A wait joins the other stream to the capture; what it waits for is part of the graph.
            return
        self.free = max(self.free, other.free)


@dataclass(eq=False)
class Event:
    """A marker in a stream; it has a time of the device's clock once the stream reaches it."""

    cuda: Simulated
    stream: Stream | None = None
    at: int | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Put the marker into a stream, by default the current device's current one."""
        stream = stream or self.cuda.current_stream(self.cuda.current_device)
        if self.stream is not None and self.stream.device != stream.device:
            raise RuntimeError(
                f"Event device {self.stream.device} does not match recording stream's device {stream.device}."
            )
        self.stream = stream
        self.at = self.cuda.enqueue(stream, 0, cost=RECORD_NS)

    def query(self) -> bool:
        """Say whether the stream has reached the marker."""
        self.cuda.call(RECORD_NS, looks=True)
        return self.at is None or self.at <= self.cuda.host

    def synchronize(self) -> None:
        """Wait for the marker."""
        self.cuda.call(RECORD_NS, looks=True)
        self.cuda.host = max(self.cuda.host, self.at or 0)

    def elapsed_time(self, other: Event) -> float:
        """Return the milliseconds from this marker to another."""
        if self.at is None or other.at is None or self.stream is None or other.stream is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if self.stream.device != other.stream.device:
            raise self.cuda.error("invalid resource handle")
        if max(self.at, other.at) > self.cuda.host:
            raise RuntimeError("CUDA error: device not ready")
        return (other.at - self.at) / 1e6


@dataclass(eq=False)
class Graph:
    """Durations of captured kernels, and the functions that stand for what they write."""

    cuda: Simulated
    stream: Stream
    kernels: list[int] = field(default_factory=list)
    effects: list = field(default_factory=list)
    broken: str = ""
    ready: bool = False

    def replay(self) -> None:
        """Enqueue every captured kernel at the price of one launch."""
        if not self.ready:
            raise RuntimeError("the graph was never captured")
        self.cuda.enqueue(self.cuda.current_stream(self.stream.device), sum(self.kernels), cost=self.cuda.launch_ns)
        for effect in self.effects:
            effect()


@dataclass
class Memory:
    """Bytes of one device: what tensors hold, what the allocator's pool holds, their peaks, and what others hold."""

    total: int = 80 * 2**30
    context: int = 500 * 2**20
    allocated: int = 0
    reserved: int = 0
    peak_allocated: int = 0
    peak_reserved: int = 0
    # Memory that a library took from the driver past torch's allocator.
    outside: int = 0

    @property
    def free(self) -> int:
        return self.total - self.context - self.reserved - self.outside


class Simulated:
    """One host with GPUs. `blocking` is CUDA_LAUNCH_BLOCKING; `depth` launches fit a stream's queue."""

    def __init__(
        self, *, devices: int = 1, depth: int = DEPTH, launch_ns: int = LAUNCH_NS, blocking: bool = False
    ) -> None:
        self.host = 0
        self.launch_ns, self.depth, self.blocking = launch_ns, depth, blocking
        self.current_device = 0
        self._default = [Stream(self, number) for number in range(devices)]
        self._current = list(self._default)
        self._made: list[Stream] = []
        self.memory = [Memory() for _ in range(devices)]
        self._faults: list[tuple[int, str]] = []
        self._sticky = ""
        self.launches = 0
        self.blocked_ns = 0
        # Why the next capture fails, empty where it does not.
        self.capture_fails = ""

    # The host

    def clock_ns(self) -> int:
        """Return the host's clock, as time.perf_counter_ns."""
        return self.host

    def work(self, nanoseconds: int) -> None:
        """Let the host compute."""
        self.host += nanoseconds

    def call(self, cost: int, *, looks: bool = False) -> None:
        """Pay for a call of the API; one that looks at the device reports what failed there by now."""
        self._raise_if_broken(looks=looks)
        self.host += cost

    # Work

    def launch(self, duration_ns: int, *, cost: int | None = None, fault: str = "", effect=None) -> None:
        """Launch a kernel on the current stream of the current device; `fault` is what it dies of when it runs."""
        stream = self._current[self.current_device]
        if stream.capturing is not None:
            self.call(cost if cost is not None else self.launch_ns // 2)
            stream.capturing.kernels.append(duration_ns)
            if effect is not None:
                stream.capturing.effects.append(effect)
            return
        end = self.enqueue(stream, duration_ns, cost=cost)
        if fault:
            self._faults.append((end, fault))
        if effect is not None:
            effect()
        if self.blocking:
            self.host = max(self.host, end)
            self._raise_if_broken(looks=True)

    def enqueue(self, stream: Stream, duration_ns: int, *, cost: int | None = None) -> int:
        """Put work into a stream's queue, wait where it is full, and return the moment at which it will be done."""
        self.call(self.launch_ns if cost is None else cost)
        self.launches += 1
        while stream.ends and stream.ends[0] <= self.host:
            stream.ends.popleft()
        if len(stream.ends) >= self.depth:
            ready = stream.ends[len(stream.ends) - self.depth]
            self.blocked_ns += max(0, ready - self.host)
            self.host = max(self.host, ready)
            while stream.ends and stream.ends[0] <= self.host:
                stream.ends.popleft()
        stream.free = max(self.host, stream.free) + duration_ns
        stream.ends.append(stream.free)
        return stream.free

    def sleep(self, seconds: float, device: object = None) -> None:
        """Keep the current stream of a device busy."""
        stream = self._current[self._number(device)]
        self.enqueue(stream, int(seconds * 1e9))

    def synchronize(self, device: object = None) -> None:
        """Wait for every stream of a device. Raises where a stream of it is being captured, which it spoils."""
        self._spoil("operation not permitted when stream is capturing")
        number = self._number(device)
        streams = [stream for stream in (*self._default, *self._made) if stream.device == number]
        self._raise_if_broken(looks=False)
        self.host = max(self.host, *(stream.free for stream in streams))
        self._raise_if_broken(looks=True)

    def _spoil(self, reason: str) -> None:
        for stream in (*self._default, *self._made):
            if stream.capturing is not None:
                stream.capturing.broken = reason
                raise self.error(reason)

    # Faults

    @staticmethod
    def error(text: str) -> CudaError:
        """Return the exception that torch raises for an error of the driver."""
        return CudaError(f"CUDA error: {text}")

    def lose(self, text: str = "unspecified launch failure") -> None:
        """Lose the context: every later call fails with this text."""
        self._sticky = text

    def _raise_if_broken(self, *, looks: bool) -> None:
        if not self._sticky and looks:
            died = [text for at, text in self._faults if at <= self.host]
            self._sticky = died[0] if died else ""
        if self._sticky:
            raise self.error(self._sticky)

    # What instruments ask for

    def event(self) -> Event:
        """Return an event that keeps its time."""
        return Event(self)

    @contextmanager
    def current(self, device: object):
        """Make a device the current one for a while."""
        before, self.current_device = self.current_device, self._number(device)
        try:
            yield
        finally:
            self.current_device = before

    def current_stream(self, device: object = None) -> Stream:
        """Return the current stream of a device."""
        return self._current[self._number(device)]

    def stream(self, device: object = None) -> Stream:
        """Return a new stream of a device."""
        self._made.append(Stream(self, self._number(device)))
        return self._made[-1]

    @contextmanager
    def on(self, stream: Stream):
        """Make a stream its device's current one, and its device the current one."""
        before, device = self._current[stream.device], self.current_device
        self._current[stream.device], self.current_device = stream, stream.device
        try:
            yield
        finally:
            self._current[stream.device], self.current_device = before, device

    @contextmanager
    def capture(self, stream: Stream):
        """Capture what is launched on a stream; as with torch, a failed one leaves its stream the current one."""
        if stream in self._default:
            raise self.error("operation not permitted on the default stream")
        self.synchronize(stream.device)
        graph = Graph(self, stream)
        before = self._current[stream.device]
        self._current[stream.device], stream.capturing = stream, graph
        try:
            if self.capture_fails:
                graph.broken = self.capture_fails
                raise self.error(self.capture_fails)
            yield graph
        finally:
            stream.capturing = None
            if graph.broken:
                # Ending a capture that was spoilt fails as well, and torch's context stops there.
                raise self.error("operation failed due to a previous error during capture")
            self._current[stream.device] = before
        graph.ready = True

    def properties(self, device: object = None):
        """Return what torch tells of a device, as far as it is asked."""
        number = self._number(device)
        return SimpleNamespace(
            name="NVIDIA H100 80GB HBM3",
            uuid=f"{number:08x}-aaaa-bbbb-cccc-1234567890ab",
            L2_cache_size=50 * 2**20,
            clock_rate=int(CLOCK_HZ / 1e3),
            total_memory=self.memory[number].total,
            multi_processor_count=132,
            major=9,
            minor=0,
        )

    def probe(self, device: object = None) -> None:
        """Add one element and read it back; raises where the context is lost."""
        self.launch(1_000)
        self.synchronize(device)

    def settle_backends(self, device: object = None) -> None:
        """Nothing here tries backends in any order."""

    # Memory

    def allocate(self, size: int, device: object = None) -> None:
        """Take memory for a tensor from the pool, which grows by segments. Raises OutOfMemoryError."""
        memory = self.memory[self._number(device)]
        missing = memory.allocated + size - memory.reserved
        if missing > 0:
            grown = -(-missing // SEGMENT) * SEGMENT
            if grown > memory.free:
                raise OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes")
            memory.reserved += grown
        memory.allocated += size
        memory.peak_allocated = max(memory.peak_allocated, memory.allocated)
        memory.peak_reserved = max(memory.peak_reserved, memory.reserved)

    def release(self, size: int, device: object = None) -> None:
        """Give a tensor's memory back to the pool."""
        self.memory[self._number(device)].allocated -= size

    def empty_cache(self, device: object = None) -> None:
        """Give back to the driver what no tensor holds."""
        memory = self.memory[self._number(device)]
        memory.reserved = -(-memory.allocated // SEGMENT) * SEGMENT

    def reset_peaks(self, device: object = None) -> None:
        """Let the peaks be what is held now."""
        memory = self.memory[self._number(device)]
        memory.peak_allocated, memory.peak_reserved = memory.allocated, memory.reserved

    def bytes_of(self, device: object = None) -> Memory:
        """Return a device's bytes."""
        return self.memory[self._number(device)]

    def process_bytes(self, device: object = None) -> int:
        """Return what the driver counts for this process."""
        memory = self.memory[self._number(device)]
        return memory.context + memory.reserved + memory.outside

    def _number(self, device: object) -> int:
        if device is None:
            return self.current_device
        number = device if isinstance(device, int) else getattr(device, "index", None)
        if isinstance(device, str):
            number = int(device.partition(":")[2] or self.current_device)
        number = self.current_device if number is None else number
        if number >= len(self._default):
            raise self.error("invalid device ordinal")
        return number
