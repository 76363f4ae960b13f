"""Which law holds where: the verdicts of several runs beside each other, a row for each machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import units
from reports.answer.law import FAILED, HELD
from reports.answer.verdicts import MARKS, deciding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

# Verdicts that differ between machines, of which a sentence names so many.
NAMED_AT_MOST = 3
# With one machine there is nothing to differ from.
SEVERAL = 2

Judged = tuple[str, str, str, str]


@dataclass(frozen=True)
class WhereTable:
    """Claims by machine in rows, implementations in columns, for one dtype and direction."""

    conditions: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def machines(runs: Sequence[Run]) -> dict[str, str]:
    """Name the machine of each run by its label: the device's name, with the label where several have one."""
    names = {run.label: (run.plan.device_name or run.plan.device) if run.plan else run.label for run in runs}
    counts = list(names.values())
    return {label: name if counts.count(name) == 1 else label for label, name in names.items()}


def where_tables(runs: Sequence[Run]) -> list[WhereTable]:
    """Set the verdicts of several runs side by side; empty for one run, or where fewer than two were judged."""
    if len([run for run in runs if run.verdicts]) < SEVERAL:
        return []
    named, outcomes = machines(runs), _outcomes(runs)
    tables = []
    for conditions in dict.fromkeys((dtype, direction) for _, _, dtype, direction in outcomes):
        mine = {key: by_run for key, by_run in outcomes.items() if key[2:] == conditions}
        implementations = sorted({implementation for _, implementation, *_ in mine})
        rows = []
        for claim in sorted({claim for claim, *_ in mine}):
            for run in runs:
                found = [mine.get((claim, name, *conditions), {}).get(run.label) for name in implementations]
                if any(found):
                    rows.append((claim, named[run.label], *(_cell(verdict) for verdict in found)))
        tables.append(WhereTable(", ".join(filter(None, conditions)), ("claim", "on", *implementations), tuple(rows)))
    return tables


def where_sentence(runs: Sequence[Run]) -> str:
    """Say how many verdicts agree on all machines, and which do not; "" if nothing was judged on two."""
    shared = {key: by_run for key, by_run in _outcomes(runs).items() if len(by_run) >= SEVERAL}
    if not shared:
        return ""
    differing = {
        key: by_run for key, by_run in shared.items() if len({_kind(verdict) for verdict in by_run.values()}) > 1
    }
    alike = len(shared) - len(differing)
    verb = "agrees" if alike == 1 else "agree"
    said = f"{alike:,} of {units.counted(len(shared), 'verdict')} {verb} on all machines"
    if not differing:
        return f"{said}."
    named = machines(runs)
    told = [_told(key, by_run, named) for key, by_run in list(differing.items())[:NAMED_AT_MOST]]
    more = len(differing) - len(told)
    others = [f"and {units.counted(more, 'other')} differ{'s' if more == 1 else ''}"] if more > 0 else []
    return f"{said}; {'; '.join([*told, *others])}."


def _told(key: Judged, by_run: dict[str, Verdict], named: dict[str, str]) -> str:
    claim, implementation, *conditions = key
    where = units.listing([f"{verdict.verdict} on {named[label]}" for label, verdict in by_run.items()])
    return f"{claim} for {implementation} ({', '.join(filter(None, conditions))}) is {where}"


def _outcomes(runs: Sequence[Run]) -> dict[Judged, dict[str, Verdict]]:
    """Return the deciding verdict of each run, by claim, implementation, dtype and direction."""
    found: dict[Judged, dict[str, list[Verdict]]] = {}
    for run in runs:
        for verdict in run.verdicts:
            key = (verdict.claim, verdict.implementation, verdict.dtype, verdict.direction)
            found.setdefault(key, {}).setdefault(run.label, []).append(verdict)
    return {key: {label: deciding(verdicts) for label, verdicts in by_run.items()} for key, by_run in found.items()}


def _kind(verdict: Verdict) -> str:
    return "held" if verdict.verdict in HELD else "failed" if verdict.verdict in FAILED else verdict.verdict


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return units.ABSENT
    known = verdict.exponent is not None and verdict.axis and verdict.form != "ratio" and verdict.axis != "causal"
    figure = f" {verdict.axis}{units.power(verdict.exponent)}" if known else ""
    return f"{MARKS[verdict.verdict]} {verdict.verdict}{figure}"
