"""What a job demands of a comparison, and whether it holds: no regression of a quantity beyond a share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from harness.policy import DEFAULT
from harness.records import DataModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.comparing.results import Changes, Compared
    from harness.policy import ComparisonPolicy

Quantity = Literal["slower", "memory", "operations", "disagreed"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
FORM = re.compile(r"(?P<quantity>[a-z]+)(?::(?P<figure>\d+(?:\.\d+)?)(?P<percent>%?))?")
# Exit codes, the first that applies.
WRONG_ANSWER, BROKEN, NOTHING, BREACH = 3, 4, 5, 1


class DemandError(ValueError):
    """A demand can't be read; the message is for the user."""


class Demand(DataModel):
    """No case may be worse by more than `share`: its time, extra memory, operations; none may give a wrong answer."""

    quantity: Quantity
    share: float = 0.0

    @property
    def text(self) -> str:
        """Return the demand as it is asked for."""
        return self.quantity if self.quantity == "disagreed" else f"{self.quantity}:{100 * self.share:g}%"


class Judged(DataModel):
    """A demand and what came of it: of `total` cases those in `judged` could be, `breaches` has the ids of the bad.

    `ruled_out` counts cases whose interval excludes a breach. `cleared` has the ids of breaches that did not repeat.
    """

    demand: Demand
    total: int
    judged: list[str]
    breaches: list[str] = Field(default_factory=list)
    ruled_out: int = 0
    cleared: list[str] = Field(default_factory=list)

    @property
    def compared(self) -> int:
        """Return how many cases could be judged."""
        return len(self.judged)

    @property
    def holds(self) -> bool | None:
        """Tell whether the demand holds; None if nothing could be judged."""
        return None if self.compared == 0 else not self.breaches


def parse(text: str) -> Demand:
    """Read `slower:5%`, `memory:0.01`, `disagreed`. Raises DemandError."""
    found = FORM.fullmatch(text)
    quantity = found["quantity"] if found else text
    if found is None or quantity not in QUANTITIES:
        raise DemandError(f"--fail-on {text!r} must read slower:5%, memory:1%, operations:1% or disagreed")
    if found["figure"] is None:
        share = DEFAULT.comparison.effect_at_least if quantity == "slower" else 0.0
        return Demand.model_validate({"quantity": quantity, "share": share})
    if quantity == "disagreed":
        raise DemandError("--fail-on disagreed takes no figure")
    share = float(found["figure"]) / (100 if found["percent"] else 1)
    if quantity == "slower" and share == 0.0:
        raise DemandError(f"--fail-on {text!r}: a time repeats to no such share; ask for 1% or more")
    return Demand.model_validate({"quantity": quantity, "share": share})


def policy_for(demands: Sequence[Demand], policy: ComparisonPolicy) -> ComparisonPolicy:
    """Return a policy under which a difference counts that a demand asks for."""
    shares = [demand.share for demand in demands if demand.quantity == "slower"]
    return policy.model_copy(update={"effect_at_least": min([policy.effect_at_least, *shares])})


def judge_demands(changes: Changes, demands: Sequence[Demand]) -> list[Judged]:
    """Judge every demand on a comparison."""
    return [_JUDGES[demand.quantity](changes, demand) for demand in demands]


def exit_code(changes: Changes, judged: Sequence[Judged]) -> int:
    """Return 3 or 4 where cases of the new side failed that no demand names, 5 where one has nothing to judge, 1, 0.

    Without a demand only a comparison of nothing is no success.
    """
    if not judged:
        return 0 if any(_is_known(one) for one in changes.cases) else NOTHING
    asked = {one.demand.quantity for one in judged}
    if "disagreed" not in asked and any(one.is_newly_wrong for one in changes.cases):
        return WRONG_ANSWER
    if any(one.is_lost for one in changes.cases):
        return BROKEN
    if any(one.compared == 0 for one in judged):
        return NOTHING
    return BREACH if any(one.breaches for one in judged) else 0


def _is_known(one: Compared) -> bool:
    return one.outcome != "not comparable" or one.memory is not None or one.operations is not None


def _slower(changes: Changes, demand: Demand) -> Judged:
    compared = [one for one in changes.cases if one.outcome != "not comparable"]
    limit = 1.0 + demand.share
    return Judged(
        demand=demand,
        total=len(changes.cases),
        judged=[one.case.id for one in compared],
        breaches=[one.case.id for one in compared if one.outcome == "slower" and one.ratio and one.ratio >= limit],
        ruled_out=sum(one.high is not None and one.high < limit for one in compared),
    )


def _exact(changes: Changes, demand: Demand) -> Judged:
    of = {one.case.id: one.memory if demand.quantity == "memory" else one.operations for one in changes.cases}
    known = {name: figure for name, figure in of.items() if figure is not None}
    breaches = [name for name, figure in known.items() if figure.grew_by(demand.share)]
    return Judged(
        demand=demand,
        total=len(changes.cases),
        judged=list(known),
        breaches=breaches,
        ruled_out=len(known) - len(breaches),
    )


def _disagreed(changes: Changes, demand: Demand) -> Judged:
    asked = [one for one in changes.cases if one.is_wrong or (one.new is not None and one.new.error is not None)]
    breaches = [one.case.id for one in asked if one.is_newly_wrong]
    return Judged(
        demand=demand,
        total=len(changes.cases),
        judged=[one.case.id for one in asked],
        breaches=breaches,
        ruled_out=len(asked) - len(breaches),
    )


_JUDGES: dict[Quantity, Callable[[Changes, Demand], Judged]] = {
    "slower": _slower,
    "memory": _exact,
    "operations": _exact,
    "disagreed": _disagreed,
}


def confirmed(judged: Sequence[Judged], again: Changes) -> list[Judged]:
    """Keep of the breaches in time those that a second measurement shows too; it has the outcomes of `again`."""
    found = []
    for one in judged:
        if one.demand.quantity != "slower":
            found.append(one)
            continue
        repeated = set(_slower(again, one.demand).breaches)
        measured = {two.case.id for two in again.cases if two.outcome != "not comparable"}
        found.append(
            one.model_copy(
                update={
                    "breaches": [name for name in one.breaches if name in repeated or name not in measured],
                    "cleared": [name for name in one.breaches if name in measured and name not in repeated],
                }
            )
        )
    return found
