"""What one call is made of: the time of each operator or kernel by itself, and what its allocations hold meanwhile."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.instruments import kernels
from harness.profiled import Held, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.profiled import PartKind

    # Name, kind, count and nanoseconds of a part.
    Found = tuple[str, PartKind, int, int]

# The range around each call, in traces and on NVTX's timeline.
CALL = f"{kernels.OURS}_call"
MEMORY = "[memory]"
OUTSIDE = "outside of operators"
BETWEEN = "between kernels"
# Of a call with more allocations the timeline has so many slices, each with its most.
SLICES = 1000


@dataclass(frozen=True)
class Span:
    """One event of a profile, from `start` to `end` by the profiler's clock in ns, on a thread; bytes if of memory."""

    name: str
    activity: str
    start: int
    end: int
    thread: int = 0
    size: int = 0
    on_device: bool = False


@dataclass(frozen=True)
class Parts:
    """The parts of the median call of a session, its seconds in all, and the kernels that it launched (CUDA)."""

    parts: list[Part]
    seconds: float
    launches: int | None


def take(
    call: Callable[[], Any],
    *,
    device: torch.device,
    synchronize: Callable[[], None],
    calls: int,
    trace: Path | None = None,
) -> list[Span]:
    """Profile so many calls, each in a range of its own and waited for; return every event.

    With `trace`, shapes and allocations are recorded too, which takes longer, and the trace is written there,
    compressed, as chrome://tracing and Perfetto read it.
    """
    session = _session(device, is_full=trace is not None)
    with session:
        for _ in range(calls):
            with torch.autograd.profiler.record_function(CALL):
                call()
                synchronize()
    if trace is not None:
        _write(session, trace)
    inner = session.profiler if isinstance(session, torch.profiler.profile) else session
    results = inner.kineto_results if inner is not None else None
    return [] if results is None else [_span(event) for event in results.events()]


def _session(device: torch.device, *, is_full: bool) -> torch.profiler.profile | torch.autograd.profiler.profile:
    """Return a session of the profiler; on a CPU the inner one, as the other imports the compiler."""
    if device.type == "cuda":
        both = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        return torch.profiler.profile(activities=both, acc_events=True, record_shapes=is_full, profile_memory=is_full)
    return torch.autograd.profiler.profile(use_kineto=True, record_shapes=is_full, profile_memory=is_full)


def _write(session: torch.profiler.profile | torch.autograd.profiler.profile, trace: Path) -> None:
    """Compress a session's trace to a file; the profiler itself writes beside it, or elsewhere if a path is no text."""
    try:
        str(trace).encode()
        beside: Path | None = trace.parent
    except UnicodeEncodeError:
        beside = None
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        plain = Path(folder) / "trace.json"
        session.export_chrome_trace(str(plain))
        if not plain.exists():
            # The profiler says nothing of what it could not write.
            raise OSError(f"PyTorch's profiler wrote no trace to {beside or folder}: is there room?")
        with plain.open("rb") as read, gzip.open(trace, "wb") as written:
            shutil.copyfileobj(read, written)


def _span(event: Any) -> Span:
    known = kernels.event(event)
    return Span(
        name=known.name,
        activity=known.activity,
        start=known.start,
        end=known.start + known.nanoseconds,
        thread=event.start_thread_id(),
        size=known.size,
        on_device="CUDA" in str(event.device_type()),
    )


def parts(spans: Sequence[Span], *, on_device: bool) -> Parts:
    """Tell what the median call spent where: in operators themselves, or, `on_device`, in kernels and between them."""
    marks = sorted(_marks(spans), key=lambda mark: mark.end - mark.start)
    if not marks:
        raise ValueError("the profiler recorded no call")
    mark = marks[len(marks) // 2]
    inside = [span for span in spans if mark.start <= span.start < mark.end and span is not mark]
    return _of_device(inside) if on_device else _of_host(inside, mark)


def _marks(spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span.name == CALL and not span.on_device and span.activity != kernels.ANNOTATION]


def _of_host(inside: Iterable[Span], mark: Span) -> Parts:
    """Add up the time of each operator less that of the operators inside it; the rest of the call is outside."""
    operators = [span for span in inside if span.thread == mark.thread and span.name != MEMORY and not span.on_device]
    own: defaultdict[str, int] = defaultdict(int)
    count: defaultdict[str, int] = defaultdict(int)
    open_spans: list[Span] = []
    covered = 0
    for span in sorted(operators, key=lambda one: (one.start, -one.end)):
        while open_spans and open_spans[-1].end <= span.start:
            open_spans.pop()
        length = min(span.end, open_spans[-1].end if open_spans else mark.end) - span.start
        own[span.name] += length
        count[span.name] += 1
        if open_spans:
            own[open_spans[-1].name] -= length
        else:
            covered += length
        open_spans.append(Span(span.name, span.activity, span.start, span.start + length))
    whole = mark.end - mark.start
    found: list[Found] = [(name, "operator", count[name], nanoseconds) for name, nanoseconds in own.items()]
    return _shares([*found, (OUTSIDE, "outside", 1, whole - covered)], whole, launches=None)


def _of_device(inside: Iterable[Span]) -> Parts:
    """Add up the time of each kernel and copy; from the first to the last of them, what is in none is between."""
    ran = sorted(
        (span for span in inside if span.activity == kernels.KERNEL or span.activity in kernels.COPIES),
        key=lambda span: span.start,
    )
    if not ran:
        raise ValueError("the profiler recorded no kernel in the call")
    own: defaultdict[tuple[str, PartKind], list[int]] = defaultdict(list)
    busy, reached = 0, ran[0].start
    for span in ran:
        # A kernel beside others adds what only it takes, so that the parts are the whole.
        alone = max(0, span.end - max(span.start, reached))
        busy, reached = busy + alone, max(reached, span.end)
        own[span.name, "kernel" if span.activity == kernels.KERNEL else "copy"].append(alone)
    whole = reached - ran[0].start
    found: list[Found] = [(name, kind, len(taken), sum(taken)) for (name, kind), taken in own.items()]
    launches = sum(span.activity == kernels.KERNEL for span in ran)
    return _shares([*found, (BETWEEN, "outside", 1, whole - busy)], whole, launches=launches)


def _shares(found: Iterable[Found], whole: int, *, launches: int | None) -> Parts:
    return Parts(
        parts=[
            Part(name=name, kind=kind, count=count, seconds=taken * 1e-9, share=taken / whole if whole else 0.0)
            for name, kind, count, taken in sorted(found, key=lambda one: -one[3])
        ],
        seconds=whole * 1e-9,
        launches=launches,
    )


def held(spans: Sequence[Span], *, on_device: bool) -> tuple[list[Held], int]:
    """Follow what the last call's allocations hold, and add them up in bytes; what was held before is not in them."""
    marks = sorted(_marks(spans), key=lambda mark: mark.start)
    if not marks:
        return [], 0
    mark = marks[-1]
    events = sorted(
        (span for span in spans if span.name == MEMORY and span.on_device == on_device and mark.start <= span.start),
        key=lambda span: span.start,
    )
    points, bytes_now, allocated = [Held(seconds=0.0, bytes=0)], 0, 0
    for span in events:
        # What comes after the call frees its result.
        if span.start > mark.end:
            break
        bytes_now += span.size
        allocated += max(0, span.size)
        points.append(Held(seconds=(span.start - mark.start) * 1e-9, bytes=max(0, bytes_now)))
    return _sliced(points), allocated


def _sliced(points: list[Held]) -> list[Held]:
    """Keep the most of each slice where there are many points, and the last."""
    if len(points) <= SLICES:
        return points
    size = -(-len(points) // SLICES)
    slices = [points[start : start + size] for start in range(0, len(points), size)]
    return [*(max(part, key=lambda point: point.bytes) for part in slices), points[-1]]
