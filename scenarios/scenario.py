"""The scenario: a named sweep with its question, axes, and the claims it tests."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from scenarios.ties import Tie, parse_tie, read_tie

if TYPE_CHECKING:
    from collections.abc import Sequence

Direction = Literal["forward", "backward", "forward+backward"]
Dtype = Literal["float32", "float64", "bfloat16", "float16"]
Cache = Literal["hot", "cold"]
Value = JsonValue
Point = dict[str, Value]

AXIS_NAMES = (
    *("n", "n_q", "n_k", "d", "d_v", "heads", "kv_heads", "batch", "causal", "valid_lens", "scale"),
    *("window", "softcap", "layout", "values"),
    # Of multi-head modules, and of pooling; attention has a bias too, which is another.
    *("width", "query_size", "key_size", "value_size", "bias", "dropout", "kernel", "w"),
    # Of packed sequences.
    "lengths",
)


class Declared(BaseModel):
    """The base of every model here: unknown fields are refused, instances don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Axis(Declared):
    """One swept parameter, or several that move together: `name` = "n", values = [64, 128], with `tied` followers.

    A tied follower is computed from the axis: {"d": "256 / heads"} divides a fixed width over the heads,
    {"n_q": "n / 2"} makes a rectangle of each length.
    """

    name: str
    values: Annotated[list[Value], Field(min_length=1)]
    tied: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name in (self.name, *self.tied):
            if name not in AXIS_NAMES:
                near = difflib.get_close_matches(name, AXIS_NAMES, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"no axis {name!r}{hint} (have: {', '.join(AXIS_NAMES)})")
        for name, expression in self.tied.items():
            parse_tie(expression, of=self.name, follower=name)
        return self

    @property
    def ties(self) -> dict[str, Tie]:
        """Return the tied followers with their expressions read."""
        return {name: parse_tie(expression, of=self.name, follower=name) for name, expression in self.tied.items()}


class Constraint(Declared):
    """Drop points whose product of the named axes exceeds `at_most`, with the reason shown."""

    product: Annotated[list[str], Field(min_length=1)]
    at_most: int
    reason: str


class Claim(Declared):
    """A declared law about a quantity along axes.

    `power`: quantity ~ product of axis ** exponent; `additive`: a sum of such `terms`, the one with the given
    exponents dominating in the end; `exponential`: grows by a constant factor a step of n; `ratio`: quantity over
    that of a `baseline` implementation, or of the same one without what `baseline` names (causal), tends to `value`,
    or is below one where there is no value. `exponents` has one entry for each axis that is judged. `kind` is
    component, or layer where lower-order terms belong to the law. `phase` limits operations to those of `products`.
    `about` are glob patterns of implementation names, those after `!` left out; `holds_from` says from which size on.
    `expected` is what the arithmetic predicts, shown beside the verdict and never part of it.
    """

    id: str
    says: str
    source: Literal["article", "arithmetic"] = "arithmetic"
    quantities: Annotated[list[Literal["operations", "memory", "time"]], Field(min_length=1)]
    law: Literal["power", "additive", "exponential", "ratio"] = "power"
    exponents: dict[str, float] = Field(default_factory=dict)
    terms: list[dict[str, float]] = Field(default_factory=list)
    value: float | None = None
    baseline: str | None = None
    phase: Literal["products"] | None = None
    kind: Literal["component", "layer"] = "component"
    about: list[str] = Field(default=["*"])
    holds_from: dict[str, int] = Field(default_factory=dict)
    expected: Literal["confirmed", "refuted", "measured"] = "confirmed"


class Variant(Declared):
    """What a scenario changes on one kind of device."""

    axes: list[Axis] | None = None
    base: Point | None = None
    dtypes: list[Dtype] | None = None
    implementations: list[str] | None = None
    exclude: list[str] | None = None
    own_base: dict[str, Point] | None = None
    sizes_at_most: dict[str, dict[str, int]] | None = None
    shapes: list[Point] | None = None


class Call(Declared):
    """A call that a program makes so many times: its point, dtype and direction; `note` says what these leave out."""

    weight: Annotated[int, Field(ge=1)]
    point: Point
    dtype: Dtype = "float32"
    direction: Direction = "forward"
    note: str = ""


class Scenario(Declared):
    """A named sweep: the product of its axes over a base point, for dtypes, directions and implementations.

    One with `calls` has no axes: it is the calls of a program, whose times count by their weights.
    """

    name: str
    question: str
    problem: Literal["attention", "multihead", "pooling", "varlen"] = "attention"
    axes: list[Axis] = Field(default_factory=list)
    calls: list[Call] = Field(default_factory=list)
    base: Point = Field(default_factory=dict)
    # Values that go together, such as a model's heads: each of these points is crossed with the axes.
    shapes: list[Point] = Field(default_factory=list)
    dtypes: Annotated[list[Dtype], Field(min_length=1)] = Field(default=["float32"])
    directions: Annotated[list[Direction], Field(min_length=1)] = Field(default=["forward"])
    caches: Annotated[list[Cache], Field(min_length=1)] = Field(default=["hot"])
    implementations: list[str] = Field(default=["*"])
    exclude: list[str] = Field(default_factory=list)
    # Sizes of axes that implementations take no more than, by glob pattern: a slow one is not measured beyond them.
    sizes_at_most: dict[str, dict[str, int]] = Field(default_factory=dict)
    # What implementations have in place of values of the base, by glob pattern: a slow one sweeps a line of its own.
    own_base: dict[str, Point] = Field(default_factory=dict)
    constraints: list[Constraint] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)
    on: dict[Literal["cpu", "cuda", "mps"], Variant] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_axes(self) -> Self:
        own = [name for values in self.own_base.values() for name in values]
        shaped = [name for shape in (*self.shapes, *(call.point for call in self.calls)) for name in shape]
        if bool(self.axes) == bool(self.calls):
            raise ValueError("either axes or calls are needed" + ("; they are both there" if self.axes else ""))
        if self.calls and (self.base or self.shapes):
            raise ValueError("calls have whole points: base and shapes are of sweeps")
        wrong = [name for name in (*self.base, *own, *shaped) if name not in AXIS_NAMES]
        if wrong:
            near = difflib.get_close_matches(wrong[0], AXIS_NAMES, n=1)
            raise ValueError(f"base has no axis {wrong[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        swept = [axis.name for axis in self.axes]
        doubled = {name for name in swept if swept.count(name) > 1}
        if doubled:
            raise ValueError(f"axis {min(doubled)!r} is swept twice")
        both = sorted({*own, *shaped} & {name for axis in self.axes for name in (axis.name, *axis.tied)})
        if both:
            raise ValueError(f"axis {both[0]!r} is swept: no implementation or shape can have a value of its own there")
        return self

    def point_for(self, point: Point, *, implementation: str) -> Point:
        """Return a point with what an implementation has in place of values of the base."""
        own = (values for pattern, values in self.own_base.items() if fnmatch.fnmatchcase(implementation, pattern))
        return point | {name: value for values in own for name, value in values.items()}

    def is_too_large(self, point: Point, *, implementation: str) -> bool:
        """Tell whether a point is beyond what the scenario asks of an implementation."""
        return any(
            _integer(point.get(axis, 1)) > most
            for pattern, limits in self.sizes_at_most.items()
            if fnmatch.fnmatchcase(implementation, pattern)
            for axis, most in limits.items()
        )

    def axis(self, name: str) -> Axis | None:
        """Return a swept axis by its name, None if the scenario does not sweep it."""
        return next((axis for axis in self.axes if axis.name == name), None)

    def on_device(self, device: str) -> Scenario:
        """Return the scenario with what its variant for a device type changes."""
        variant = self.on.get(device)  # type: ignore[call-overload]
        if variant is None:
            return self
        changes = {
            name: value
            for name in ("axes", "base", "dtypes", "implementations", "exclude", "own_base", "sizes_at_most", "shapes")
            if (value := getattr(variant, name)) is not None
        }
        return self.model_copy(update={**changes, "on": {}})

    def with_axes(self, overrides: dict[str, list[Value]]) -> Scenario:
        """Return the scenario with other values for axes; an axis it doesn't sweep joins the sweep, unless scalar.

        `n` sets n_q and n_k, and takes the place of both unless they are given too; n_q or n_k take that of n in
        shapes. Where all values of a shape are set, no other shape is meant. A value like "n / 2" follows that axis.
        """
        if self.calls:
            raise ValueError(f"scenario {self.name!r} is the calls of a program: no axis of it can be set")
        ties = {name: str(values[0]) for name, values in overrides.items() if read_tie(values[0]) is not None}
        if ties:
            plain = {name: values for name, values in overrides.items() if name not in ties}
            chosen = self.with_axes(plain) if plain else self
            for name, expression in ties.items():
                chosen = chosen._following(name, expression)  # noqa: SLF001  # another of this class
            return chosen
        replaced = {"n_q", "n_k"} - set(overrides) if "n" in overrides else set()
        axes = [
            axis.model_copy(update={"values": overrides[axis.name]}) if axis.name in overrides else axis
            for axis in self.axes
            if axis.name not in replaced
        ]
        swept = {axis.name for axis in axes}
        added = [Axis(name=name, values=values) for name, values in overrides.items() if name not in swept]
        base = {name: value for name, value in self.base.items() if name not in overrides and name not in replaced}
        tied = {name for axis in axes for name in axis.tied}
        clash = sorted(tied & {axis.name for axis in added})
        if clash:
            raise ValueError(f"axis {clash[0]!r} of scenario {self.name!r} follows another axis and can't be set")
        own = {
            pattern: kept
            for pattern, values in self.own_base.items()
            if (kept := {name: value for name, value in values.items() if name not in overrides})
        }
        gone = {*overrides, *replaced, *({"n"} if {"n_q", "n_k"} & set(overrides) else ())}
        shapes = [{name: value for name, value in shape.items() if name not in gone} for shape in self.shapes]
        if any(all(value in overrides.get(name, []) for name, value in shape.items()) for shape in self.shapes):
            shapes = []
        changes = {"axes": axes + added, "base": base, "own_base": own, "shapes": shapes}
        return self.model_copy(update=changes)

    def _following(self, follower: str, expression: str) -> Scenario:
        """Return the scenario with an axis computed from one that it sweeps. Raises ValueError where it does not."""
        read = read_tie(expression)
        leader = self.axis(read[0]) if read else None
        if leader is None or leader.name == follower:
            swept = ", ".join(axis.name for axis in self.axes if axis.name != follower)
            raise ValueError(
                f"{follower} = {expression!r} follows no axis that scenario {self.name!r} sweeps ({swept})"
            )
        tied = Axis(name=leader.name, values=leader.values, tied={**leader.tied, follower: expression})
        axes = [tied if axis is leader else axis for axis in self.axes if axis.name != follower]
        changes: dict[str, Any] = {"axes": axes, "base": _without(self.base, follower)}
        changes["own_base"] = {pattern: _without(values, follower) for pattern, values in self.own_base.items()}
        changes["shapes"] = [_without(shape, follower) for shape in self.shapes]
        return self.model_copy(update=changes)

    def points(self) -> tuple[list[Point], list[tuple[Point, str]]]:
        """Expand the sweep; return the points kept, and those that a constraint drops with the reason."""
        if self.calls:
            points = [call.point for call in self.calls]
            return [point for i, point in enumerate(points) if point not in points[:i]], []
        kept: list[Point] = []
        dropped: list[tuple[Point, str]] = []
        swept = itertools.product(*(axis.values for axis in self.axes))
        for shape, values in itertools.product(self._distinct_shapes(), swept):
            point: Point = {**self.base, **shape}
            reason = ""
            for axis, value in zip(self.axes, values, strict=True):
                point[axis.name] = value
                for follower, tie in axis.ties.items():
                    size = _integer(value)
                    following = tie.of(size)
                    if following is not None:
                        point[follower] = following
                    else:
                        reason = f"{follower} = {axis.tied[follower]} is not whole at {axis.name} = {size}"
            reason = reason or self._dropped_by(point)
            if reason:
                dropped.append((point, reason))
            else:
                kept.append(point)
        return kept, dropped

    def settings(self, point: Point) -> list[tuple[Dtype, Direction]]:
        """Return the dtypes and directions that a point is asked in."""
        if self.calls:
            return list(dict.fromkeys((call.dtype, call.direction) for call in self.calls if call.point == point))
        return list(itertools.product(self.dtypes, self.directions))

    def weight(self, point: Point, *, dtype: str, direction: str) -> int:
        """Return how many times a program makes a call; 0 if it never does."""
        same = (call for call in self.calls if (call.dtype, call.direction) == (dtype, direction))
        return sum(call.weight for call in same if call.point == point)

    def restricted(self, *, dtypes: Sequence[str], directions: Sequence[str], caches: Sequence[str]) -> Scenario:
        """Return the scenario in these alone; an empty sequence restricts nothing, and calls keep their dtypes."""
        if not self.calls:
            asked = {"dtypes": dtypes, "directions": directions, "caches": caches}
            return self.model_copy(update={name: list(chosen) for name, chosen in asked.items() if chosen})
        calls = [
            call
            for call in self.calls
            if call.dtype in (dtypes or [call.dtype]) and call.direction in (directions or [call.direction])
        ]
        return self.model_copy(update={"calls": calls, "caches": list(caches) or self.caches})

    def _distinct_shapes(self) -> list[Point]:
        """Return the shapes, each once: without an axis that was set, some may be the same."""
        return [shape for i, shape in enumerate(self.shapes) if shape not in self.shapes[:i]] or [{}]

    def _dropped_by(self, point: Point) -> str:
        for constraint in self.constraints:
            product = 1
            for name in constraint.product:
                product *= _integer(point.get(name, 1))
            if product > constraint.at_most:
                return f"{constraint.reason} ({' * '.join(constraint.product)} = {product} > {constraint.at_most})"
        return ""


def _without(point: Point, name: str) -> Point:
    return {axis: value for axis, value in point.items() if axis != name}


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a whole number is needed, not {value!r}")
    return value
