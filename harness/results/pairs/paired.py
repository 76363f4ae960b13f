"""Who is faster than the baseline, from the rounds in which both took turns: paired ratios over a run's whole grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.results.closing import canary_floor, controlled
from harness.stats.control import replicates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import ComparisonPolicy
    from harness.records import Record
    from harness.results.run import Run

Outcome = Literal["faster", "slower", "same", "undecided"]
# What `compare` says of the baseline against an implementation, said of the implementation.
_TURNED: dict[str, Outcome] = {"slower": "faster", "faster": "slower", "same": "same", "undecided": "undecided"}
# Fewer rounds in common have no scatter to take an interval from.
ROUNDS_AT_LEAST = 2


@dataclass(frozen=True)
class Pair:
    """How many times as fast as the baseline a case is, with a 95 % interval, and whether they differ significantly.

    `rounds` are those that both cases have, over so many `processes`.
    """

    speed_up: float
    low: float
    high: float
    outcome: Outcome
    rounds: int
    processes: int


def paired(run: Run, *, baseline: str) -> dict[str, Pair]:
    """Compare every timed case of a run with the baseline at the same point, by case id; of a merged run in its part.

    Cases without two rounds in common with the baseline are left out. Where any case has its rounds from a single
    process, all are compared so: `harness.stats.comparison` then allows for what differs between processes.
    """
    from harness.stats.comparison import compare

    times = _logs(run)
    at_point = {(record.case.point_key, record.part): record for record in run.records if _is(record, baseline)}
    ratios: dict[str, dict[int, list[float]]] = {}
    for record in run.records:
        base = at_point.get((record.case.point_key, record.part))
        if record.time is None or base is None or record.case.implementation == baseline:
            continue
        mine, theirs = times[record.case.id], times[base.case.id]
        common = sorted(visit for visit in mine if visit in theirs)
        if len(common) < ROUNDS_AT_LEAST:
            continue
        of_process = ratios.setdefault(record.case.id, {})
        has_statistic = bool(record.time.statistic and base.time and base.time.statistic)
        ours, bases = ([of[visit] for visit in common] for of in (mine, theirs))
        for (process, _), ratio in zip(common, _log_ratios(ours, bases, has_statistic=has_statistic), strict=True):
            of_process.setdefault(process, []).append(ratio)
    several = all(len(processes) > 1 for processes in ratios.values())
    found = compare(
        {
            name: list(processes.values()) if several else [[ratio for one in processes.values() for ratio in one]]
            for name, processes in ratios.items()
        },
        policy=policy_of(run),
    )
    return {
        name: Pair(
            speed_up=one.ratio,
            low=one.low,
            high=one.high,
            outcome=_TURNED[one.outcome],
            rounds=sum(map(len, ratios[name].values())),
            processes=len(ratios[name]) if several else 1,
        )
        for name, one in found.items()
    }


def policy_of(run: Run) -> ComparisonPolicy:
    """Return the constants of comparing that a run was made under."""
    from harness.policy import DEFAULT

    return run.plan.policy.comparison if run.plan else DEFAULT.comparison


def _is(record: Record, baseline: str) -> bool:
    return record.time is not None and record.case.implementation == baseline


def _log_ratios(ours: Sequence[float], bases: Sequence[float], *, has_statistic: bool) -> list[float]:
    """Return one log ratio a round, whose mean is that of the times that are shown, or without those the plain mean."""
    if not has_statistic:
        return [base - own for own, base in zip(ours, bases, strict=True)]
    return [float(ratio) for ratio in replicates(bases) - replicates(ours)]


def _logs(run: Run) -> dict[str, dict[tuple[int, int], float]]:
    """Return the log seconds of each round, by case id and (process, index).

    What the canary saw is out where records name a statistic; older ones have the smallest of each round.
    """
    timed = [record for record in run.records if record.time]
    logs = {
        record.case.id: {visit: math.log(least) for visit, least in _minima(run, record).items()} for record in timed
    }
    named = [record for record in timed if record.time and record.time.statistic]
    # Parts of a merged run were measured apart: each has a canary of its own.
    for part in dict.fromkeys(record.part for record in named):
        names = [record.case.id for record in named if record.part == part]
        rounds = {name: run.rounds[name] for name in names if run.rounds.get(name)}
        floor = canary_floor([visit for visits in rounds.values() for visit in visits])
        for name, series in controlled(rounds, floor=floor).cases.items():
            logs[name] = dict(zip(series.moments, map(float, series.logs), strict=True))
    return logs


def _minima(run: Run, record: Record) -> dict[tuple[int, int], float]:
    """Return the smallest sample of each round, by (process, index); a record without its rounds numbers them."""
    visits = run.rounds.get(record.case.id, ())
    if visits:
        samples = {(visit.process, visit.index): visit.samples for visit in visits}
    else:
        timed = record.time.by_round if record.time else []
        samples = {(0, index): samples for index, (samples, _) in enumerate(timed)}
    sound = {
        visit: [value for value in values if math.isfinite(value) and value > 0] for visit, values in samples.items()
    }
    return {visit: min(values) for visit, values in sound.items() if values}
