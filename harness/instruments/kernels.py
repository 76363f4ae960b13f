"""What ran: operators (CPU) or kernels (CUDA) of one profiled call, and the SDPA backend they betray."""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.records import Ran

if TYPE_CHECKING:
    from collections.abc import Callable


# Operators that only handle a tensor's metadata; every other operator does work.
BOOKKEEPING = frozenset(
    {
        "aten::view",
        "aten::reshape",
        "aten::_reshape_alias",
        "aten::as_strided",
        "aten::expand",
        "aten::transpose",
        "aten::permute",
        "aten::select",
        "aten::slice",
        "aten::unsqueeze",
        "aten::squeeze",
        "aten::t",
        "aten::empty",
        "aten::detach",
        "aten::empty_like",
        "aten::empty_strided",
        "aten::resize_",
        "aten::_unsafe_view",
        "aten::alias",
        "aten::narrow",
        "aten::unfold",
        "aten::item",
        "aten::_local_scalar_dense",
        "aten::is_nonzero",
        "aten::lift_fresh",
    }
)
# Marks where one profiled call ends and the next begins.
NEXT_CALL = "attnbench: next call"
# Substrings of operator and kernel names, most telling first. Each names the backend SDPA chose.
BACKENDS = (
    ("cudnn", "cudnn"),
    ("fmha", "efficient"),
    ("efficient_attention", "efficient"),
    ("flash", "flash"),
    ("attention_math", "math"),
)


@dataclass(frozen=True)
class Profile:
    """Names and counts of one profiled call with device seconds (CUDA), and allocation events of each by time."""

    ran: Ran
    allocations: list[list[int]]


def profile(
    call: Callable[[], Any], *, device: torch.device, synchronize: Callable[[], None], calls: int = 1
) -> Profile:
    """Profile a call, or several on a CPU, of which the first names the operators.

    Allocation events are bytes, negative where freed; memory held before is not in them.
    """
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, profile_memory=device.type == "cpu") as session:
        call()
        for _ in range(calls - 1):
            with torch.profiler.record_function(NEXT_CALL):
                pass
            call()
        synchronize()
    results = session.profiler.kineto_results if session.profiler is not None else None
    events = [] if results is None else results.events()
    # A loop over rows gives some hundred thousand events: what is asked of each is little.
    names = [event.name() for event in events]
    allocations = sorted(
        (event.start_ns(), event.nbytes()) for event, name in zip(events, names, strict=True) if name == "[memory]"
    )
    starts = sorted(event.start_ns() for event, name in zip(events, names, strict=True) if name == NEXT_CALL)
    if starts:
        first = (name for event, name in zip(events, names, strict=True) if event.start_ns() < starts[0])
        operators = _operators(Counter(first))
    else:
        operators = _operators(Counter(names))
    kernels: Counter[str] = Counter()
    kernel_nanoseconds = 0
    if device.type == "cuda":
        for event, name in zip(events, names, strict=True):
            if "CUDA" in str(event.device_type()):
                if not name.startswith(("Memcpy", "Memset", "gpu_", "ProfilerStep")):
                    kernels[name] += 1
                kernel_nanoseconds += event.duration_ns()
    shown = kernels or operators
    return Profile(
        ran=Ran(
            operators=dict(shown.most_common()),
            backend=backend_of([*kernels, *operators]),
            kernel_seconds=kernel_nanoseconds * 1e-9 if kernels else None,
        ),
        allocations=[
            [size for at, size in allocations if bisect.bisect(starts, at) == number] for number in range(calls)
        ],
    )


def _operators(names: Counter[str]) -> Counter[str]:
    """Keep the operators that do work."""
    return Counter(
        {name: count for name, count in names.items() if name.startswith("aten::") and name not in BOOKKEEPING}
    )


def backend_of(names: list[str]) -> str | None:
    """Name the SDPA backend that operator or kernel names betray, None if there is none."""
    lowered = [name.lower() for name in names]
    return next((backend for part, backend in BACKENDS if any(part in name for name in lowered)), None)


def is_fallback(ran: Ran, expects: tuple[str, ...]) -> str:
    """Return why a call is not what was asked for, empty where one of the expected names ran (or none is expected)."""
    if not expects or any(part in name.lower() for part in expects for name in ran.operators):
        return ""
    seen = ", ".join(list(ran.operators)[:4])
    return f"asked for {' or '.join(expects)}, ran {seen or 'nothing'}"
