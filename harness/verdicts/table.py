"""The verdict on anybody's numbers: a table of sizes and costs, or what pytest-benchmark and google-benchmark wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.policy import ScalingPolicy
from harness.tables.columns import conventions
from harness.tables.formats import read
from harness.tables.reading import printable
from harness.verdicts.groups import Choice, group
from harness.verdicts.reading_notes import notes
from harness.verdicts.table_group import Claim, judge_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.scaling.decision import Kind
    from harness.tables.formats import Source
    from harness.verdicts.groups import Costs
    from harness.verdicts.riding import Ride
    from harness.verdicts.table_group import Group

# Steeper claims than this say nothing of a cost, and powers of sizes would leave what a float holds.
EXPONENT_AT_MOST = 10.0
# A fit takes about half a millisecond a size, with a lower-order term three times that; in all a second.
SIZES_AT_MOST, LAYER_WEIGHT = 2500, 3


@dataclass(frozen=True)
class Verification:
    """Hold the verdict on each group of a table, and notes on how the table was read."""

    exponent: float
    x: str
    y: str
    groups: list[Group]
    notes: list[str]

    def document(self) -> dict[str, object]:
        """Return the verdicts as one JSON object."""
        return {"verdicts": [group.entry(claimed=self.exponent) for group in self.groups], "notes": self.notes}

    def fails(self, fail_on: Iterable[str]) -> bool:
        """Tell whether a group has a verdict that was asked to fail on."""
        return any(group.verdict in set(fail_on) for group in self.groups)


@dataclass(frozen=True)
class Wording:
    """Hold how the user says that cells are to be read: further markers, units, the decimal mark; exact costs."""

    markers: Sequence[str] = ()
    units: Sequence[str] = ()
    decimal: str | None = None
    is_exact: bool = False


def verify(
    file: Path,
    *,
    x: str = "n",
    y: str = "seconds",
    exponent: float,
    by: Sequence[str] = (),
    per: str = "",
    band: float | None = None,
    kind: Kind = "component",
    source: Source = "auto",
    wording: Wording | None = None,
) -> Verification:
    """Judge whether column y grows as column x ** exponent, for each group of rows that agree in the columns `by`.

    Several rows of a size are samples of it: three or more give their second smallest, fewer their median. Costs are
    divided by column `per`. Benchmark files group by benchmark as well. Raises ValueError for what can't be read or
    judged: one line, or one for each cell that is neither a number nor says that nothing was measured.
    """
    wording = wording or Wording()
    policy = ScalingPolicy() if band is None else ScalingPolicy(band=_checked_band(band))
    _check_exponent(exponent, policy)
    how = conventions(y=y, markers=wording.markers, units=wording.units, decimal=wording.decimal)
    rows, name = read(file, source=source), printable(file)
    benchmark = ["benchmark"] if rows.axes is not None and x != "benchmark" else []
    choice = Choice(x=x, y=y, by=tuple(dict.fromkeys([*by, *benchmark])), per=per)
    table, groups = group(rows, choice, how=how, file=name)
    _check_amount(groups, kind=kind, file=name)
    found = notes(table)
    if not any(costs.samples for costs in groups):
        raise ValueError(f"{name} has nothing to judge: no row has both a size and a cost ({'; '.join(found)})")
    claim = Claim(exponent=exponent, kind=kind, x=x, is_exact=wording.is_exact, policy=policy)
    judged = [judge_group(costs, claim) for costs in groups]
    return Verification(exponent=exponent, x=x, y=choice.cost, groups=judged, notes=[*found, *_rides(judged)])


def _checked_band(band: float) -> float:
    if not 0.0 < band <= 1.0:
        raise ValueError(f"--band must be above 0 and at most 1, not {band:g}")
    return band


def _check_exponent(exponent: float, policy: ScalingPolicy) -> None:
    if exponent == 0.0 or (math.isfinite(exponent) and policy.exponent_low <= exponent <= EXPONENT_AT_MOST):
        return
    least = f"{policy.exponent_low:g}"
    raise ValueError(f"--exponent must be 0 for a flat cost or {least} to {EXPONENT_AT_MOST:g}, not {exponent:g}")


def _check_amount(groups: Sequence[Costs], *, kind: Kind, file: str) -> None:
    most = SIZES_AT_MOST // (LAYER_WEIGHT if kind == "layer" else 1)
    sizes = sum(max(len(costs.samples), 1) for costs in groups)
    if sizes > most:
        where = f"{file} has {len(groups)} groups with {sizes} sizes in all"
        raise ValueError(f"{where}; at most {most} are judged at once: group by fewer columns, or cut the table")


def _rides(groups: Sequence[Group]) -> list[str]:
    """Say which columns grow together with the sizes, and which fall beside a verdict that is open anyway."""
    rides = {
        ride.law: ride for found in groups for ride in found.rides if not (ride.falls and ride.law in found.reason)
    }
    both = "what is judged is the growth of both"
    return [f"{law}: {_advice(ride) if ride.falls else both}" for law, ride in rides.items()]


def _advice(ride: Ride) -> str:
    column = ride.column
    return f"growth at a fixed {column} can't be told from this (--per {column} judges the cost per {column})"
