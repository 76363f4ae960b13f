"""What options beside the default are worth: one sentence for each implementation that was tried with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.results.pairs.tuned import tuned
from reports import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.pairs.tuned import Tuned
    from harness.results.run import Run


def tuning_sentences(run: Run) -> list[str]:
    """Say of each implementation with variants how often, and where most, another value is faster than its default."""
    found: dict[str, list[Tuned]] = {}
    for one in tuned(run):
        found.setdefault(one.case.implementation, []).append(one)
    return [_sentence(name, several) for name, several in found.items()]


def _sentence(name: str, found: Sequence[Tuned]) -> str:
    faster = [one for one in found if one.is_told]
    among = units.counted(len(found), "point")
    tried = units.counted(max(one.tried for one in found), "other setting")
    if not faster:
        return f"None of {tried} of {name} is faster than its default at any of {among}."
    most = faster[0]
    chosen = most.best.removeprefix(f"{name}:").replace(",", ", ")
    place = ", ".join(f"{axis} {value}" for axis, value in most.case.point.items())
    return (
        f"The best of {tried} of {name} is faster than its default at {len(faster)} of {among}, most with {chosen} at "
        f"{place}: {units.ratio(most.factor)} as fast ({units.ratio(most.low)} to {units.ratio(most.high)})."
    )
