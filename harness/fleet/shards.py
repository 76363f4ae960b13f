"""Shards: a plan cut into parts of whole curves that take about as long as each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.plan_file import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.records import Case, PlannedCase

    Weigh = Callable[[PlannedCase], float]

# A call of the bridge takes no longer than this many predicted seconds where there is such a case: long enough that the
# device sets its time and not the host that launches it, short enough to cost a part little.
BRIDGE_SECONDS = 5e-3
# A run's start, ceilings and close take some ten seconds, which are to be a small share of a chunk; what is lost with a
# device is no more than one.
CHUNK_SECONDS_AT_LEAST, CHUNK_SECONDS_AT_MOST = 120.0, 600.0
CHUNKS_A_DEVICE = 20


@dataclass(frozen=True)
class Chunk:
    """Whole curves that one device measures in one run, in the order of the plan, and their predicted seconds."""

    cases: tuple[PlannedCase, ...]
    seconds: float


def shards(cases: Sequence[PlannedCase], *, count: int, seconds: Weigh) -> list[Chunk]:
    """Cut a plan into `count` chunks of whole curves; some are empty if there are fewer curves.

    The longest curve goes first, each to the chunk that has least. `seconds` is what one case takes; the cut depends on
    nothing but the cases, their order and these. Curves that take no time, as nothing of them runs, go with the first.
    """
    position = {planned.case.id: at for at, planned in enumerate(cases)}
    weighed = [(sum(map(seconds, curve)), curve) for curve in curves(cases)]
    held: list[list[PlannedCase]] = [[] for _ in range(count)]
    loads = [0.0] * count
    # The sort is stable: of two curves that take as long the first of the plan goes first.
    for load, curve in sorted(weighed, key=lambda one: -one[0]):
        at = loads.index(min(loads)) if load > 0.0 else 0
        held[at] += curve
        loads[at] += load
    return [
        Chunk(tuple(sorted(found, key=lambda planned: position[planned.case.id])), load)
        for found, load in zip(held, loads, strict=True)
    ]


def target_seconds(total: float, *, devices: int) -> float:
    """Return how long a chunk should be of work that takes so many seconds in all, so that devices end together.

    Many chunks a device even out what predictions miss; each costs the start of a run.
    """
    return min(max(total / (CHUNKS_A_DEVICE * devices), CHUNK_SECONDS_AT_LEAST), CHUNK_SECONDS_AT_MOST)


def chunks(cases: Sequence[PlannedCase], *, target_seconds: float, least_cases: int, seconds: Weigh) -> list[Chunk]:
    """Cut a plan into chunks of about `target_seconds`, none with fewer than `least_cases`; the longest come first.

    A curve is never cut, so that one which takes longer makes a longer chunk; a plan of fewer cases makes one.
    """
    total = sum(map(seconds, cases))
    count = max(1, min(round(total / target_seconds), len(cases) // least_cases, len(curves(cases))))
    found = shards(cases, count=count, seconds=seconds)
    while count > 1 and min(len(chunk.cases) for chunk in found) < least_cases:
        count -= 1
        found = shards(cases, count=count, seconds=seconds)
    return sorted((chunk for chunk in found if chunk.cases), key=lambda chunk: -chunk.seconds)


def curves(cases: Sequence[PlannedCase]) -> list[list[PlannedCase]]:
    """Group cases by curve: all points and implementations of a scenario x dtype x direction x cache, device kind too.

    Curves of scenarios that share a case are one, since a case is measured once.
    """
    joined: dict[tuple[str, ...], tuple[str, ...]] = {}

    def root(key: tuple[str, ...]) -> tuple[str, ...]:
        while joined.setdefault(key, key) != key:
            key = joined[key]
        return key

    for planned in cases:
        first, *others = (_key(planned.case, name) for name in (planned.case.scenario, *planned.case.also))
        for other in others:
            joined[root(other)] = root(first)
    found: dict[tuple[str, ...], list[PlannedCase]] = {}
    for planned in cases:
        found.setdefault(root(_key(planned.case, planned.case.scenario)), []).append(planned)
    return list(found.values())


def _key(case: Case, scenario: str) -> tuple[str, ...]:
    return scenario, case.dtype, case.direction, case.cache, case.device.partition(":")[0]


def bridge_of(cases: Sequence[PlannedCase], *, baseline: str, call_seconds: Weigh) -> PlannedCase | None:
    """Choose the case that every part of a plan measures, by which devices of a class are held against each other.

    It is the baseline's dearest whose call takes at most `BRIDGE_SECONDS`, else its cheapest; None if it has none
    that runs. `call_seconds` is what one call of a case takes, 0 if it can't run.
    """
    own = [planned for planned in cases if planned.case.implementation == baseline and call_seconds(planned) > 0.0]
    short = [planned for planned in own if call_seconds(planned) <= BRIDGE_SECONDS]
    if short:
        return max(short, key=call_seconds)
    return min(own, key=call_seconds, default=None)


def with_bridge(
    cases: Sequence[PlannedCase], chunk: Chunk, *, name: str, bridge: PlannedCase | None
) -> tuple[list[PlannedCase], Part]:
    """Return what the part of a plan measures that has this chunk: its cases, and the bridge; and the part's facts."""
    own = [planned.case.id for planned in chunk.cases]
    is_guest = bridge is not None and bridge.case.id not in own
    part = Part(
        name=name,
        whole={planned.case.id: planned.case.label for planned in cases},
        bridge=bridge.case.id if bridge else "",
        is_guest=is_guest,
    )
    return [*chunk.cases, *([bridge] if bridge and is_guest else [])], part
