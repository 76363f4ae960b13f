"""What ran: operators and kernels of one profiled call, what it launched, and the SDPA backend that they betray."""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.records import Ran

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from impls.contract import Expected


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
# What operators are called: torch's own, and compiled kernels by their launcher on the host.
OPERATORS = ("aten::", "triton_")
# What every range of ours begins with, and the mark where one profiled call ends and the next begins.
OURS = "attnbench"
NEXT_CALL = f"{OURS}: next call"
# The profiler's names of activities (kineto's libkineto/src/ActivityType.cpp), and those that happen on the device.
KERNEL, ANNOTATION = "kernel", "gpu_user_annotation"
COPIES = frozenset({"gpu_memcpy", "gpu_memset"})
ON_DEVICE = COPIES | {KERNEL, ANNOTATION}
# How device events of older versions are distinguished, by what their names begin with: dynamo and the profiler put
# spans of their own on the device's timeline.
DEVICE_ACTIVITIES = (
    ("Memcpy", "gpu_memcpy"),
    ("Memset", "gpu_memset"),
    ("Torch-Compiled Region", ANNOTATION),
    ("ProfilerStep", ANNOTATION),
    (OURS, ANNOTATION),
    ("gpu_", ANNOTATION),
)
# Calls of the runtime and of the driver that launch one kernel each; cuDNN and Triton use the driver's.
LAUNCHES = ("cudaLaunchKernel", "cudaLaunchCooperativeKernel", "cuLaunchKernel", "cuLaunchCooperativeKernel")
# Records are lost at the start of a session: of so many calls the last is read.
CALLS_CUDA = 3
# Of what ran instead, so many names are told.
NAMES_SHOWN = 4
# Substrings of operator and kernel names, most telling first. Each names the backend SDPA chose.
BACKENDS = (
    ("cudnn", "cudnn"),
    ("fmha", "efficient"),
    ("efficient_attention", "efficient"),
    ("flash", "flash"),
    ("attention_math", "math"),
)


@dataclass(frozen=True)
class Event:
    """One event of a profile: its name, what it is in the profiler's words, its start and length, and bytes."""

    name: str
    activity: str
    start: int
    nanoseconds: int = 0
    size: int = 0


@dataclass(frozen=True)
class Profile:
    """What one profiled call ran, and allocation events of each call by time."""

    ran: Ran
    allocations: list[list[int]]


def profile(
    call: Callable[[], Any], *, device: torch.device, synchronize: Callable[[], None], calls: int = 1
) -> Profile:
    """Profile a call, or several; the last names the kernels (CUDA), the first the operators.

    Allocation events are bytes, negative where freed; memory held before is not in them.
    """
    with _session(device) as session:
        call()
        for _ in range(calls - 1):
            # Kernels belong to the call between whose markers they ran.
            synchronize()
            with torch.autograd.profiler.record_function(NEXT_CALL):
                pass
            call()
        synchronize()
    inner = session.profiler if isinstance(session, torch.profiler.profile) else session
    results = inner.kineto_results if inner is not None else None
    events = [] if results is None else [event(one) for one in results.events()]
    return read(events, calls=calls)


def _session(device: torch.device) -> torch.profiler.profile | torch.autograd.profiler.profile:
    """Return a session of the profiler; on a CPU the inner one by itself, as the other imports the compiler, a second.

    One cycle has nothing to accumulate; without `acc_events` torch 2.11 warns that others would be cleared.
    """
    if device.type == "cuda":
        both = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        return torch.profiler.profile(activities=both, acc_events=True)
    return torch.autograd.profiler.profile(use_kineto=True, profile_memory=device.type == "cpu")


def event(kineto: Any) -> Event:
    """Copy what is asked of one of kineto's events; before torch 2.13 it doesn't name its activity."""
    name = kineto.name()
    if hasattr(kineto, "activity_type"):
        activity = str(kineto.activity_type())
    elif "CUDA" not in str(kineto.device_type()):
        activity = "cuda_runtime" if name.startswith(LAUNCHES) else "cpu_op"
    else:
        activity = next((kind for start, kind in DEVICE_ACTIVITIES if name.startswith(start)), KERNEL)
    return Event(name, activity, kineto.start_ns(), kineto.duration_ns(), kineto.nbytes())


def read(events: Sequence[Event], *, calls: int = 1) -> Profile:
    """Tell operators, kernels, launches and allocations of profiled calls apart.

    Kernels are those of the last call: CUPTI before 13.1 loses records at the start of a session (pytorch issue
    192021). Where there are still fewer of them than launches, their time is absent and a reason says so.
    """
    # A loop over rows gives some hundred thousand events: what is asked of each is little.
    marks = sorted(event.start for event in events if event.name == NEXT_CALL and event.activity != ANNOTATION)
    allocations = sorted((event.start, event.size) for event in events if event.name == "[memory]")
    first = events if not marks else [event for event in events if event.start < marks[0]]
    last = events if not marks else [event for event in events if event.start >= marks[-1]]
    operators = _operators(Counter(event.name for event in first if event.activity not in ON_DEVICE))
    ran = [event for event in last if event.activity == KERNEL]
    kernels = Counter(event.name for event in ran)
    launches = sum(event.name.startswith(LAUNCHES) for event in last if event.activity not in ON_DEVICE)
    lost = max(0, launches - len(ran))
    copied = sum(event.nanoseconds for event in last if event.activity in COPIES)
    return Profile(
        ran=Ran(
            operators=dict(operators.most_common()),
            kernels=dict(kernels.most_common()),
            backend=backend_of([*kernels, *operators]),
            kernel_seconds=sum(event.nanoseconds for event in ran) * 1e-9 if ran and not lost else None,
            copy_seconds=copied * 1e-9 if copied else None,
            launches=launches if launches or ran else None,
            reasons={"kernel_seconds": f"the profiler lost {lost} of {launches} kernels"} if lost else {},
        ),
        allocations=[
            [size for at, size in allocations if bisect.bisect(marks, at) == number] for number in range(calls)
        ],
    )


def _operators(names: Counter[str]) -> Counter[str]:
    """Keep the operators that do work."""
    return Counter(
        {name: count for name, count in names.items() if name.startswith(OPERATORS) and name not in BOOKKEEPING}
    )


def backend_of(names: list[str]) -> str | None:
    """Name the SDPA backend that operator or kernel names betray, None if there is none."""
    lowered = [name.lower() for name in names]
    return next((backend for part, backend in BACKENDS if any(part in name for name in lowered)), None)


def is_fallback(ran: Ran, expects: Expected) -> str:
    """Return why a call is not what was asked for, empty if an expected name ran (or none is expected).

    A fused kernel is known by its kernel's name, wherever kernels were seen: its operator may run another one.
    """
    if not (expects.names or expects.kernels):
        return ""
    wanted, seen = expects.names, [*ran.kernels, *ran.operators]
    if expects.kernels and ran.kernels:
        wanted, seen = expects.kernels, list(ran.kernels)
    if any(part in name.lower() for part in wanted for name in seen):
        return ""
    shown = ", ".join(name.split("<", maxsplit=1)[0] for name in seen[:NAMES_SHOWN])
    return f"asked for {' or '.join(wanted)}, ran {shown or 'nothing'}"
