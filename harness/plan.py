"""The plan: scenarios become cases with predictions, skip reasons and an order."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.records import Case, DroppedPoint, PlannedCase, case_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scenarios.scenario import Scenario, Value

# Cases whose predictions are asked for in one request.
BATCH = 256


class SelectionError(ValueError):
    """What was asked for selects nothing, or names what there isn't; the message is for the user."""


@dataclass(frozen=True)
class Selection:
    """What of the scenarios is wanted; empty fields don't restrict."""

    implementations: tuple[str, ...] = ()
    axes: dict[str, list[Value]] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()
    keyword: str = ""
    shard: tuple[int, int] = (1, 1)


def select(scenario: Scenario, selection: Selection, *, device: str) -> Scenario:
    """Apply a device's variant and the user's choices to a scenario. Raises ValueError for an axis that can't be."""
    chosen = scenario.on_device(device.split(":", maxsplit=1)[0])
    if selection.axes:
        chosen = chosen.with_axes(selection.axes)
    changes: dict[str, Any] = {}
    for name in ("dtypes", "directions", "caches"):
        if getattr(selection, name):
            changes[name] = list(getattr(selection, name))
    return chosen.model_copy(update=changes) if changes else chosen


def expand(
    scenarios: Sequence[Scenario], *, names: dict[str, list[str]], selection: Selection, device: str
) -> tuple[list[Case], list[DroppedPoint]]:
    """List the cases of scenarios, each id once, and the points that constraints drop.

    `names` lists the implementations known for each problem, available or not. Raises SelectionError where the
    user's implementations match none.
    """
    cases: dict[str, Case] = {}
    dropped: list[DroppedPoint] = []
    wanted = Keyword(selection.keyword)
    for scenario in scenarios:
        points, without = scenario.points()
        dropped += [DroppedPoint(scenario=scenario.name, point=point, reason=reason) for point, reason in without]
        implementations = _implementations(scenario, names.get(scenario.problem, []), selection)
        for point in points:
            for case in _cases(scenario, point, implementations, device=device):
                if not wanted.matches(label(case)) or not _in_shard(case.id, selection.shard):
                    continue
                known = cases.get(case.id)
                if known is None:
                    cases[case.id] = case
                elif scenario.name != known.scenario and scenario.name not in known.also:
                    cases[case.id] = known.model_copy(update={"also": [*known.also, scenario.name]})
    return list(cases.values()), dropped


def _cases(scenario: Scenario, point: dict[str, Any], implementations: list[str], *, device: str) -> Iterable[Case]:
    for dtype in scenario.dtypes:
        for direction in scenario.directions:
            for cache in scenario.caches:
                for implementation in implementations:
                    identity: dict[str, Any] = {
                        "problem": scenario.problem,
                        "point": point,
                        "dtype": dtype,
                        "device": device,
                        "direction": direction,
                        "cache": cache,
                        "implementation": implementation,
                    }
                    yield Case.model_validate({**identity, "id": case_id(**identity), "scenario": scenario.name})


def _implementations(scenario: Scenario, known: list[str], selection: Selection) -> list[str]:
    mine = [
        name
        for name in known
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in scenario.implementations)
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in scenario.exclude)
    ]
    if not selection.implementations:
        return mine
    # Asked for by name, an implementation is measured even where the scenario leaves it out.
    return [name for name in known if any(fnmatch.fnmatchcase(name, p) for p in selection.implementations)]


def check_names(patterns: Iterable[str], names: dict[str, list[str]], *, unknown: Callable[..., str]) -> None:
    """Refuse an implementation pattern that matches none. Raises SelectionError."""
    known = sorted({name for of in names.values() for name in of})
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise SelectionError(unknown("implementation", pattern, known))


def _in_shard(identity: str, shard: tuple[int, int]) -> bool:
    index, count = shard
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % count == index - 1


def parse_shard(text: str) -> tuple[int, int]:
    """Read `I/N`, 1 <= I <= N. Raises SelectionError."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise SelectionError(f"shard {text!r} must read I/N with 1 <= I <= N")
    return int(match[1]), int(match[2])


def label(case: Case) -> str:
    """Name a case in one line: implementation, point, dtype, direction."""
    point = ",".join(f"{name}={value}" for name, value in case.point.items())
    cold = " cold" if case.cache == "cold" else ""
    return f"{case.implementation} {point} {case.dtype} {case.direction}{cold}"


class Keyword:
    """An expression over substrings of a case's label: `flash and not n=64`, with parentheses. Empty matches all.

    Raises SelectionError where the expression can't be read.
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = re.findall(r"\(|\)|[^\s()]+", expression)
        if self._tokens:
            self.matches("")

    def matches(self, text: str) -> bool:
        """Say whether a label satisfies the expression."""
        if not self._tokens:
            return True
        parts = list(self._tokens)
        # A label's words end with a space or comma, so that n=64 doesn't match n=640.
        result = self._any(parts, text.replace(",", " ") + " ")
        if parts:
            raise SelectionError(f"-k {self._expression!r}: {parts[0]!r} is not expected there")
        return result

    def _any(self, parts: list[str], text: str) -> bool:
        result = self._all(parts, text)
        while parts and parts[0] == "or":
            parts.pop(0)
            result = self._all(parts, text) or result
        return result

    def _all(self, parts: list[str], text: str) -> bool:
        result = self._one(parts, text)
        while parts and parts[0] == "and":
            parts.pop(0)
            result = self._one(parts, text) and result
        return result

    def _one(self, parts: list[str], text: str) -> bool:
        if not parts or parts[0] in {"and", "or", ")"}:
            raise SelectionError(f"-k {self._expression!r}: a word is missing")
        word = parts.pop(0)
        if word == "not":
            return not self._one(parts, text)
        if word == "(":
            result = self._any(parts, text)
            if not parts or parts.pop(0) != ")":
                raise SelectionError(f"-k {self._expression!r}: ')' is missing")
            return result
        return (word + " " if "=" in word else word) in text


def predicted(
    cases: Sequence[Case], *, ask: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> list[PlannedCase]:
    """Join cases with what the worker predicts of them."""
    planned: list[PlannedCase] = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        answers = ask([case.model_dump() for case in batch])
        planned += [
            PlannedCase.model_validate({"case": case, **answer}) for case, answer in zip(batch, answers, strict=True)
        ]
    return planned
