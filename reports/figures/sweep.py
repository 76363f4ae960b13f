"""Sweeps: the cases of a run in which one size varies, from which most figures are drawn."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reports import units
from reports.figures.figure import slug
from reports.frame import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from harness.results.plan_file import Scenario
    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

# What a case may have beside sizes; a sweep has one value of each.
OPTIONS = ("causal", "valid_lens", "scale", "dropout", "softcap", "bias", "layout", "values")
SIZES = tuple(name for name in AXES if name not in OPTIONS)


@dataclass(frozen=True)
class Sweep:
    """The ok cases of one run, scenario, dtype, direction and cache state, in which one axis varies (or several).

    `axis` is the swept one, None for a joint sweep; `shared` has the same cases of all runs, for common scales.
    `option` names the value of an option that the scenario varies beside the axis: `causal True`.
    """

    run: str
    scenario: str
    question: str
    problem: str
    axis: str | None
    dtype: str
    device: str
    direction: str
    cache: str
    table: pd.DataFrame
    shared: pd.DataFrame
    verdicts: tuple[Verdict, ...] = field(default=())
    several_runs: bool = False
    option: str = ""
    # What tells this line from others of the scenario, where implementations sweep along lines of their own.
    line: str = ""

    @property
    def key(self) -> str:
        """Return a name that is unique in the page and fit for an id."""
        own = [part for part in (self.option, self.line) if part]
        return "-".join(map(slug, (self.run, self.scenario, self.dtype, self.direction, self.cache, *own)))

    @property
    def fixed(self) -> str:
        """Say what does not vary: `heads 2, d 64, batch 1`."""
        constant = []
        for name, value in _constants(self.table).items():
            if name != self.axis:
                constant.append(f"{name} {units.plain(value) if isinstance(value, float) else value}")
        return ", ".join(constant)

    @property
    def conditions(self) -> str:
        """Say dtype, direction and what is fixed, in one line."""
        run = [self.run] if self.several_runs else []
        cold = ["cold caches"] if self.cache == "cold" else []
        fixed = [self.fixed] if self.fixed else []
        return ", ".join([*run, self.dtype, self.direction, *cold, *fixed])

    def sorted_by_axis(self) -> pd.DataFrame:
        """Return the rows in order of implementation and size."""
        return self.table.sort_values(["implementation", self.axis or "operations"])


def sweeps(runs: Sequence[Run], table: pd.DataFrame) -> list[Sweep]:
    """Split all ok cases into sweeps, in the order in which scenarios were asked for."""
    found = []
    ok = table[table["status"] == "ok"]
    conditions = ["dtype", "direction", "cache", "device"]
    for (scenario, dtype, direction, cache, device, option), named in _by_option(ok, conditions):
        alike = ok[(ok[conditions] == [dtype, direction, cache, device]).all(axis=1)]
        declared = next((item for run in runs if (item := declaration(run, str(scenario)))), None)
        axis = _swept(declared, named)
        for line, members in _lines(named, declared):
            shared = members if axis is None else _on_line(alike, members, axis, declared)
            for run in runs:
                rows = shared[shared["run"] == run.label]
                if rows.empty:
                    continue
                found.append(
                    Sweep(
                        run=run.label,
                        scenario=str(scenario),
                        question=declared.question if declared else "",
                        problem=str(rows["problem"].iloc[0]),
                        axis=axis,
                        dtype=str(dtype),
                        device=str(device),
                        direction=str(direction),
                        cache=str(cache),
                        table=rows,
                        shared=shared,
                        verdicts=tuple(
                            verdict
                            for verdict in run.verdicts
                            if verdict.dtype in {"", dtype} and verdict.direction in {"", direction}
                        ),
                        several_runs=len(runs) > 1,
                        line=line,
                        option=str(option),
                    )
                )
    asked = [item.name for run in runs if run.plan for item in run.plan.scenarios]
    return sorted(found, key=lambda sweep: asked.index(sweep.scenario) if sweep.scenario in asked else len(asked))


def _by_option(ok: pd.DataFrame, conditions: Sequence[str]) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Yield the rows of each scenario and condition; those of a sweep apart by what varies beside its sizes."""
    for key, named in ok.groupby(["scenario", *conditions], sort=False):
        varying = [name for name in OPTIONS if len(_distinct(named[name])) > 1]
        if not varying or not any(len(_distinct(named[name])) > 1 for name in SIZES):
            yield (*map(str, key), ""), named
            continue
        words = [named[name].map(_plain).radd(f"{name} ") for name in varying]
        option = functools.reduce(lambda left, right: left + ", " + right, words)
        for value, some in named.groupby(option, sort=False):
            yield (*map(str, key), str(value)), some


def _plain(value: Any) -> str:
    return units.plain(value) if isinstance(value, float) else str(value)


def _lines(rows: pd.DataFrame, declared: Scenario | None) -> list[tuple[str, pd.DataFrame]]:
    """Split a scenario's rows by what implementations have of their own; the line of most implementations is first."""
    own = sorted({name for values in declared.own_base.values() for name in values}) if declared else []
    if not own:
        return [("", rows)]
    lines = [(values, members) for values, members in rows.groupby(own, sort=False, dropna=False)]
    lines.sort(key=lambda line: -line[1]["implementation"].nunique())
    named = [" ".join(f"{name} {value}" for name, value in zip(own, values, strict=True)) for values, _ in lines]
    return [("" if number == 0 else named[number], members) for number, (_, members) in enumerate(lines)]


def declaration(run: Run, scenario: str) -> Scenario | None:
    """Return a scenario as the plan has it, None if the plan lacks it."""
    return next((item for item in (run.plan.scenarios if run.plan else ()) if item.name == scenario), None)


def _swept(declared: Scenario | None, rows: pd.DataFrame) -> str | None:
    names = [axis.name for axis in declared.axes if axis.name not in OPTIONS] if declared else []
    numeric = [name for name in SIZES if len(_distinct(rows[name])) > 1]
    if len(names) == 1 and names[0] in SIZES:
        return names[0]
    return numeric[0] if len(numeric) == 1 else None


def _on_line(ok: pd.DataFrame, rows: pd.DataFrame, axis: str, declared: Scenario | None) -> pd.DataFrame:
    """Return all rows at the points of a one-axis sweep, also those that another scenario asked for.

    A case that several scenarios share is measured once and recorded under one of them.
    """
    chosen = ok["problem"] == rows["problem"].iloc[0]
    constants = _constants(rows)
    for name in AXES:
        if name in constants:
            chosen &= ok[name] == constants[name]
        elif name != axis and not _distinct(rows[name]):
            chosen &= ok[name].isna() | (ok[name] == "")
    asked = declared.axis(axis) if declared else None
    if asked is not None:
        chosen &= ok[axis].isin(asked.values)
        for follower, tie in asked.ties.items():
            beside = {size: tie.of(size) for size in list(asked.values) if isinstance(size, int)}
            chosen &= ok[follower] == ok[axis].map(beside)
    found: pd.DataFrame = ok[chosen]
    return found


def _constants(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the sizes and options that every row has and that don't vary."""
    found = {}
    for name in AXES:
        values = _distinct(rows[name])
        if len(values) == 1 and not (rows[name].isna() | (rows[name] == "")).any():
            found[name] = values[0]
    return found


def _distinct(column: pd.Series) -> list[Any]:
    return [value for value in column.dropna().unique() if value != ""]
