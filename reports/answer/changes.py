"""What a comparison found, in words: a headline, remarks, one line for each demand, one row for each case."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.comparing.results import OUTCOMES
from reports import units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.comparing.demands import Judged, Quantity
    from harness.comparing.machines import Difference
    from harness.comparing.results import Changes, Compared, Exact

# Reasons, implementations and facts that a sentence names.
NAMED_AT_MOST = 6
# A machine that moved by less is as it was.
MOVED_AT_LEAST = 0.01
COLUMNS = (
    "outcome", "scenario", "implementation", "point", "base", "new", "ratio", "95 % interval", "extra memory",
    "operations", "error / budget", "remark",
)  # fmt: skip
MEAN_COLUMNS = ("scenario", "implementation", "cases", "mean ratio", "95 % interval")


@dataclass(frozen=True)
class Row:
    """One case as tables show it, under COLUMNS."""

    outcome: str
    scenario: str
    implementation: str
    point: str
    base: str
    new: str
    ratio: str
    interval: str
    memory: str
    operations: str
    error: str
    remark: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the cells under COLUMNS."""
        return (self.outcome, self.scenario, self.implementation, self.point, self.base, self.new, self.ratio,
                self.interval, self.memory, self.operations, self.error, self.remark)  # fmt: skip


def title(changes: Changes) -> str:
    """Name what is compared."""
    if changes.by:
        return f"Implementations of {changes.new}, each against {changes.base}"
    return f"{changes.new} against {changes.base}"


def headline(changes: Changes) -> str:
    """Say in a sentence how many cases compare, and how they came out."""
    total, comparable = len(changes.cases), changes.comparable
    if not total:
        return "Nothing compares: neither side has a case."
    if not comparable:
        return f"No time compares, of {units.counted(total, 'case')}: {reasons(changes)}."
    counts = Counter(one.outcome for one in changes.cases)
    parts = [f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES[:-1] if counts[outcome]]
    verb = "compares" if comparable == 1 else "compare"
    said = f"{comparable:,} of {units.counted(total, 'case')} {verb}: {units.listing(parts)}."
    return said if comparable == total else f"{said} Not compared: {reasons(changes)}."


def reasons(changes: Changes) -> str:
    """Say why cases don't compare, the commonest reason first."""
    counts = Counter(one.reason.partition(":")[0] for one in changes.having("not comparable"))
    said = [f"{count:,} {reason}" for reason, count in counts.most_common(NAMED_AT_MOST)]
    rest = counts.total() - sum(count for _, count in counts.most_common(NAMED_AT_MOST))
    said += [f"{rest:,} for other reasons"] if rest else []
    detail = next((one.reason for one in changes.cases if one.reason.startswith("other machine: ")), "")
    more = f" ({detail.removeprefix('other machine: ')})" if detail else ""
    return units.listing(said) + more


def remarks(changes: Changes) -> list[str]:
    """Say what else a reader must know: sources and software that changed, a machine that moved, wrong answers."""
    said = (
        ["Both sides took turns on one device: a ratio is of visits right after each other."] if changes.in_turn else []
    )
    changed = sorted({one.case.implementation for one in changes.cases if one.has_new_source})
    if changed:
        said.append(f"Changed source: {_named(changed)}.")
    if changes.software:
        said.append(f"Other software: {_facts(changes.software)}.")
    if changes.machine and changes.comparable == 0:
        said.append(f"Other machine: {_facts(changes.machine)}. Memory and operations compare all the same.")
    if changes.unknown and changes.comparable:
        verb = "names" if len(changes.unknown) == 1 else "name"
        said.append(f"{units.listing(changes.unknown)} {verb} no machine: whether it is the same is for you to know.")
    said += _moved(changes)
    wrong = [one for one in changes.cases if one.is_newly_wrong]
    before = [one for one in wrong if not changes.by and one.base is not None and one.base.status == "ok"]
    said += [f"No longer right: {_labels(before)}."] if before else []
    others = [one for one in wrong if one not in before]
    said += [f"Not right: {_labels(others)}."] if others else []
    lost = [one for one in changes.cases if one.is_lost]
    if lost and not changes.by:
        said.append(f"No longer run to their end: {_labels(lost)}.")
    for what, of in (("extra memory", "memory"), ("operations", "operations")):
        figures = [one for one in changes.cases if (figure := getattr(one, of)) is not None and figure.is_other]
        if figures and not changes.by:
            more = sum(getattr(one, of).new > getattr(one, of).base for one in figures)
            said.append(f"{what.capitalize()} changed in {units.counted(len(figures), 'case')}, in {more:,} to more.")
    return said


def _moved(changes: Changes) -> list[str]:
    machine, said = changes.moved, []
    if machine is None:
        return []
    if machine.canary is not None and abs(machine.canary - 1) >= MOVED_AT_LEAST:
        said.append(f"The machine moved: the undisturbed canary takes {units.ratio(machine.canary)} its time.")
    if machine.unchanged is not None and abs(machine.unchanged - 1) >= MOVED_AT_LEAST:
        said.append(
            f"Cases whose source is the same moved together by {units.change(machine.unchanged)} (median over "
            f"implementations of {machine.controls:,} cases): the machine, or something beneath them, did that."
        )
    if machine.scatter > 1 + MOVED_AT_LEAST:
        said.append(
            f"Cases whose source is the same scatter {units.ratio(machine.scatter)} as far as their intervals allow."
        )
    if said:
        said.append("Intervals of ratios are wider by that.")
    return said


def demand_lines(changes: Changes, judged: Sequence[Judged]) -> list[str]:
    """Say of each demand whether it holds, on how many cases, and what it could not see."""
    return [_demand_line(changes, one) for one in judged]


def _demand_line(changes: Changes, one: Judged) -> str:
    name = f"--fail-on {one.demand.text}"
    labels = {case.case.id: case for case in changes.cases}
    if one.holds is None:
        why = "neither side has a case"
        if changes.cases:
            why = "no case has the figure on both sides" if changes.comparable else reasons(changes)
        return f"{name}: nothing to judge; {why}"
    cleared = f"; {units.counted(len(one.cleared), 'case')} did not repeat" if one.cleared else ""
    left = one.total - one.compared
    rest = f"; {left:,} of {one.total:,} can't be judged" if left else ""
    if one.breaches:
        worst = _worst([labels[id_] for id_ in one.breaches], one.demand.quantity)
        of = units.counted(one.compared, "case")
        return f"{name}: FAILED in {len(one.breaches):,} of {of}: {worst}{cleared}{rest}"
    if one.demand.quantity == "slower":
        unsure = one.compared - one.ruled_out
        seen = f"the interval rules it out in {one.ruled_out:,}" + (f", not in {unsure:,}" if unsure else "")
        return f"{name}: holds in {units.counted(one.compared, 'case')}; {seen}{cleared}{rest}"
    return f"{name}: holds in {units.counted(one.compared, 'case')}{rest}"


def _worst(breaches: Sequence[Compared], quantity: Quantity) -> str:
    """Name the breaches of a demand by how much worse the quantity is that it names; what came of nothing first."""
    if quantity == "disagreed":
        return _labels(breaches)
    factors = {one.case.id: _factor(one, quantity) for one in breaches}
    ordered = sorted(breaches, key=lambda one: -(factors[one.case.id] or float("inf")))
    return _labels(ordered, factors)


def _factor(one: Compared, quantity: Quantity) -> float | None:
    if quantity == "slower":
        return one.ratio
    figure = one.memory if quantity == "memory" else one.operations
    return figure.factor if figure else None


def rows(changes: Changes, *, all_cases: bool = False) -> list[Row]:
    """Return the cases worst first; unless all are asked for, those in which something changed."""
    ordered = sorted(changes.cases, key=lambda one: badness(one, changes))
    return [row(one) for one in ordered if all_cases or is_changed(one, changes)]


def is_changed(one: Compared, changes: Changes) -> bool:
    """Tell whether a case is worth a row of its own."""
    if one.outcome in {"slower", "faster"} or one.is_newly_wrong or one.is_lost:
        return True
    exact = (one.memory, one.operations)
    return not changes.by and any(figure is not None and figure.is_other for figure in exact)


def badness(one: Compared, changes: Changes) -> tuple[int, float]:
    """Return the key that sorts cases from the worst to the best."""
    if one.is_newly_wrong or one.is_lost:
        return (0, 0.0)
    if one.outcome == "slower":
        return (1, -(one.ratio or 0.0))
    grown = [figure.factor or float("inf") for figure in (one.memory, one.operations) if figure and figure.grew_by(0.0)]
    if grown and not changes.by:
        return (2, -max(grown))
    order = {"inconclusive": 3, "same": 4, "faster": 5, "not comparable": 6}
    return (order[one.outcome], -(one.ratio or 0.0))


def row(one: Compared) -> Row:
    """Write a case."""
    base, new = one.base, one.new
    return Row(
        outcome=one.outcome,
        scenario=one.case.scenario,
        implementation=one.case.implementation,
        point=point(one),
        base=units.seconds(base.seconds if base else None),
        new=units.seconds(new.seconds if new else None),
        ratio=units.ratio(one.ratio),
        interval=interval(one.low, one.high),
        memory=_counted(one.memory, units.size),
        operations=_counted(one.operations, lambda value: units.count(value, "")),
        error=_both(one.error, lambda value: units.digits(value, significant=2)),
        remark=remark(one),
    )


def remark(one: Compared) -> str:
    """Say why there is no outcome, or that the source changed."""
    return "; ".join(part for part in (one.reason, "changed source" if one.has_new_source else "") if part)


def point(one: Compared) -> str:
    """Write the point, dtype and direction of a case."""
    sizes = ", ".join(f"{name} {value}" for name, value in one.case.point.items())
    direction = "" if one.case.direction == "forward" else f", {one.case.direction}"
    cold = ", cold" if one.case.cache == "cold" else ""
    return f"{sizes}, {one.case.dtype}{direction}{cold}"


def interval(low: float | None, high: float | None) -> str:
    """Write the interval of a ratio."""
    return units.ABSENT if low is None or high is None else f"{low:.3g} to {high:.3g}"


def mean_rows(changes: Changes) -> list[tuple[str, ...]]:
    """Write the geometric means, under MEAN_COLUMNS."""
    return [
        (one.scenario, one.implementation, f"{one.cases:,}", units.ratio(one.ratio), interval(one.low, one.high))
        for one in changes.means
    ]


def _both(figure: Exact | None, write: Callable[[float], str]) -> str:
    if figure is None:
        return units.ABSENT
    before, after = write(figure.base), write(figure.new)
    return after if before == after else f"{before} → {after}"


def _counted(figure: Exact | None, write: Callable[[float], str]) -> str:
    """Write a figure that is exact: a change that its digits don't show is said as a share."""
    said = _both(figure, write)
    is_hidden = figure is not None and figure.is_other and "→" not in said
    return f"{said} ({units.change(figure.factor)})" if is_hidden and figure and figure.factor else said


def _labels(cases: Sequence[Compared], factors: Mapping[str, float | None] | None = None) -> str:
    """Name cases with their factors, by case id; those of their times unless told."""
    known = {one.case.id: one.ratio for one in cases} if factors is None else factors
    said = []
    for one in cases[:NAMED_AT_MOST]:
        factor = known[one.case.id]
        said.append(f"{one.case.implementation} {point(one)}" + (f" ({units.ratio(factor)})" if factor else ""))
    more = len(cases) - NAMED_AT_MOST
    return "; ".join(said) + (f" and {more:,} more" if more > 0 else "")


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _facts(found: Iterable[Difference]) -> str:
    return "; ".join(f"{one.fact} {units.fact(one.fact, one.base)} → {units.fact(one.fact, one.new)}" for one in found)
