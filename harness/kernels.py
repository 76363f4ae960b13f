"""What ran: operators (CPU) or kernels (CUDA) of one profiled call, and the SDPA backend they betray."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.records import Ran

if TYPE_CHECKING:
    from collections.abc import Callable

# Operators outside of these name bookkeeping of tensors, not work.
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
    """One profiled call: names and counts, allocation events in order of time, and device seconds (CUDA)."""

    ran: Ran
    allocations: list[int]


def profile(call: Callable[[], Any], *, device: torch.device, synchronize: Callable[[], None]) -> Profile:
    """Profile one call. Allocation events are bytes, negative where freed; memory held before is not in them."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, profile_memory=device.type == "cpu") as session:
        call()
        synchronize()
    results = session.profiler.kineto_results if session.profiler is not None else None
    events = [] if results is None else results.events()
    names: Counter[str] = Counter()
    kernels: Counter[str] = Counter()
    allocations: list[tuple[int, int]] = []
    kernel_nanoseconds = 0
    for event in events:
        name = event.name()
        if name == "[memory]":
            allocations.append((event.start_ns(), event.nbytes()))
        elif "CUDA" in str(event.device_type()):
            if not name.startswith(("Memcpy", "Memset", "gpu_", "ProfilerStep")):
                kernels[name] += 1
            kernel_nanoseconds += event.duration_ns()
        elif name.startswith("aten::") and name not in BOOKKEEPING:
            names[name] += 1
    shown = kernels or names
    return Profile(
        ran=Ran(
            operators=dict(shown.most_common()),
            backend=backend_of([*kernels, *names]),
            kernel_seconds=kernel_nanoseconds * 1e-9 if kernels else None,
        ),
        allocations=[size for _, size in sorted(allocations)],
    )


def backend_of(names: list[str]) -> str | None:
    """Name the SDPA backend that operator or kernel names betray, None where there is none."""
    lowered = [name.lower() for name in names]
    return next((backend for part, backend in BACKENDS if any(part in name for name in lowered)), None)


def is_fallback(ran: Ran, expects: tuple[str, ...]) -> str:
    """Return why a call is not what was asked for, empty where one of the expected names ran (or none is expected)."""
    if not expects or any(part in name.lower() for part in expects for name in ran.operators):
        return ""
    seen = ", ".join(list(ran.operators)[:4])
    return f"asked for {' or '.join(expects)}, ran {seen or 'nothing'}"
