"""What verdicts rest on: groups of records, series of sizes, counts along an axis, and judgements of one quantity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from harness.results.reasons import NotCounted, OnlyDeclared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import AxisCounts, Degrees, Record
    from harness.results.reasons import Advice, PartReason
    from harness.scaling.law import Law

Quantity = Literal["operations", "memory", "time"]
VerdictName = Literal["confirmed", "refuted", "inconclusive", "consistent", "contradicted"]
SIZES_AT_LEAST = 3
# Axes that others follow in a scenario: {"n": {"batch": "16384 / n"}}.
Ties = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Group:
    """Hold what a claim is judged for: an implementation's records of one dtype, device and direction.

    `wrong` are those whose answers were wrong.
    """

    problem: str
    implementation: str
    dtype: str
    device: str
    direction: str
    records: list[Record]
    degrees: Degrees | None
    wrong: Sequence[Record] = ()


# What a verdict rests on, as the JSON object that the file of verdicts keeps.
Evidence = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Hold the judgement of a claim by one quantity along one axis.

    `law` is the law that was fitted to the times of `cases`; None if there is none.
    """

    quantity: Quantity
    axis: str
    verdict: VerdictName
    reason: PartReason
    expected: float | None = None
    exponent: float | None = None
    low: float | None = None
    high: float | None = None
    to_decide: Advice | None = None
    law: Law | None = None
    cases: list[str] = field(default_factory=list)
    evidence: Evidence = field(default_factory=dict)


def series_along(records: Sequence[Record], *, axis: str, start: int = 0) -> list[tuple[int, Record]]:
    """Return the longest run of sizes along an axis with everything else the same, ordered by size.

    Along n, rectangles of one form are the same.
    """
    found: dict[str, dict[int, Record]] = {}
    for record in records:
        size = record.case.point.get(axis)
        if isinstance(size, bool) or not isinstance(size, int) or size < start:
            continue
        if axis == "n_k" and record.case.point.get("n_q") != 1:
            continue
        for rest in _besides(record, axis=axis):
            found.setdefault(rest, {})[size] = record
    if not found:
        return []
    longest = max(found, key=lambda key: (len(found[key]), "causal" not in key, key))
    return sorted(found[longest].items())


def tied_sizes(records: Sequence[Record], *, axis: str, followers: Mapping[str, str]) -> int:
    """Return at how many sizes of an axis there are records that differ in it and in what follows it alone."""
    found: dict[str, set[Any]] = {}
    for record in records:
        rest = {name: value for name, value in record.case.point.items() if name != axis and name not in followers}
        found.setdefault(repr(sorted(rest.items())), set()).add(record.case.point.get(axis))
    return max(map(len, found.values()), default=0)


def _besides(record: Record, *, axis: str) -> list[str]:
    """Say what a point is beside its size along an axis: with its other sizes, and along n with its form."""
    point: dict[str, Any] = dict(record.case.point)
    size = point.pop(axis)
    said = [repr(sorted(point.items()))]
    sides = [name for name in ("n_q", "n_k") if isinstance(point.get(name), int)] if axis == "n" and size else []
    if sides:
        form = {name: f"{Fraction(point[name], size)} n" for name in sides}
        said.append(repr(sorted({**point, **form}.items())))
    return said


def wrong_sizes(group: Group, *, axis: str) -> tuple[list[int], int]:
    """Return the sizes along an axis at which a sweep's answers were wrong, and how many of its sizes are right."""
    sweeps: dict[str, dict[bool, set[int]]] = {}
    for is_wrong, records in ((False, group.records), (True, group.wrong)):
        for record in records:
            size = record.case.point.get(axis)
            if isinstance(size, int) and not isinstance(size, bool):
                for rest in _besides(record, axis=axis):
                    sweeps.setdefault(rest, {False: set(), True: set()})[is_wrong].add(size)
    spoilt = [sizes for sizes in sweeps.values() if sizes[True] and len(sizes[True] | sizes[False]) > 1]
    worst = max(spoilt, key=lambda sizes: len(sizes[True]), default=None)
    return ([], 0) if worst is None else (sorted(worst[True]), len(worst[False] - worst[True]))


def times_of(
    series: Sequence[tuple[int, Record]],
) -> tuple[list[int], list[float], list[tuple[float, float] | None]]:
    """Return the sizes of a series, the times in seconds that laws rest on, and their intervals."""
    times = [(n, r.time) for n, r in series if r.time is not None]
    return [n for n, _ in times], [t.for_laws for _, t in times], [t.interval for _, t in times]


def cases_of(series: Sequence[tuple[int, Record]]) -> list[str]:
    """Return the ids of the cases whose times `times_of` gives."""
    return [record.case.id for _, record in series if record.time is not None]


def changes(series: Sequence[tuple[int, Record]]) -> list[int]:
    """Return the sizes from which other operators or kernels ran, or page faults set in."""
    changed, before = [], None
    for size, record in series:
        ran = frozenset(record.ran.shown) if record.ran else frozenset()
        faults = record.time.faults_per_call if record.time else None
        state = (ran, bool(faults and faults > 1.0))
        if before is not None and state != before:
            changed.append(size)
        before = state
    return changed


def counts_along(group: Group, axis: str) -> AxisCounts | NotCounted | OnlyDeclared:
    """Return the counts along an axis, or why there are none."""
    if group.degrees is None:
        return NotCounted()
    if group.degrees.how == "declared":
        return OnlyDeclared(cause=group.degrees.reason)
    return group.degrees.axes.get(axis) or NotCounted(axis=axis)


def identity(record: Record) -> str:
    """Return what a record shares with those of other implementations at its point."""
    case = record.case
    return repr((case.problem, sorted(case.point.items()), case.dtype, case.device, case.direction, case.cache))


def size_of(point: Mapping[str, Any], axis: str) -> int:
    """Return a point's size along an axis, by default the one that problems take."""
    return int(point.get(axis, 64 if axis == "d" else 1))


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, None for an infinity or NaN."""
    return value if math.isfinite(value) else None
