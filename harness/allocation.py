"""What fresh memory costs a call on a CPU: the same case where the C library keeps its memory, and gives it back.

glibc maps blocks above a threshold (32 MiB at most) anew at each request and unmaps them when freed, unless a hole
in its heap is large enough: whether a call with a large score matrix touches its pages for the first time, a fault
every 4 KiB, depends on what else the process did before. Told to keep its memory it hands the same pages out again
(mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD), which treats all implementations alike.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
from typing import TYPE_CHECKING

from harness.records import Allocation
from harness.statistics import round_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.policy import AllocationPolicy
    from harness.records import PlannedCase, Preparation, Round

# Set before a process starts: no block is mapped by itself, and no freed memory goes back.
KEEPING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62), "MALLOC_TOP_PAD_": str(2**20)}
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def why_not(device: str, variables: Mapping[str, str]) -> str:
    """Return why a worker can't be told to keep its memory, empty where it can; `variables` are the environment's."""
    if device != "cpu":
        return "a device's allocator keeps a pool"
    if platform.libc_ver()[0] != "glibc":
        return "the C library is not glibc"
    changed = [name for name in variables if name.startswith("MALLOC_") or name in {"GLIBC_TUNABLES", "LD_PRELOAD"}]
    return f"{', '.join(changed)} chose the allocator already" if changed else ""


def choose(
    cases: Iterable[PlannedCase], *, prepared: Mapping[str, Preparation], policy: AllocationPolicy
) -> list[PlannedCase]:
    """Choose for each implementation its forward case with most memory, where that is more than glibc ever keeps.

    Calls longer than the policy's are left out, since each is made often.
    """
    largest: dict[tuple[str, str], PlannedCase] = {}
    for planned in cases:
        case = planned.case
        known = prepared.get(case.id)
        if known is None or case.direction != "forward" or known.call_seconds > policy.call_seconds_at_most:
            continue
        peak = known.memory.peak or 0
        if peak > policy.peak_bytes_over:
            key = (case.problem, case.implementation)
            best = largest.get(key)
            if best is None or peak > (prepared[best.case.id].memory.peak or 0):
                largest[key] = planned
    return list(largest.values())


def conclude(returned: Sequence[Round], kept: Sequence[Round], *, confidence: float) -> Allocation:
    """Compare the rounds of a case under both ways, visited in turn: round i of the one beside round i of the other."""
    pairs = list(zip(returned, kept, strict=True))
    interval = round_interval(
        [[_middle(first) / _middle(second)] for first, second in pairs],
        confidence=confidence,
    )
    medians = [statistics.median(sample for visit in visits for sample in visit.samples) for visits in (returned, kept)]
    return Allocation(
        returned=medians[0],
        kept=medians[1],
        ratio=math.exp(interval[0]) if interval else medians[0] / medians[1],
        low=math.exp(interval[0] - interval[1]) if interval else None,
        high=math.exp(interval[0] + interval[1]) if interval else None,
        faults_returned=faults(returned),
        faults_kept=faults(kept),
        rounds=len(pairs),
    )


def faults(rounds: Sequence[Round]) -> float:
    """Return the mean page faults a call over rounds, 0 where none were counted."""
    known = [visit.faults_per_call for visit in rounds if visit.faults_per_call is not None]
    return statistics.fmean(known) if known else 0.0


def _middle(visit: Round) -> float:
    return statistics.median(visit.samples)
