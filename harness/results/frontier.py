"""How far memory reaches: the largest n whose predicted bytes fit, for each implementation of a sweep along n."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import PlannedCase
    from harness.results.run import Run

# Bytes are at most quadratic in n: three sizes tell them.
SIZES_NEEDED = 3
# A sweep whose memory would end nobody within this many times its largest n asks another question.
NEAR = 4.0


class Quadratic(NamedTuple):
    """The bytes at n: square n^2 + linear n + constant."""

    square: float
    linear: float
    constant: float

    def at(self, n: float) -> float:
        """Return the bytes at a size."""
        return (self.square * n + self.linear) * n + self.constant

    def reach(self, limit: int) -> float:
        """Return the n at which the bytes are the limit; infinity if they never are, 0 if they always exceed it."""
        short, half = limit - self.constant, self.linear / 2
        inside = half * half + self.square * short
        # Below the smallest size that it goes through, a parabola may fall before it rises.
        if inside < 0 or (short <= 0 and half >= 0):
            return 0.0
        if half >= 0:
            divisor = half + math.sqrt(inside)
            return short / divisor if divisor > 0 else math.inf
        return (math.sqrt(inside) - half) / self.square if self.square > 0 else math.inf


@dataclass(frozen=True)
class Frontier:
    """How far one implementation gets along n, all else as in `point`.

    `reach` is the largest n that is predicted to fit into `limit` bytes; `ran` the largest that was timed and `refused`
    the smallest that was left out as `predicted_oom`, None if none was. `sizes` are those planned.
    """

    scenario: str
    implementation: str
    dtype: str
    direction: str
    point: str
    limit: int
    reach: int
    sizes: tuple[int, ...]
    ran: int | None
    refused: int | None


def frontiers(run: Run) -> list[list[Frontier]]:
    """Return how far each implementation gets, the least first, for each sweep along n that memory ends, or nearly."""
    # Reports mark some names, in records as in cases that wait.
    names = {case.id: case.implementation for case in (*(r.case for r in run.records), *(w[0] for w in run.waiting))}
    curves: dict[tuple[str, str, str, str], dict[str, list[PlannedCase]]] = {}
    for planned in run.plan.cases if run.plan else []:
        case, known = planned.case, planned.predicted
        n = case.point.get("n")
        if known is None or known.limit_bytes is None or not isinstance(n, int):
            continue
        rest = ", ".join(f"{name} {value}" for name, value in case.point.items() if name != "n")
        of_sweep = curves.setdefault((case.scenario, case.dtype, case.direction, rest), {})
        of_sweep.setdefault(names.get(case.id, case.implementation), []).append(planned)
    timed = {record.case.id for record in run.records if record.status == "ok"}
    found = []
    for (scenario, dtype, direction, rest), of_sweep in curves.items():
        sweep = [
            _frontier(scenario, name, dtype, direction, rest, curve, timed)
            for name, curve in of_sweep.items()
            if _can_tell(curve)
        ]
        ends = [one.reach for one in sweep]
        if ends and min(ends) < NEAR * max(one.sizes[-1] for one in sweep):
            found.append(sorted(sweep, key=lambda one: (one.reach, one.implementation)))
    return found


def _can_tell(curve: Sequence[PlannedCase]) -> bool:
    """Tell whether a curve has the sizes that say how bytes grow, and whether memory is all that may end it."""
    sizes = {planned.case.point["n"] for planned in curve}
    return len(sizes) >= SIZES_NEEDED and any(planned.skip in {None, "predicted_oom"} for planned in curve)


def _frontier(
    scenario: str,
    implementation: str,
    dtype: str,
    direction: str,
    rest: str,
    curve: Sequence[PlannedCase],
    timed: set[str],
) -> Frontier:
    by_size = {_size(planned): planned for planned in curve}
    sizes = sorted(by_size)
    limit = min(planned.predicted.limit_bytes or 0 for planned in curve if planned.predicted)
    ran = [n for n in sizes if by_size[n].case.id in timed]
    refused = [n for n in sizes if by_size[n].skip == "predicted_oom"]
    reach = bytes_along([(n, _needs(by_size[n])) for n in sizes], limit).reach(limit)
    return Frontier(
        scenario=scenario,
        implementation=implementation,
        dtype=dtype,
        direction=direction,
        point=rest,
        limit=limit,
        reach=int(min(reach, 2.0**63)),
        sizes=tuple(sizes),
        ran=max(ran, default=None),
        refused=min(refused, default=None),
    )


def bytes_along(needs: Sequence[tuple[int, int]], limit: int) -> Quadratic:
    """Return how bytes grow about a limit: a quadratic through three of the sizes, which are given in order.

    They are the two that the limit lies between with the next larger one, where there is, else the last three. Where
    bytes grow ever less, as a block's do that has become as long as it gets, it is a line through the two at the limit.
    """
    above = next((place for place, (_, known) in enumerate(needs) if known > limit), len(needs))
    first = min(max(above - 1, 0), len(needs) - SIZES_NEEDED)
    (a, at_a), (b, at_b), (c, at_c) = needs[first : first + SIZES_NEEDED]
    before, after = (at_b - at_a) / (b - a), (at_c - at_b) / (c - b)
    # What is rounded to whole bytes leaves a square that is none.
    square = max(0.0, (after - before) / (c - a))
    line = before if above <= first + 1 else after
    linear = before - square * (a + b) if square else line
    return Quadratic(square, linear, at_b - (square * b + linear) * b)


def _needs(planned: PlannedCase) -> int:
    assert planned.predicted is not None
    return planned.predicted.extra_bytes + planned.predicted.resident_bytes


def _size(planned: PlannedCase) -> int:
    n = planned.case.point["n"]
    assert isinstance(n, int)
    return n
