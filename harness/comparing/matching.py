"""Which case of one side is which of the other, and why a case has no partner to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.comparing.snapshot import Figures
    from harness.records import Case

# Values of a point that a reason names.
NAMED_AT_MOST = 4


@dataclass(frozen=True)
class Pair:
    """A case on both sides, or on one, with the reason why its time can't be compared, empty if it can.

    `same_shape` tells that counts and bytes compare.
    """

    base: Figures | None
    new: Figures | None
    reason: str
    same_shape: bool

    @property
    def case(self) -> Case:
        """Return the case, as the new side has it if it does."""
        found = self.new or self.base
        assert found is not None
        return found.case


def match(base: Sequence[Figures], new: Sequence[Figures]) -> list[Pair]:
    """Match the cases of two sides by their ids, in the order of the base; those of the new side alone come last."""
    by_id = {figures.case.id: figures for figures in new}
    known = {figures.case.id for figures in base}
    others = {"base": _points(base), "new": _points(new)}
    pairs = [_pair(figures, by_id.get(figures.case.id), others) for figures in base]
    return pairs + [_pair(None, figures, others) for figures in new if figures.case.id not in known]


def _pair(base: Figures | None, new: Figures | None, others: dict[str, dict[tuple[str, ...], list[Case]]]) -> Pair:
    if base is None or new is None:
        return Pair(base, new, _missing(base, new, others), same_shape=False)
    changed = _changed_shape(base, new)
    if changed:
        return Pair(base, new, changed, same_shape=False)
    for side, figures in (("BASE", base), ("NEW", new)):
        if figures.seconds is None or figures.seconds <= 0:
            words = f"{figures.status.replace('_', ' ')} in {side}"
            return Pair(base, new, f"{words}: {figures.reason}" if figures.reason else words, same_shape=True)
    return Pair(base, new, "", same_shape=True)


def _changed_shape(base: Figures, new: Figures) -> str:
    """Say where one name stands for two shapes, as after a change of the problem itself."""
    for what in ("attended", "inputs"):
        before, after = getattr(base, what), getattr(new, what)
        if before is not None and after is not None and before != after:
            words = "pairs attended" if what == "attended" else "bytes of inputs"
            return f"other shapes: {before} {words} in BASE, {after} in NEW"
    return ""


def _missing(base: Figures | None, new: Figures | None, others: dict[str, dict[tuple[str, ...], list[Case]]]) -> str:
    """Say on which side a case is missing, and which other shapes that side has of its implementation."""
    found = base or new
    assert found is not None
    here, away, side = ("BASE", "NEW", "new") if base else ("NEW", "BASE", "base")
    cases = others[side].get(_kind(found.case), ())
    if not cases:
        return f"only in {here}"
    values = {
        name: [case.point.get(name) for case in cases]
        for name, value in found.case.point.items()
        if all(case.point.get(name) != value for case in cases)
    }
    listed = "; ".join(f"{name} {_listed(found)}" for name, found in values.items())
    return f"only in {here}: other shapes in {away}" + (f" ({listed})" if listed else "")


def _listed(values: Iterable[object]) -> str:
    distinct = list(dict.fromkeys("absent" if value is None else str(value) for value in values))
    return ", ".join(distinct[:NAMED_AT_MOST]) + (" and others" if len(distinct) > NAMED_AT_MOST else "")


def _points(side: Sequence[Figures]) -> dict[tuple[str, ...], list[Case]]:
    found: dict[tuple[str, ...], list[Case]] = {}
    for figures in side:
        found.setdefault(_kind(figures.case), []).append(figures.case)
    return found


def _kind(case: Case) -> tuple[str, ...]:
    """Return what a case is but for its point; of a device the kind, as in its id."""
    kind = case.device.partition(":")[0]
    return case.scenario, case.problem, case.implementation, case.dtype, kind, case.direction, case.cache
