"""CUDA's driver as measuring needs it, in one place: tests put a simulated device where `DRIVER` is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Device = torch.device | str | int

# torch tells the clock in kHz; where it doesn't, a GPU of 1.5 GHz is assumed: it decides only how long a sleep is.
CLOCK_KHZ_UNKNOWN = 1_500_000


@dataclass(frozen=True)
class DeviceBytes:
    """Bytes of a device: held by tensors, by torch's pool, their peaks since the last reset, free, and in all."""

    allocated: int
    reserved: int
    peak_allocated: int
    peak_reserved: int
    free: int
    total: int


class Event(Protocol):
    """A marker in a stream, with a time once the stream has reached it."""

    def record(self, stream: Any = None) -> None: ...  # noqa: D102
    def query(self) -> bool: ...  # noqa: D102
    def elapsed_time(self, other: Any) -> float: ...  # noqa: D102


class Driver(Protocol):
    """The calls of CUDA that instruments make. Devices are as torch names them; times are seconds unless named."""

    def clock_ns(self) -> int: ...  # noqa: D102
    def synchronize(self, device: Any) -> None: ...  # noqa: D102
    def sleep(self, seconds: float, device: Any) -> None: ...  # noqa: D102
    def event(self) -> Event: ...  # noqa: D102
    def current(self, device: Any) -> AbstractContextManager[Any]: ...  # noqa: D102
    def current_stream(self, device: Any) -> Any: ...  # noqa: D102
    def stream(self, device: Any) -> Any: ...  # noqa: D102
    def on(self, stream: Any) -> AbstractContextManager[Any]: ...  # noqa: D102
    def capture(self, stream: Any) -> AbstractContextManager[Any]: ...  # noqa: D102
    def properties(self, device: Any) -> Any: ...  # noqa: D102
    def probe(self, device: Any) -> None: ...  # noqa: D102
    def settle_backends(self, device: Any) -> None: ...  # noqa: D102
    def empty_cache(self, device: Any) -> None: ...  # noqa: D102
    def reset_peaks(self, device: Any) -> None: ...  # noqa: D102
    def bytes_of(self, device: Any) -> DeviceBytes: ...  # noqa: D102


class TorchDriver:
    """The driver through torch. Its functions are bound here, before an implementation could replace them."""

    clock_ns = staticmethod(time.perf_counter_ns)
    current = staticmethod(torch.cuda.device)
    current_stream = staticmethod(torch.cuda.current_stream)
    on = staticmethod(torch.cuda.stream)
    properties = staticmethod(torch.cuda.get_device_properties)
    _synchronize: Callable[..., None] = staticmethod(torch.cuda.synchronize)
    _sleep: Callable[..., None] = staticmethod(torch.cuda._sleep)  # noqa: SLF001
    _event: Callable[..., Any] = staticmethod(torch.cuda.Event)

    def synchronize(self, device: Device) -> None:
        """Wait for every stream of a device."""
        self._synchronize(device)

    def sleep(self, seconds: float, device: Device) -> None:
        """Keep a device's current stream busy."""
        khz = float(getattr(self.properties(device), "clock_rate", CLOCK_KHZ_UNKNOWN))
        with self.current(device):
            self._sleep(int(seconds * khz * 1e3))

    def event(self) -> Event:
        """Return an event that keeps its time."""
        event: Event = self._event(enable_timing=True)
        return event

    def stream(self, device: Device) -> Any:
        """Return another stream of a device."""
        return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def capture(self, stream: Any) -> AbstractContextManager[Any]:
        """Capture what is launched on a stream, and give the graph. A failed one leaves its stream the current one."""
        return _Capture(stream)

    def probe(self, device: Device) -> None:
        """Raise where the device's context is lost: wait for it, then compute and read one element."""
        self._synchronize(device)
        if float(torch.zeros(1, device=device).add_(1.0).item()) != 1.0:
            raise RuntimeError("CUDA error: one plus nothing is not one on this device")

    def settle_backends(self, device: Device) -> None:
        """Let PyTorch settle the order in which it tries attention's backends, which it else does at the first call.

        On GPUs for which cuDNN is preferred that call changes the order (seen with torch 2.11 on an H100): who watches
        the settings of the process would blame the implementation, and putting the order back would change what the
        dispatcher picks from then on. Where PyTorch can be asked for its choice alone nothing is computed.
        """
        few = torch.zeros(1, 1, 8, 8, dtype=torch.float16, device=device)
        choose = getattr(torch, "_fused_sdp_choice", torch.nn.functional.scaled_dot_product_attention)
        choose(few, few, few)

    def empty_cache(self, device: Device) -> None:
        """Give back to the driver what no tensor of a device holds."""
        with self.current(device):
            torch.cuda.empty_cache()

    def reset_peaks(self, device: Device) -> None:
        """Let the peaks be what is held now."""
        torch.cuda.reset_peak_memory_stats(device)

    def bytes_of(self, device: Device) -> DeviceBytes:
        """Return what torch and the driver count of a device's memory."""
        free, total = torch.cuda.mem_get_info(device)
        return DeviceBytes(
            allocated=torch.cuda.memory_allocated(device),
            reserved=torch.cuda.memory_reserved(device),
            peak_allocated=torch.cuda.max_memory_allocated(device),
            peak_reserved=torch.cuda.max_memory_reserved(device),
            free=free,
            total=total,
        )


class _Capture:
    """torch's context of a capture, giving its graph."""

    def __init__(self, stream: Any) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._context = torch.cuda.graph(self._graph, stream=stream)

    def __enter__(self) -> Any:
        self._context.__enter__()
        return self._graph

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)


DRIVER: Driver = TorchDriver()
