"""A case taken apart on request: the gate, its calls without a profiler, its parts, its trace and what it holds."""

from __future__ import annotations

import statistics
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.instruments import directions, parts, timing
from harness.profiled import CaseProfile
from harness.protocol.messages import Profiled
from harness.stats.blocks import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from harness.instruments.directions import MeasuredCall
    from harness.protocol.messages import ProfileCase
    from harness.worker.workbench import Workbench

# torch does not type them; bound before any implementation could replace them.
emit_nvtx: Callable[[], AbstractContextManager[Any]] = torch.autograd.profiler.emit_nvtx
range_push: Callable[[str], object] = torch.cuda.nvtx.range_push
range_pop: Callable[[], object] = torch.cuda.nvtx.range_pop
# Calls that are profiled: an odd number has a median; more of them make a trace that no viewer opens.
CALLS_AT_LEAST, CALLS_AT_MOST = 3, 21
# Shapes and allocations are recorded of so many: they lengthen each operator.
TRACED_CALLS = 3
# Short calls are over in a moment in which a neighbour may have the core: of so many sessions the shortest counts.
SESSIONS = 3
# Of the time for calls, this share is for those without a profiler, half before those with it and half after.
PLAIN_SHARE = 0.5


def profile_case(bench: Workbench, request: ProfileCase) -> Profiled:
    """Hold a case against the oracle, then take one of its calls apart. Raises RefusedError if it disagrees."""
    subject = bench.subject(request.case)
    bench.announce("agreement")
    agreement = bench.hold(subject, seed=request.seed)
    cost = subject.cost()
    inputs = bench.inputs.of(subject, request.seed + 1)
    clock = timing.clock_for(bench.device, cold=False)
    with directions.measured_call(subject, inputs) as measured:
        bench.announce("warm-up")
        warmed = _warm_up(bench, measured, clock)
        call = bench.calls.counted(measured.call)
        count = _count(request.seconds, sorted(warmed)[len(warmed) // 2])
        bench.announce("profile")
        if request.bare:
            _make(call, count, clock.synchronize, device=bench.device)
            found = CaseProfile(
                case=request.case,
                agreement=agreement,
                operations=cost.operations,
                ideal_bytes=cost.ideal_bytes,
                call_seconds=statistics.median(warmed),
                profiled_seconds=0.0,
                calls=count,
                parts=[],
            )
        else:
            on_device = bench.device.type == "cuda"
            sessions = SESSIONS if count >= CALLS_AT_MOST else 1
            found_in = [_session(bench, measured, clock, count=count) for _ in range(sessions)]
            # The one that others disturbed least.
            plain, taken = min(found_in, key=lambda session: session[1].seconds)
            full = parts.take(
                call,
                device=bench.device,
                synchronize=clock.synchronize,
                calls=TRACED_CALLS,
                trace=Path(request.trace),
            )
            held, allocated = parts.held(full, on_device=on_device)
            found = CaseProfile(
                case=request.case,
                agreement=agreement,
                operations=cost.operations,
                ideal_bytes=cost.ideal_bytes,
                call_seconds=plain,
                profiled_seconds=taken.seconds,
                calls=count,
                parts=taken.parts,
                held=held,
                allocated_bytes=allocated,
                launches=taken.launches,
            )
    return Profiled(found=found, calls_seconds=bench.calls.seconds)


def _session(bench: Workbench, measured: MeasuredCall, clock: timing.Clock, *, count: int) -> tuple[float, parts.Parts]:
    """Take calls apart, with as many unprofiled before and after; return the median seconds of those, and the parts."""

    def plain() -> list[float]:
        return [bench.calls.block(clock, measured.call, 1).seconds for _ in range(count)]

    before = plain()
    noted = parts.take(
        bench.calls.counted(measured.call), device=bench.device, synchronize=clock.synchronize, calls=count
    )
    after = plain()
    return statistics.median(before + after), parts.parts(noted, on_device=bench.device.type == "cuda")


def _warm_up(bench: Workbench, measured: MeasuredCall, clock: timing.Clock) -> list[float]:
    """Call until start-up cost is over; return the seconds of each call."""
    return warm_up(
        lambda: bench.calls.block(clock, measured.call, 1).seconds, policy=bench.policy.timing, before=1, clock=None
    )


def _count(seconds: float, call_seconds: float) -> int:
    """Return how many calls are profiled, an odd number, where each takes so long and all may take `seconds`."""
    wanted = int(PLAIN_SHARE * seconds / max(call_seconds, 1e-9))
    return min(max(wanted, CALLS_AT_LEAST), CALLS_AT_MOST) | 1


def _make(call: Callable[[], Any], count: int, synchronize: Callable[[], None], *, device: torch.device) -> None:
    """Make so many calls, each in a range that profilers around the process see (NVTX), and waited for."""
    with emit_nvtx() if device.type == "cuda" else nullcontext():
        for _ in range(count):
            with _range(device):
                call()
                synchronize()


@contextmanager
def _range(device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        yield
        return
    range_push(parts.CALL)
    try:
        yield
    finally:
        range_pop()
