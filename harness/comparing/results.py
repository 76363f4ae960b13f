"""What a comparison finds: an outcome and exact figures for each case, means over cases, what a gate says of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.comparing.machines import Difference
from harness.comparing.snapshot import Figures
from harness.records import SCHEMA, Case, DataModel, Record

Outcome = Literal["faster", "slower", "same", "inconclusive", "not comparable"]
OUTCOMES: tuple[Outcome, ...] = ("slower", "faster", "inconclusive", "same", "not comparable")
# Statuses of an implementation that gave a wrong answer, or not by the kernel asked for, or not in a time that can be.
WRONG = frozenset({"disagreed", "fallback", "invalid"})
# Statuses of a case that should have run.
BROKEN = frozenset({"crashed", "timeout", "oom"})


class Exact(DataModel):
    """A figure that needs no statistics, on both sides."""

    base: float
    new: float

    @property
    def factor(self) -> float | None:
        """Return new over base; None if base is nothing and new is not."""
        if self.base == self.new:
            return 1.0
        return self.new / self.base if self.base else None

    @property
    def is_other(self) -> bool:
        """Tell whether the figure changed."""
        return self.base != self.new

    def grew_by(self, share: float) -> bool:
        """Tell whether the figure grew by more than this share."""
        return self.new > self.base * (1.0 + share)


class Compared(DataModel):
    """One case: NEW over BASE with its 95 % interval, the outcome for NEW, a reason where none could be had.

    `adjusted_p` is of the hypothesis that there is no difference, adjusted for the number of cases. `has_new_source`
    tells that the implementation's own source is another one. `error` is of the gate, over its budget; `energy` is
    joules per call and scatters as time does.
    """

    case: Case
    outcome: Outcome
    reason: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    adjusted_p: float | None = None
    base: Figures | None = None
    new: Figures | None = None
    has_new_source: bool = False
    memory: Exact | None = None
    operations: Exact | None = None
    error: Exact | None = None
    energy: Exact | None = None

    @property
    def is_wrong(self) -> bool:
        """Tell whether the new side's answer can't be used."""
        return self.new is not None and self.new.status in WRONG

    @property
    def is_newly_wrong(self) -> bool:
        """Tell whether that is so and was not on the base's side."""
        return self.is_wrong and (self.base is None or self.base.status not in WRONG)

    @property
    def is_lost(self) -> bool:
        """Tell whether a case that the base timed failed on the new side."""
        had_time = self.base is not None and self.base.status == "ok"
        return had_time and self.new is not None and self.new.status in BROKEN


class Mean(DataModel):
    """The geometric mean of an implementation's ratios over a scenario's compared cases, with its 95 % interval."""

    scenario: str
    implementation: str
    cases: int
    ratio: float
    low: float
    high: float


class Machine(DataModel):
    """How the machine moved between two runs, as factors: by the canary, by cases of unchanged code.

    `scatter` is by how much the latter scatter beyond their errors, at least 1; `controls` counts them.
    """

    canary: float | None = None
    unchanged: float | None = None
    scatter: float = 1.0
    controls: int = 0


class Changes(DataModel):
    """A whole comparison. `by` is empty for two runs, else what was compared inside of one, with `base` its name.

    `machine` and `software` say how the environments differ; a machine that does makes times incomparable.
    `unknown` names the sides that do not say where they were measured. `in_turn` tells that both sides were measured
    round by round in turn, on one machine.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    base: str
    new: str
    by: str = ""
    in_turn: bool = False
    effect_at_least: float
    same_within: float
    false_discoveries: float
    machine: list[Difference] = Field(default_factory=list)
    software: list[Difference] = Field(default_factory=list)
    unknown: list[str] = Field(default_factory=list)
    moved: Machine | None = None
    cases: list[Compared]
    means: list[Mean] = Field(default_factory=list)

    model_config = Record.model_config

    def having(self, outcome: Outcome) -> list[Compared]:
        """Return the cases with an outcome."""
        return [one for one in self.cases if one.outcome == outcome]

    @property
    def comparable(self) -> int:
        """Return how many cases have a time on both sides that compare."""
        return sum(one.outcome != "not comparable" for one in self.cases)
