"""What a program's attention costs in all: times of its calls by their weights, and what another backend would save."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.pairs.paired import paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.records import Record
    from harness.results.pairs.paired import Pair
    from harness.results.run import Run
    from scenarios.scenario import Scenario

# Whoever is the quickest at each call by itself.
FASTEST = "the fastest at each call"


@dataclass(frozen=True)
class Total:
    """The time of all calls of a program that an implementation was timed at: so many of the `calls` of the program.

    `low` and `high` add up the ends of their 95 % intervals, which holds at least as often; None if one has none.
    `saved` is the time less than the baseline's over the calls that both were timed at, a share of the baseline's time
    there, with `saved_low` and `saved_high` of the paired intervals; None if there is nothing to hold it against.
    """

    scenario: str
    implementation: str
    timed: int
    calls: int
    seconds: float
    low: float | None
    high: float | None
    saved: float | None
    saved_low: float | None
    saved_high: float | None


def totals(run: Run, *, baseline: str) -> list[Total]:
    """Add up each implementation's times over the calls of each scenario that has some.

    Those of the most calls come first, of these the quickest; at the end of a scenario is what the fastest at each call
    would take, where there is a choice.
    """
    scenarios = [scenario for scenario in (run.plan.scenarios if run.plan else ()) if scenario.calls]
    pairs = paired(run, baseline=baseline) if scenarios else {}
    found = []
    for scenario in scenarios:
        mine = [record for record in run.records if scenario.name in (record.case.scenario, *record.case.also)]
        timed = [record for record in mine if record.status == "ok" and record.time is not None]
        base = {record.case.point_key: record for record in timed if record.case.implementation == baseline}
        names = dict.fromkeys(record.case.implementation for record in timed)
        of_name = {name: [record for record in timed if record.case.implementation == name] for name in names}
        one = [_total(name, records, scenario, base=base, pairs=pairs) for name, records in of_name.items()]
        found += sorted(one, key=lambda total: (-total.timed, total.seconds))
        if len(names) > 1:
            found.append(_total(FASTEST, _fastest(timed), scenario, base=base, pairs=pairs))
    return found


def _fastest(timed: Iterable[Record]) -> list[Record]:
    """Return the quickest record of each point."""
    best: dict[str, Record] = {}
    for record in timed:
        known = best.setdefault(record.case.point_key, record)
        if _seconds(record) < _seconds(known):
            best[record.case.point_key] = record
    return list(best.values())


def _seconds(record: Record) -> float:
    return math.inf if record.time is None else record.time.seconds


def _total(
    name: str, records: Sequence[Record], scenario: Scenario, *, base: Mapping[str, Record], pairs: Mapping[str, Pair]
) -> Total:
    weights = [_weight(record, scenario) for record in records]
    intervals = [record.time.interval if record.time else None for record in records]
    known = [interval for interval in intervals if interval is not None]
    is_whole = len(known) == len(records)
    shares = [
        (weight, *share)
        for record, weight in zip(records, weights, strict=True)
        if (share := _share(record, base, pairs))
    ]
    whole = sum(weight * seconds for weight, seconds, *_ in shares)

    def saved(place: int) -> float | None:
        return sum(share[0] * share[1] * share[place] for share in shares) / whole if whole else None

    return Total(
        scenario=scenario.name,
        implementation=name,
        timed=sum(weights),
        calls=sum(call.weight for call in scenario.calls),
        seconds=sum(weight * _seconds(record) for record, weight in zip(records, weights, strict=True)),
        low=sum(weight * low for weight, (low, _) in zip(weights, known, strict=True)) if is_whole else None,
        high=sum(weight * high for weight, (_, high) in zip(weights, known, strict=True)) if is_whole else None,
        saved=saved(2),
        saved_low=saved(3),
        saved_high=saved(4),
    )


def _weight(record: Record, scenario: Scenario) -> int:
    return scenario.weight(record.case.point, dtype=record.case.dtype, direction=record.case.direction)


def _share(
    record: Record, base: Mapping[str, Record], pairs: Mapping[str, Pair]
) -> tuple[float, float, float, float] | None:
    """Return the baseline's time at a record's point, and what share of it is saved there, with its interval."""
    other = base.get(record.case.point_key)
    if other is None:
        return None
    if other is record:
        return _seconds(other), 0.0, 0.0, 0.0
    pair = pairs.get(record.case.id)
    if pair is None:
        return None
    return _seconds(other), 1 - 1 / pair.speed_up, 1 - 1 / pair.low, 1 - 1 / pair.high
