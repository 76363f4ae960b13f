"""The cases of a baseline in short: points once for all implementations, figures as columns, no text twice.

A column that has one value for all its cases is that value. Counts and bytes are exact. Times have the digits that
their intervals leave known.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from harness.comparing.snapshot import Figures
from harness.records import Case, DataModel, case_id
from harness.results.documents import JournalError, read_model
from scenarios.scenario import Cache, Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# What the cases of a grid share, and what those of a series share.
PLACE = ("scenario", "problem", "dtype", "device", "direction", "cache")
# Figures that are kept as they are, by case.
KEPT = ("statistic", "rounds", "processes", "operations", "attended", "extra_bytes")
# Digits of a time without an interval, of the half-width of one, and of an error over its budget.
TIME_DIGITS, WIDTH_DIGITS, ERROR_DIGITS = 5, 3, 5
# Of the half-width of an interval, what a rounded time may be off by.
ROUNDING = 0.02
# A larger number is shorter with its exponent.
WHOLE_BELOW = 1e6
# In a grid; the largest plans have ten thousand.
CASES_AT_MOST = 100_000
# Ends of an interval lie no further from its time, in log time per ten thousand.
FURTHEST = 1e6

Column = JsonValue | list[JsonValue]


class Series(DataModel):
    """The cases of one implementation from one source at points of a grid; `at` has their places, None for all.

    `figures` has columns over the timed ones. `below` and `above` are how far the ends of the interval lie from
    `seconds`, in log time, per ten thousand. `without` has a status, a reason and the places of cases without a time.
    """

    implementation: str
    digest: int = 0
    at: list[int] | None = None
    figures: dict[str, Column] = Field(default_factory=dict)
    without: list[tuple[str, str, list[int] | None]] = Field(default_factory=list)


class Grid(DataModel):
    """Points at which implementations were measured; `points` has columns of the values, `count` tells how many.

    `common` has columns over the points of what most implementations have there; a series without such a column has it.
    """

    scenario: str
    problem: str
    dtype: str
    device: str
    direction: Direction
    cache: Cache = "hot"
    count: int = Field(ge=1, le=CASES_AT_MOST)
    points: dict[str, Column]
    common: dict[str, Column] = Field(default_factory=dict)
    series: list[Series]


def packed(cases: Sequence[Figures]) -> tuple[list[str], list[Grid]]:
    """Return the digests of all sources, and cases as grids."""
    digests = list(dict.fromkeys(one.digest for one in cases))
    gathered: dict[tuple[Any, ...], list[Figures]] = {}
    for one in cases:
        gathered.setdefault((*(getattr(one.case, name) for name in PLACE), *one.case.point), []).append(one)
    return digests, [_grid(of, digests) for of in gathered.values()]


def _grid(of: Sequence[Figures], digests: Sequence[str]) -> Grid:
    points: dict[str, Mapping[str, JsonValue]] = {}
    series: dict[tuple[str, str], list[tuple[int, Figures]]] = {}
    places: dict[str, int] = {}
    for one in of:
        key = json.dumps(one.case.point)
        points.setdefault(key, one.case.point)
        place = places.setdefault(key, len(places))
        series.setdefault((one.case.implementation, one.digest), []).append((place, one))
    names = list(of[0].case.point)
    common = {name: _usual(series.values(), name, count=len(points)) for name in KEPT[:-1]}
    return Grid(
        **{name: getattr(of[0].case, name) for name in PLACE},
        count=len(points),
        points={name: _column([point[name] for point in points.values()]) for name in names},
        common={name: _column(values) for name, values in common.items()},
        series=[
            _series(implementation, digests.index(digest), mine, common=common, count=len(points))
            for (implementation, digest), mine in series.items()
        ],
    )


def _usual(series: Iterable[Sequence[tuple[int, Figures]]], name: str, *, count: int) -> list[Any]:
    """Return by place the value that most timed cases have there, None if there is no such case."""
    seen: list[Counter[Any]] = [Counter() for _ in range(count)]
    for mine in series:
        for place, one in mine:
            if one.status == "ok":
                seen[place][getattr(one, name)] += 1
    return [of.most_common(1)[0][0] if of else None for of in seen]


def _series(
    implementation: str,
    digest: int,
    mine: Sequence[tuple[int, Figures]],
    *,
    common: Mapping[str, Sequence[Any]],
    count: int,
) -> Series:
    timed = [(place, one) for place, one in mine if one.status == "ok"]
    without: dict[tuple[str, str], list[int]] = {}
    for place, one in mine:
        if one.status != "ok":
            without.setdefault((one.status, one.reason), []).append(place)
    columns = {
        name: values
        for name in KEPT
        if (values := [getattr(one, name) for _, one in timed])
        != [common.get(name, [None] * count)[place] for place, _ in timed]
    }
    columns["error"] = [_digits(one.error, ERROR_DIGITS) for _, one in timed]
    for name in ("seconds", "below", "above"):
        columns[name] = []
    for _, one in timed:
        for name, value in zip(("seconds", "below", "above"), _time(one), strict=True):
            columns[name].append(value)
    if columns["below"] == columns["above"]:
        del columns["above"]
    return Series(
        implementation=implementation,
        digest=digest,
        at=_places([place for place, _ in timed], count) if timed else None,
        figures={name: _column(values) for name, values in columns.items()} if timed else {},
        without=[(*why, _places(where, count)) for why, where in without.items()],
    )


def _places(places: list[int], count: int) -> list[int] | None:
    return None if places == list(range(count)) else places


def _column(values: list[Any]) -> Column:
    """Return one value where all are that; a list of lists stays one."""
    first = next(iter(values), None)
    is_one = not isinstance(first, list) and all(_is_same(value, first) for value in values)
    return first if is_one else values


def _is_same(value: object, other: object) -> bool:
    return type(value) is type(other) and value == other


def _digits(value: float | None, digits: int) -> float | None:
    """Round a value; a whole number is written without its point."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < WHOLE_BELOW else rounded


def _time(one: Figures) -> tuple[float | None, float | None, float | None]:
    """Return the seconds in the digits that are known, and how far the ends of the interval lie from them."""
    if not (one.seconds and one.low and one.high):
        return _digits(one.seconds, TIME_DIGITS), None, None
    below, above = (1e4 * math.log(ratio) for ratio in (one.seconds / one.low, one.high / one.seconds))
    known = max(ROUNDING * max(below, above) / 1e4, 10.0**-TIME_DIGITS)
    digits = min(max(1 + math.ceil(-math.log10(2 * known)), 2), TIME_DIGITS)
    return _digits(one.seconds, digits), _digits(below, WIDTH_DIGITS), _digits(above, WIDTH_DIGITS)


def text(grid: Grid) -> str:
    """Write a grid as JSON, a line for each implementation."""
    document = grid.model_dump(mode="json", exclude_defaults=True)
    series = document.pop("series")
    head = json.dumps(document, separators=(",", ":"), allow_nan=False)[:-1]
    lines = ",\n".join("  " + json.dumps(one, separators=(",", ":"), allow_nan=False) for one in series)
    return f'{head},"series":[\n{lines}]}}'


def unpacked(digests: Sequence[str], grid: Grid, *, source: str) -> Iterator[Figures]:
    """Yield the cases of a grid. Raises JournalError where columns don't fit."""
    points = [
        dict(zip(grid.points, values, strict=True))
        for values in zip(
            *(_spread(column, grid.count, of=name, source=source) for name, column in grid.points.items()), strict=True
        )
    ] or [{}]
    common = {
        name: _spread(column, len(points), of=name, source=source)
        for name, column in grid.common.items()
        if name in KEPT
    }
    for series in grid.series:
        digest = _at(digests, [series.digest], source=source)[0]
        for figures in _timed(series, points, common=common, source=source) if series.figures else ():
            yield _figures(grid, series, figures, digest=digest, source=source)
        for status, reason, places in series.without:
            for point in points if places is None else _at(points, places, source=source):
                figures = {"point": point, "status": status, "reason": reason}
                yield _figures(grid, series, figures, digest=digest, source=source)


def _timed(
    series: Series, points: Sequence[Any], *, common: Mapping[str, Sequence[Any]], source: str
) -> Iterator[dict[str, Any]]:
    places = list(range(len(points))) if series.at is None else series.at
    mine = _at(points, places, source=source)
    columns = {name: _at(values, places, source=source) for name, values in common.items()} | {
        name: _spread(column, len(mine), of=f"{name} of {series.implementation}", source=source)
        for name, column in series.figures.items()
    }
    absent = [None] * len(mine)
    seconds, below = columns.pop("seconds", absent), columns.pop("below", absent)
    above = columns.pop("above", below)
    for place, point in enumerate(mine):
        middle = seconds[place]
        yield {
            "point": point,
            "status": "ok",
            "seconds": middle,
            "low": _end(middle, below[place], sign=-1),
            "high": _end(middle, above[place], sign=1),
            **{name: columns[name][place] for name in (*KEPT, "error") if name in columns},
        }


def _end(middle: Any, width: Any, *, sign: int) -> float | None:
    """Return an end of an interval, None for a width or a time that is none."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (middle, width)):
        return None
    end = float(middle) * math.exp(sign * max(-FURTHEST, min(width, FURTHEST)) / 1e4)
    return end if math.isfinite(end) else None


def _figures(grid: Grid, series: Series, figures: dict[str, Any], *, digest: str, source: str) -> Figures:
    point = figures.pop("point")
    identity = {name: getattr(grid, name) for name in PLACE if name != "scenario"}
    identity |= {"implementation": series.implementation, "point": point}
    case = Case(id=case_id(**identity), scenario=grid.scenario, **identity)
    return read_model(Figures, {"case": case, "digest": digest, **figures}, source=source)


def _spread(column: Column, count: int, *, of: str, source: str) -> list[Any]:
    """Return a column's values, as many as asked for. Raises JournalError."""
    values = column if isinstance(column, list) else [column] * count
    if len(values) != count:
        raise JournalError(f"{source}: the {of} has {len(values)} values for {count} cases")
    return values


def _at(values: Sequence[Any], places: Sequence[int], *, source: str) -> list[Any]:
    """Return the values at some places. Raises JournalError for a place that is none."""
    for place in places:
        if not 0 <= place < len(values):
            raise JournalError(f"{source}: there is no place {place} among {len(values)}")
    return [values[place] for place in places]
