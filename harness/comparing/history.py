"""Many runs in order of time: the trend of each case, where it changed for good, what is missing today."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, JsonValue

from harness.comparing.machines import SOFTWARE
from harness.comparing.times import Side, within
from harness.records import SCHEMA, Case, DataModel, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.comparing.snapshot import Figures, Snapshot
    from harness.policy import ComparisonPolicy

# A level that one run alone shows is that run's day.
RUNS_AT_LEAST = 2
# A change that began earlier has been seen before.
RECENT_RUNS = 3
# Over the logarithms of runs and cases, what a change must explain (chi-squared, in squared standard errors): with it
# 200 cases of 40 runs without a change have none in more than 19 of 20 simulated histories.
PENALTY = 6.0
# In standard errors, how far a single run lies from both its neighbours to be taken for one bad day.
FAR = 3.0
# Median of the absolute difference of two normal deviates of deviation 1.
DIFFERENCE = 0.6745 * math.sqrt(2)


class Moment(DataModel):
    """One run of a history: its name, when it was, the commit of attnbench, and the software that it had."""

    name: str
    created: str = ""
    commit: str = ""
    software: dict[str, JsonValue] = Field(default_factory=dict)


class Change(DataModel):
    """Where a case changed for good: the first run of the new level, new over old with its 95 % interval."""

    run: int
    factor: float
    low: float
    high: float
    has_new_source: bool = False


class Trend(DataModel):
    """One case over the runs of a machine: seconds and their intervals, None if a run has none; its changes.

    `over_base` are ratios to another implementation at the same point. `missing` says why the newest run has no time.
    """

    case: Case
    seconds: list[float | None]
    low: list[float | None]
    high: list[float | None]
    over_base: list[float | None] = Field(default_factory=list)
    changes: list[Change] = Field(default_factory=list)
    missing: str = ""


class Machine(DataModel):
    """The runs of one machine in order of time. `scatter` is by how much runs scatter beyond what intervals allow."""

    name: str
    stable: dict[str, JsonValue]
    runs: list[Moment]
    trends: list[Trend]
    scatter: float = 1.0


class History(DataModel):
    """Runs by machine."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    base: str = ""
    effect_at_least: float
    machines: list[Machine]

    model_config = Record.model_config


def history(snapshots: Sequence[Snapshot], *, policy: ComparisonPolicy, base: str = "") -> History:
    """Set runs in order, machines apart, and find where each case changed. `base` names what ratios are taken over."""
    found: dict[str, list[Snapshot]] = {}
    for one in snapshots:
        found.setdefault(_machine_key(one), []).append(one)
    return History(
        base=base,
        effect_at_least=policy.effect_at_least,
        machines=[_machine(sorted(of, key=lambda one: one.created), policy=policy, base=base) for of in found.values()],
    )


def recent(found: History, *, share: float) -> list[tuple[Machine, Trend, Change]]:
    """Return the changes to slower by at least a share that began in one of the last few runs."""
    return [
        (machine, trend, change)
        for machine in found.machines
        for trend in machine.trends
        for change in trend.changes
        if change.run >= len(machine.runs) - RECENT_RUNS and change.factor >= 1.0 + share
    ]


def _machine_key(one: Snapshot) -> str:
    facts = {name: value for name, value in one.stable.items() if name not in SOFTWARE}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _machine(runs: Sequence[Snapshot], *, policy: ComparisonPolicy, base: str) -> Machine:
    newest = runs[-1]
    cases: dict[str, Case] = {one.case.id: one.case for run in runs for one in run.cases}
    by_run = [{one.case.id: one for one in run.cases} for run in runs]
    figures = {name: [of.get(name) for of in by_run] for name in cases}
    logs = {name: _logs(of) for name, of in figures.items()}
    errors = _errors(figures, runs, policy=policy)
    scatter = _scatter(list(logs.values()), list(errors.values()))
    penalty = PENALTY + 2 * math.log(max(len(runs), 2)) + 2 * math.log(max(len(cases), 1))
    bases = {case.point_key: name for name, case in cases.items() if case.implementation == base}
    stable = {name: value for name, value in newest.stable.items() if name not in SOFTWARE}
    trends = []
    for name, case in cases.items():
        of = figures[name]
        trends.append(
            Trend(
                case=case,
                seconds=[one.seconds if one else None for one in of],
                low=[one.low if one else None for one in of],
                high=[one.high if one else None for one in of],
                over_base=_over(logs[name], logs.get(bases.get(case.point_key, ""))),
                changes=_changes(logs[name], errors[name] * scatter, of, penalty=penalty, policy=policy),
                missing=_missing(of[-1]),
            )
        )
    return Machine(
        name=str(next((stable[fact] for fact in ("gpu", "cpu") if stable.get(fact)), newest.device or "unknown")),
        stable=stable,
        runs=[
            Moment(
                name=run.name,
                created=run.created,
                commit=run.commit,
                software={name: value for name, value in run.stable.items() if name in SOFTWARE},
            )
            for run in runs
        ],
        trends=trends,
        scatter=scatter,
    )


def _logs(of: Iterable[Figures | None]) -> NDArray[np.float64]:
    return np.array([math.log(one.seconds) if one and one.seconds else math.nan for one in of])


def _errors(
    figures: Mapping[str, Sequence[Figures | None]], runs: Sequence[Snapshot], *, policy: ComparisonPolicy
) -> dict[str, NDArray[np.float64]]:
    """Return the standard deviation of each log time, by case: over rounds, and between processes; NaN without one."""
    known = [
        (row, place, one)
        for row, of in enumerate(figures.values())
        for place, one in enumerate(of)
        if one is not None and one.has_interval
    ]
    found = np.full((len(figures), len(runs)), math.nan)
    if known:
        processes = np.array([one.processes for _, _, one in known])
        between = np.array([runs[place].process_deviation for _, place, _ in known]) / np.sqrt(processes)
        side = Side(
            seconds=np.array([one.seconds for _, _, one in known], dtype=float),
            low=np.array([one.low for _, _, one in known], dtype=float),
            high=np.array([one.high for _, _, one in known], dtype=float),
            rounds=np.array([one.rounds for _, _, one in known], dtype=float),
            between=between,
            is_allowed=np.array([bool(one.statistic) for _, _, one in known]),
        )
        rows, places = (np.array(index) for index in zip(*((row, place) for row, place, _ in known), strict=True))
        found[rows, places] = np.sqrt(within(side, confidence=policy.confidence) + between**2)
    return dict(zip(figures, found, strict=True))


def _scatter(logs: Sequence[NDArray[np.float64]], errors: Sequence[NDArray[np.float64]]) -> float:
    """Return by what factor neighbouring runs differ beyond their errors, at least 1; a few changes don't move it."""
    steps = []
    for values, of in zip(logs, errors, strict=True):
        known = np.isfinite(values) & np.isfinite(of)
        left, spread = values[known], of[known]
        steps.append(np.abs(np.diff(left)) / np.sqrt((spread[1:] ** 2 + spread[:-1] ** 2) / 2))
    every = np.concatenate(steps) if steps else np.array([])
    return max(1.0, float(np.median(every)) / DIFFERENCE) if len(every) else 1.0


def _over(mine: NDArray[np.float64], base: NDArray[np.float64] | None) -> list[float | None]:
    if base is None:
        return []
    return [math.exp(value) if math.isfinite(value) else None for value in mine - base]


def _missing(newest: Figures | None) -> str:
    if newest is None:
        return "not in the newest run"
    words = newest.status.replace("_", " ")
    return "" if newest.seconds else f"{words}: {newest.reason}" if newest.reason else words


def _changes(
    logs: NDArray[np.float64],
    errors: NDArray[np.float64],
    of: Sequence[Figures | None],
    *,
    penalty: float,
    policy: ComparisonPolicy,
) -> list[Change]:
    places = np.flatnonzero(np.isfinite(logs) & np.isfinite(errors))
    values, weights = without_single_days(logs[places], errors[places]), 1 / errors[places] ** 2
    least = math.log1p(policy.effect_at_least)
    starts = levels(values, weights, penalty=penalty, least=least)
    found = []
    for before, start, after in zip([0, *starts], starts, [*starts[1:], len(values)], strict=False):
        old, new = slice(before, start), slice(start, after)
        step = _centre(values[new], weights[new]) - _centre(values[old], weights[old])
        half = 1.96 * math.sqrt(1 / float(weights[new].sum()) + 1 / float(weights[old].sum()))
        place = int(places[start])
        last, first = of[int(places[start - 1])], of[place]
        found.append(
            Change(
                run=place, factor=math.exp(step), low=math.exp(step - half), high=math.exp(step + half),
                has_new_source=bool(last and first and last.digest and first.digest and last.digest != first.digest),
            )
        )  # fmt: skip
    return found


def without_single_days(values: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values in which a run far from the level of both neighbours has the median of the three.

    Squares would make a level of such a run and a neighbour. One that lasts for two runs stays as it is.
    """
    if len(values) <= RUNS_AT_LEAST:
        return values
    padded = np.concatenate([values[2:3], values, values[-3:-2]])
    middle = np.median(np.stack([padded[:-2], values, padded[2:]]), axis=0)
    return np.where(np.abs(values - middle) > FAR * errors, middle, values)


def levels(
    values: NDArray[np.float64], weights: NDArray[np.float64], *, penalty: float, least: float = 0.0
) -> list[int]:
    """Return where a new level begins: the exact optimum of weighted squares plus a penalty for each level.

    By optimal partitioning (Jackson et al., IEEE Signal Processing Letters 12, 2005), levels of two values or more;
    then steps smaller than `least` are taken out, smallest first.
    """
    count = len(values)
    if count < 2 * RUNS_AT_LEAST:
        return []
    sums = np.zeros((3, count + 1))
    np.cumsum([weights, weights * values, weights * values**2], axis=1, out=sums[:, 1:])
    best, last = np.full(count + 1, math.inf), np.zeros(count + 1, dtype=int)
    best[0] = -penalty
    for end in range(RUNS_AT_LEAST, count + 1):
        starts = slice(end - RUNS_AT_LEAST + 1)
        weight, first, second = sums[:, end : end + 1] - sums[:, starts]
        cost = best[starts] + second - first**2 / weight + penalty
        last[end] = int(np.argmin(cost))
        best[end] = cost[last[end]]
    found: list[int] = []
    end = count
    while (end := int(last[end])) > 0:
        found.insert(0, end)
    return _large(found, values, weights, least=least)


def _large(starts: list[int], values: NDArray[np.float64], weights: NDArray[np.float64], *, least: float) -> list[int]:
    """Take out the smallest step until all are as large as asked."""
    while starts:
        edges = [0, *starts, len(values)]
        centres = [_centre(values[a:b], weights[a:b]) for a, b in itertools.pairwise(edges)]
        steps = np.abs(np.diff(centres))
        smallest = int(np.argmin(steps))
        if steps[smallest] >= least:
            return starts
        starts = [*starts[:smallest], *starts[smallest + 1 :]]
    return starts


def _centre(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(np.average(values, weights=weights))
