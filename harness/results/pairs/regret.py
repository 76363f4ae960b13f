"""What a dispatcher's choice costs: `sdpa-auto` against the best of the backends that it chooses among."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.pairs.paired import paired

if TYPE_CHECKING:
    from harness.records import Case
    from harness.results.run import Run

DISPATCHED = "sdpa-auto"
# What it chooses among, pinned.
BACKENDS = ("sdpa-math", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn")


@dataclass(frozen=True)
class Regret:
    """How many times as fast as the choice the best backend is, with a 95 % interval; below 1 the choice is faster.

    `picked` is the backend that the call's operators or kernels betray, None if none does. `is_told` where the best is
    faster than the choice by more than their rounds scatter.
    """

    case: Case
    picked: str | None
    best: str
    factor: float
    low: float
    high: float
    is_told: bool


def regrets(run: Run) -> list[Regret]:
    """Compare the dispatched call of each point with the best pinned backend there, the largest loss first.

    Points without a pinned backend that has two rounds in common with it are left out.
    """
    chosen = {record.case.point_key: record for record in run.records if record.case.implementation == DISPATCHED}
    if not chosen:
        return []
    pairs = paired(run, baseline=DISPATCHED)
    pinned = [record for record in run.records if record.case.implementation in BACKENDS and record.case.id in pairs]
    best = {}
    for record in sorted(pinned, key=lambda record: pairs[record.case.id].speed_up):
        best[record.case.point_key] = record
    found = []
    for point, record in best.items():
        pair, ours = pairs[record.case.id], chosen[point]
        found.append(
            Regret(
                case=ours.case,
                picked=ours.ran.backend if ours.ran else None,
                best=record.case.implementation,
                factor=pair.speed_up,
                low=pair.low,
                high=pair.high,
                is_told=pair.outcome == "faster",
            )
        )
    return sorted(found, key=lambda one: -one.factor)
