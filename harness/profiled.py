"""What is known of one profiled case: what its call spends where, what it holds, and what bounds it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.records import SCHEMA, Agreement, Case, Ceiling, DataModel

# `outside` is the time of a call in no operator (CPU) or kernel (CUDA): Python, dispatch, launches, waiting.
PartKind = Literal["operator", "kernel", "copy", "outside"]
# What a call can be bound by; `neither` where it reaches little of each ceiling and launches take little.
BoundBy = Literal["arithmetic", "bandwidth", "launches", "neither"]


class Part(DataModel):
    """What one call spends in an operator or kernel itself, without those that it calls: `count` times, in seconds."""

    name: str
    kind: PartKind
    count: int
    seconds: float
    # Of the profiled call; those of all parts add up to 1.
    share: float


class Held(DataModel):
    """Bytes that the allocations of a call hold, so many seconds after it began."""

    seconds: float
    bytes: int


class CaseProfile(DataModel):
    """One call of a case under PyTorch's profiler, beside what it takes without.

    `call_seconds` is the median without the profiler, `profiled_seconds` the call whose parts are told, the median of
    `calls`. `held` follows its allocations, `allocated_bytes` adds them up. `launches` counts kernels, on CUDA.
    """

    case: Case
    agreement: Agreement
    operations: int
    ideal_bytes: int
    call_seconds: float
    profiled_seconds: float
    calls: int
    parts: list[Part]
    held: list[Held] = Field(default_factory=list)
    allocated_bytes: int = 0
    launches: int | None = None

    @property
    def peak_bytes(self) -> int:
        """Return the most bytes that the call's allocations held at once."""
        return max((point.bytes for point in self.held), default=0)


class Bound(DataModel):
    """The least seconds that each ceiling allows a call, None if it was not measured, and what is nearest.

    `moved_bytes` are the ideal bytes, and each allocation written and read once. `launching_seconds` are in no operator
    or kernel, or in operators that are over as soon as they are reached.
    """

    by: BoundBy
    arithmetic_seconds: float | None
    moving_seconds: float | None
    launching_seconds: float
    moved_bytes: int


class Counter(DataModel):
    """What Nsight Compute counted of one call, under its own name and in its own unit; `kernel` if it names one."""

    name: str
    value: float
    unit: str = ""
    kernel: str = ""


class ProfileDocument(DataModel):
    """All that `attnbench profile` found, as its file holds it. `commands` can be pasted into a shell.

    `counters` are there where they were asked for and could be read; `counters_reason` says why not.
    """

    schema_: str = Field(default=SCHEMA, alias="schema")
    profile: CaseProfile
    bound: Bound
    ceilings: list[Ceiling]
    commands: list[str]
    counters: list[Counter] = Field(default_factory=list)
    counters_reason: str = ""
    files: list[str] = Field(default_factory=list)
