"""What is asked for: scenarios, what of them is wanted, and how far a run may go."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.policy import Policy
    from scenarios.scenario import Scenario, Value


class SelectionError(ValueError):
    """What was asked for selects nothing, or names what there isn't; the message is for the user."""


class EmptyShardError(SelectionError):
    """A legal split leaves this shard no case; nothing is wrong."""


@dataclass(frozen=True)
class Selection:
    """What of the scenarios is wanted; empty fields don't restrict."""

    implementations: tuple[str, ...] = ()
    # Patterns of variants that are measured beside what is asked for, and their defaults with them.
    variants: tuple[str, ...] = ()
    axes: dict[str, list[Value]] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()
    keyword: str = ""
    shard: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Request:
    """What a run is asked to measure and how; a plan is made of it, and from there on the plan alone travels."""

    scenarios: tuple[Scenario, ...]
    selection: Selection
    device: str
    policy: Policy
    preset: Literal["fast", "default", "rigorous"] = "default"
    impl_files: tuple[str, ...] = ()
    threads: int | None = None
    keep_memory: bool = True
    baseline: str | None = None
    seed: int = 0
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimeLimits:
    """How long a run, or the rest of a resumed one, may take, in seconds; None means the policy's default.

    `started` is when the command began, by the monotonic clock; None means when the run does. `sustain` and
    `fresh_memory` ask for what else is measured only where the budget leaves room, `fresh_ceilings` for ceilings
    measured again on a machine that is known today.
    """

    timeout: float | None = None
    budget: float | None = None
    started: float | None = None
    sustain: bool = False
    fresh_memory: bool = False
    fresh_ceilings: bool = False


def check_names(patterns: Iterable[str], names: dict[str, list[str]]) -> None:
    """Refuse an implementation pattern that matches none. Raises SelectionError."""
    known = sorted({name for of_problem in names.values() for name in of_problem})
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise SelectionError(unknown("implementation", pattern, known))


def parse_shard(text: str) -> tuple[int, int]:
    """Read `I/N`, 1 <= I <= N. Raises SelectionError."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise SelectionError(f"shard {text!r} must read I/N with 1 <= I <= N")
    return int(match[1]), int(match[2])


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
        # A size is a whole word of the label, so that n=64 doesn't match n=640, nor heads=2 kv_heads=2.
        result = self._any(parts, f" {text.replace(',', ' ')} ")
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
        return (f" {word} " if "=" in word else word) in text
