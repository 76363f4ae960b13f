"""What options are worth: the best of the values that were tried, against the same implementation's default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.pairs.paired import paired

if TYPE_CHECKING:
    from harness.records import Case
    from harness.results.run import Run


@dataclass(frozen=True)
class Tuned:
    """How many times as fast as the default the best of the `tried` variants is at a point, with a 95 % interval.

    `case` is the default's; per call it takes `seconds`, and the best takes `best_seconds`. `is_told` where the best is
    faster than it by more than their rounds scatter.
    """

    case: Case
    best: str
    tried: int
    seconds: float
    best_seconds: float
    factor: float
    low: float
    high: float
    is_told: bool


def tuned(run: Run) -> list[Tuned]:
    """Compare each default with the best of its variants at the same point, the largest gain first.

    Points at which no variant has two rounds in common with the default are left out.
    """
    found = []
    cases = [record.case for record in run.records if record.time is not None]
    seconds = {record.case.id: record.time.seconds for record in run.records if record.time is not None}
    for default in dict.fromkeys(case.default for case in cases if case.default != case.implementation):
        pairs = paired(run, baseline=default)
        variants: dict[str, list[Case]] = {}
        for case in cases:
            if case.default == default and case.id in pairs:
                variants.setdefault(case.point_key, []).append(case)
        its = {case.point_key: case for case in cases if case.implementation == default}
        for point, several in variants.items():
            best = max(several, key=lambda case: pairs[case.id].speed_up)
            pair = pairs[best.id]
            found.append(
                Tuned(
                    case=its[point],
                    best=best.implementation,
                    tried=len(several),
                    seconds=seconds[its[point].id],
                    best_seconds=seconds[best.id],
                    factor=pair.speed_up,
                    low=pair.low,
                    high=pair.high,
                    is_told=pair.outcome == "faster",
                )
            )
    return sorted(found, key=lambda one: -one.factor)
