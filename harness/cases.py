"""The case: the unit that gets a record, and the base of every fact that crosses files and processes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from impls.variants import default_name
from scenarios.scenario import Cache, Direction

if TYPE_CHECKING:
    from collections.abc import Mapping


class DataModel(BaseModel):
    """The base of every model here: unknown fields are refused, instances don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class Case(DataModel):
    """One point x dtype x device x direction x cache x implementation: the unit that gets a record."""

    id: str
    scenario: str
    problem: str
    implementation: str
    point: dict[str, JsonValue]
    dtype: str
    device: str
    direction: Direction
    cache: Cache = "hot"
    # Further scenarios of the run that share this case; it is measured once.
    also: list[str] = Field(default_factory=list)

    @property
    def point_key(self) -> str:
        """Return what a case is without its implementation: equal for all implementations of one point of a run.

        The scenario is no part of it, as a case that scenarios share is measured once.
        """
        return json.dumps(_place(self.problem, self.point, self.dtype, self.device, self.direction, self.cache))

    @property
    def identity(self) -> str:
        """Return the id that this version gives the case."""
        return case_id(
            problem=self.problem,
            point=self.point,
            dtype=self.dtype,
            device=self.device,
            direction=self.direction,
            cache=self.cache,
            implementation=self.implementation,
        )

    @property
    def default(self) -> str:
        """Return the implementation's name without what is chosen of its options."""
        return default_name(self.implementation)

    @property
    def label(self) -> str:
        """Name the case in one line: implementation, point, dtype, direction."""
        point = ",".join(f"{name}={value}" for name, value in self.point.items())
        cold = " cold" if self.cache == "cold" else ""
        return f"{self.implementation} {point} {self.dtype} {self.direction}{cold}"


def case_id(
    *,
    problem: str,
    point: Mapping[str, JsonValue],
    dtype: str,
    device: str,
    direction: str,
    cache: str,
    implementation: str,
) -> str:
    """Hash what defines a case; neither the scenario nor the environment is part of it."""
    identity = [*_place(problem, point, dtype, device, direction, cache), implementation]
    return hashlib.sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()[:16]


def _place(
    problem: str, point: Mapping[str, JsonValue], dtype: str, device: str, direction: str, cache: str
) -> list[Any]:
    # The kind of device counts and not its number: which GPU of a machine it was is the environment's to say.
    return [problem, sorted(point.items()), dtype, device.partition(":")[0], direction, cache]
