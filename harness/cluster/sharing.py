"""What the time of a sweep holds: which of a plan's cases, in chunks of what length, each with how much time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.fleet import shards
from harness.runner import budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.fleet.shards import Chunk, Weigh
    from harness.results.plan_file import Plan

# Rounds of fewer cases follow each other too closely to see a slow machine (docs/sampling.md).
CASES_AT_LEAST = 20


def weights(plan: Plan, *, devices: int, seconds: float) -> Weigh:
    """Return what each case takes of a sweep in which each of some devices has so many seconds.

    The dearest take nothing where not all fit, since runs leave those out; a chunk of them would leave a device idle.
    """
    known = [budget.estimate(planned, {}) for planned in plan.cases if not planned.skip]

    def taken(one: budget.Estimate) -> float:
        return budget.case_seconds(one, device=plan.device, policy=plan.policy)

    room = devices * (seconds - beside(plan, cases=len(known)))
    out = {one.case.id for one in budget.dearest(known, room=room, seconds=taken)}
    costs = {one.case.id: taken(one) for one in known if one.case.id not in out}
    return lambda planned: costs.get(planned.case.id, 0.0)


def chunks(plan: Plan, *, devices: int, seconds: Weigh) -> list[Chunk]:
    """Cut a plan into chunks of whole curves for so many devices; of a small one each device gets a part."""
    total = sum(map(seconds, plan.cases))
    each = chunk_seconds(total, devices=devices)
    found = shards.chunks(plan.cases, target_seconds=each, least_cases=CASES_AT_LEAST, seconds=seconds)
    if len(found) < devices:
        return shards.chunks(plan.cases, target_seconds=total / devices, least_cases=1, seconds=seconds)
    return found


def chunk_seconds(total: float, *, devices: int) -> float:
    """Return how long chunks should be of work of so many seconds: equal ones come out even on equal devices."""
    wanted = shards.target_seconds(total, devices=devices)
    return total / (devices * max(1, round(total / (devices * wanted))))


def rooms(plan: Plan, chunks: Sequence[Chunk], *, devices: int, seconds: float) -> list[float]:
    """Return how long each chunk may take, in seconds, so that no device takes much longer than it has.

    Where each chunk has a device to itself, it may take all of that. Else each has its start, and of what starts leave
    its part of the work's.
    """
    if len(chunks) <= devices:
        return [seconds] * len(chunks)
    starts = [beside(plan, cases=len(chunk.cases)) for chunk in chunks]
    left = max(0.0, devices * seconds - sum(starts))
    total = sum(chunk.seconds for chunk in chunks)
    return [min(seconds, start + left * chunk.seconds / total) for start, chunk in zip(starts, chunks, strict=True)]


def beside(plan: Plan, *, cases: int) -> float:
    """Return what a run of so many cases of a plan takes beside them, in seconds."""
    return budget.start_seconds(device=plan.device, policy=plan.policy) + budget.report_seconds(cases)
