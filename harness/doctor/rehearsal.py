"""A rehearsal on a GPU: in two or three minutes, everything that this program assumes of GPUs, asked of one.

Its JSON is what a report of a fault attaches, and what replaces names and estimates that were taken from elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from harness.records import SCHEMA, DataModel, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from harness.instruments.cuda import Driver
    from impls.contract import Implementation

# The folder that holds our packages.
ROOT = Path(__file__).resolve().parents[2]
DTYPES = ("bfloat16", "float16", "float32")
# What is called: problem, point, direction. Short and long calls run different kernels.
CALLED: tuple[tuple[str, dict[str, int], str], ...] = (
    ("attention", {"n": 512, "d": 64, "heads": 16, "batch": 1}, "forward"),
    ("attention", {"n": 4096, "d": 64, "heads": 16, "batch": 1}, "forward"),
    ("attention", {"n": 512, "d": 64, "heads": 16, "batch": 1}, "backward"),
    ("multihead", {"n": 256, "width": 512, "heads": 8, "batch": 4}, "forward"),
    ("pooling", {"n": 1024}, "forward"),
)
# Launches whose time says what is usual.
CALLS_BEFORE = 20
# A launch that takes this much longer than the first ones waited for room in the queue.
WAITED = 50.0
LAUNCHES_AT_MOST = 20_000
SLEEP_SECONDS = 0.5
# Calls of a short product whose launching is timed, and sessions of the profiler after which it is timed again.
CALLS = 500
SESSIONS = (0, 1, 50)
QUEUES = "CUDA_SCALE_LAUNCH_QUEUES"


class Recorded(DataModel):
    """One call: what it was, the operators and kernels that ran, launches, and why something is absent."""

    problem: str = "attention"
    implementation: str
    direction: str = "forward"
    dtype: str
    n: int
    operators: list[str] = Field(default_factory=list)
    kernels: list[str] = Field(default_factory=list)
    launches: int | None = None
    kernel_seconds: float | None = None
    fallback: str = ""
    reason: str = ""


class Rehearsal(DataModel):
    """All that was asked, with the seconds of each part. Launching is by the profiler's sessions before it.

    `queue_depth` is by the value of CUDA_SCALE_LAUNCH_QUEUES, None if no launch ever waited.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    device: dict[str, JsonValue]
    recorded: list[Recorded]
    launching: dict[str, dict[str, float]]
    queue_depth: dict[str, int | None]
    l2_copy: dict[str, float]
    sensors: dict[str, JsonValue]
    reasons: dict[str, str]
    seconds: dict[str, float]

    model_config = Record.model_config


def rehearse(device: str, *, announce: Callable[[str], object] = lambda _: None) -> Rehearsal:
    """Ask a GPU all of it; a part that fails costs itself and has its reason."""
    import torch

    target = torch.device(device)
    torch.cuda.set_device(target)
    parts: dict[str, Callable[[], Any]] = {
        "device": lambda: describe(target),
        # Before the first session of the profiler: its callbacks stay in a process.
        "launching": lambda: launching(target),
        "l2_copy": lambda: l2_copy(target),
        "queue_depth": lambda: queue_depths(device),
        "sensors": lambda: sensors(device),
        "recorded": lambda: recorded(target),
    }
    found: dict[str, Any] = {name: [] if name == "recorded" else {} for name in parts}
    reasons: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name, part in parts.items():
        announce(name)
        begun = time.perf_counter()
        try:
            found[name] = part()
        # What one part meets is what the others need to be known without.
        except Exception as error:  # noqa: BLE001
            reasons[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        seconds[name] = time.perf_counter() - begun
    return Rehearsal(**found, reasons=reasons, seconds=seconds)


def describe(device: torch.device) -> dict[str, Any]:
    """Return the environment as a run stores it."""
    from harness.machine import environment

    described = environment.describe(str(device))
    return {"stable": described.stable, "volatile": described.volatile, "reasons": described.reasons}


def launching(device: torch.device, *, sessions: Sequence[int] = SESSIONS) -> dict[str, dict[str, float]]:
    """Return device, host and call seconds of a short product, by how often this process has profiled before."""
    import torch

    from harness.instruments import kernels, timing

    left, right = (torch.ones(64, 64, device=device) for _ in range(2))
    out = torch.empty_like(left)

    def call() -> None:
        torch.mm(left, right, out=out)

    found, made = {}, 0
    for wanted in sessions:
        for _ in range(wanted - made):
            kernels.profile(call, device=device, synchronize=timing.clock_for(device, cold=False).synchronize)
        made = wanted
        found[str(wanted)] = launch_seconds(call, timing.EventClock(device, launches=1))
    return found


def launch_seconds(call: Callable[[], object], clock: Any) -> dict[str, float]:
    """Return device, host and call seconds of a call by a clock."""
    clock.block(call, 10)
    block = clock.block(call, CALLS)
    waited = clock.steady(call, CALLS)
    return {"device": block.seconds, "host": block.host, "call": waited, "queued": float(block.queued)}


def queue_depths(device: str) -> dict[str, int | None]:
    """Return how many launches fit a stream's queue, by the setting that scales it; each in a new process."""
    found: dict[str, int | None] = {}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    bare = {name: value for name, value in os.environ.items() if name != QUEUES} | {"PYTHONPATH": path}
    for setting in ("", "4x"):
        done = subprocess.run(
            [sys.executable, "-m", "harness.doctor.rehearsal", device],
            env=bare | ({QUEUES: setting} if setting else {}),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        depth = done.stdout.split()[-1]
        found[setting or "unset"] = None if depth == "None" else int(depth)
    return found


def queue_depth(driver: Driver, device: Any, launch: Callable[[], object]) -> int | None:
    """Launch behind a sleep until a launch waits, and return how many went before; None if none waited."""
    driver.synchronize(device)
    for _ in range(100):
        launch()
    driver.synchronize(device)
    driver.sleep(SLEEP_SECONDS, device)
    usual = 0.0
    for number in range(LAUNCHES_AT_MOST):
        before = driver.clock_ns()
        launch()
        took = float(driver.clock_ns() - before)
        if number >= CALLS_BEFORE and took > WAITED * usual:
            driver.synchronize(device)
            return number
        if number < CALLS_BEFORE:
            usual = max(usual, took)
    driver.synchronize(device)
    return None


def l2_copy(device: torch.device) -> dict[str, float]:
    """Return bytes per second of a copy within L2: queued ahead, and as calls in a row."""
    import torch

    from harness.instruments import cuda, timing

    size = int(cuda.DRIVER.properties(device).L2_cache_size) // 4
    source, target = (torch.ones(size // 4, device=device) for _ in range(2))

    def call() -> None:
        torch.add(source, 1.0, out=target)

    clock = timing.EventClock(device, launches=1)
    found = launch_seconds(call, clock)
    return {"queued": 2 * size / found["device"], "in_a_row": 2 * size / found["call"]}


def sensors(device: str) -> dict[str, Any]:
    """Return each reading of NVML once, the driver's count for this process, and how long clocks were held back."""
    from harness.instruments.telemetry import sensors as telemetry

    found: dict[str, Any] = {}
    with telemetry.probe(device) as available:
        wanted: dict[str, Callable[[], Any] | None] = {
            **available.readings,
            "energy_j": available.energy,
            "throttle": available.throttle,
            "held_back": available.held_back,
            "process_bytes": available.process_bytes,
            "others": available.others,
        }
        for name, reading in wanted.items():
            try:
                found[name] = reading() if reading else available.reasons.get(name, "absent")
            except telemetry.ReadingError as error:
                found[name] = f"refused: {error}"
        found["reasons"] = available.reasons
    return found


def recorded(device: torch.device) -> list[Recorded]:
    """Profile a call of every implementation that takes so few launches, and name what ran."""
    from impls import discovery

    entries = discovery.discover().entries.values()
    return [
        _recorded(entry, point, dtype, direction, device)
        for problem, point, direction in CALLED
        for entry in entries
        if entry.problem == problem and not entry.call_seconds_per_row and (limits := entry.limits_on(device.type))
        if direction == "forward" or "backward" in limits.supports
        for dtype in DTYPES
        if dtype in limits.dtypes
    ]


def _recorded(
    entry: Implementation, point: dict[str, int], dtype: str, direction: str, device: torch.device
) -> Recorded:
    """Profile a call; whatever an implementation raises is the row's reason."""
    import torch

    from harness.instruments import directions, kernels, timing
    from impls import registry
    from impls.subject import Subject

    problem = registry.problem(entry.problem)
    known: dict[str, Any] = {"problem": entry.problem, "implementation": entry.name, "dtype": dtype, "n": point["n"]}
    try:
        subject = Subject(problem, entry, problem.parse(point), getattr(torch, dtype), device, direction)
        with directions.measured_call(subject, subject.inputs(seed=0)) as measured:
            measured.call()
            ran = kernels.profile(
                measured.call,
                device=device,
                synchronize=timing.clock_for(device, cold=False).synchronize,
                calls=kernels.CALLS_CUDA,
            ).ran
    except Exception as error:  # noqa: BLE001
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return Recorded(**known, direction=direction, reason=reason)
    limits = entry.limits_on(device.type)
    return Recorded(
        **known,
        direction=direction,
        operators=list(ran.operators),
        kernels=list(ran.kernels),
        launches=ran.launches,
        kernel_seconds=ran.kernel_seconds,
        fallback=kernels.is_fallback(ran, limits.expects) if limits else "",
        reason="; ".join(ran.reasons.values()),
    )


def main() -> None:
    """Print the depth of the launch queue of the device given as argument."""
    import torch

    from harness.instruments import cuda

    device = torch.device(sys.argv[1])
    torch.cuda.set_device(device)
    one = torch.ones(1, device=device)
    print(queue_depth(cuda.DRIVER, device, lambda: one.add_(1.0)))  # noqa: T201


if __name__ == "__main__":
    main()
