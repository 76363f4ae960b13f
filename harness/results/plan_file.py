"""The contents of plan.json: what a run was asked, under which policy, and every case."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError, field_validator

from harness.policy import Policy
from harness.records import SCHEMA, DataModel, PlannedCase, Record
from scenarios.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.records import Case

# Reports read the plan's scenarios, and import them from here.
__all__ = ["DroppedPoint", "Plan", "Scenario"]


class DroppedPoint(DataModel):
    """A point that a constraint of its scenario drops."""

    scenario: str
    point: dict[str, JsonValue]
    reason: str


class Part(DataModel):
    """What a plan is a part of: `whole` has the label of every case of the whole plan, by id.

    `bridge` is the id of the case that each part measures, "" without one; it `is_guest` where it belongs to another
    part and is measured here only to hold this device against others.
    """

    name: str
    whole: dict[str, str]
    bridge: str = ""
    is_guest: bool = False


class Plan(DataModel):
    """The contents of plan.json: what was asked, by which command, under which policy, and every case."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    created: str
    command: list[str]
    device: str
    device_name: str = ""
    seed: int
    preset: Literal["fast", "default", "rigorous"] = "default"
    baseline: str
    # The Python whose workers measured a side of `attnbench ab`; empty for this program's own.
    interpreter: str = ""
    threads: int | None = None
    keep_memory: bool = True
    impl_files: list[str] = Field(default_factory=list)
    # Of each implementation's source, by problem and name.
    digests: dict[str, str] = Field(default_factory=dict)
    policy: Policy
    scenarios: list[Scenario]
    cases: list[PlannedCase]
    dropped: list[DroppedPoint] = Field(default_factory=list)
    fingerprint: dict[str, JsonValue] = Field(default_factory=dict)
    # None if the plan is no part of another.
    part: Part | None = None

    model_config = Record.model_config

    @property
    def guest(self) -> str:
        """Return the id of the case that belongs to another part of the whole plan, "" without one."""
        return self.part.bridge if self.part and self.part.is_guest else ""

    def digest_of(self, case: Case) -> str:
        """Return the digest of the source of a case's implementation, "" where it is not known."""
        return self.digests.get(digest_key(case.problem, case.implementation), "")

    @field_validator("policy", mode="before")
    @classmethod
    def _policy_of_another_version(cls, value: Any) -> Any:
        return known_fields(Policy, value)

    @field_validator("scenarios", mode="before")
    @classmethod
    def _scenarios_of_another_version(cls, value: Any) -> Any:
        return [known_fields(Scenario, item) for item in value] if isinstance(value, list) else value


def digest_key(problem: str, implementation: str) -> str:
    """Name an implementation where digests are kept."""
    return f"{problem} {implementation}"


def known_fields(model: type[BaseModel], stored: Any) -> Any:
    """Return a stored document without the fields that its model does not have, at any depth.

    A run made by another version has constants that this one lacks; what it lacks itself takes the model's default.
    Wrong values stay for the model to refuse.
    """
    try:
        model.model_validate(stored)
    except ValidationError as error:
        unknown = [problem["loc"] for problem in error.errors() if problem["type"] == "extra_forbidden"]
        return _without(stored, unknown)
    return stored


def _without(document: Any, places: Iterable[tuple[int | str, ...]]) -> Any:
    kept = copy.deepcopy(document)
    for *path, name in places:
        parent = kept
        for step in path:
            parent = parent[step]
        del parent[name]
    return kept
