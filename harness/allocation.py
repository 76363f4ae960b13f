"""What fresh memory costs a call on a CPU: the same case where the C library gives large blocks back, and keeps them.

glibc maps blocks above a threshold (32 MiB at most) anew at each request and unmaps them when freed, so that a call
with a large score matrix touches each of its pages for the first time: a page fault every 4 KiB. Told to keep its
memory, it hands the same pages out again (mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD).
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
    """Return why the two can't be compared here, empty where they can."""
    if device != "cpu":
        return "a device's allocator keeps a pool"
    if platform.libc_ver()[0] != "glibc":
        return "the C library is not glibc"
    changed = [name for name in variables if name.startswith("MALLOC_") or name in {"GLIBC_TUNABLES", "LD_PRELOAD"}]
    return f"{', '.join(changed)} changed the allocator of this run" if changed else ""


def choose(
    cases: Iterable[PlannedCase],
    *,
    prepared: Mapping[str, Preparation],
    rounds: Mapping[str, Sequence[Round]],
    policy: AllocationPolicy,
) -> list[PlannedCase]:
    """Choose for each implementation its largest forward case that faults in much of its memory at each call.

    `faults_per_call` of the rounds says so; calls longer than the policy's are left out, since each is made often.
    """
    largest: dict[tuple[str, str], PlannedCase] = {}
    for planned in cases:
        case = planned.case
        known = prepared.get(case.id)
        if known is None or case.direction != "forward" or known.call_seconds > policy.call_seconds_at_most:
            continue
        peak = known.memory.peak or 0
        if peak and faults(rounds.get(case.id, [])) * PAGE_BYTES >= policy.fresh_share_at_least * peak:
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
