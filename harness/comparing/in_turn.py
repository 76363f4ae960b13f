"""Two sides that were measured in turn, compared case by case from the rounds that both have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.comparing import times
from harness.comparing.compare import compared, limits_of, means_of
from harness.comparing.machines import differences
from harness.comparing.matching import match
from harness.comparing.results import Changes
from harness.comparing.snapshot import snapshot
from harness.stats.comparison import conclude
from harness.stats.pairs import pair_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.policy import ComparisonPolicy
    from harness.records import Round
    from harness.results.run import Run
    from harness.stats.comparison import Comparison

# Fewer rounds in common have no scatter to take an interval from.
ROUNDS_AT_LEAST = 2


def compare_sides(base: Run, new: Run, *, policy: ComparisonPolicy) -> Changes:
    """Compare every case of two sides that took turns; the ratio of a case is over the rounds that both sides have.

    However the two environments differ, they ran on one machine: every difference between them is one of software.
    """
    policy = stricter(policy)
    before, after = snapshot(base), snapshot(new)
    machine, software = differences(before, after)
    pairs = match(before.cases, after.cases)
    ratios = {pair.case.id: log_ratios(base.rounds, new.rounds, case=pair.case.id) for pair in pairs if not pair.reason}
    usable = [pair for pair in pairs if sum(map(len, ratios.get(pair.case.id, []))) >= ROUNDS_AT_LEAST]
    outcomes: dict[str, Comparison] = {}
    means = []
    if usable:
        found = pair_errors([ratios[pair.case.id] for pair in usable], policy=policy)
        decided = conclude(found.effects, found.standard, found.freedom, policy=policy)
        outcomes = {pair.case.id: one for pair, one in zip(usable, decided, strict=True)}
        errors = times.Errors(found.rounds, found.between, found.freedom)
        means = means_of(usable, found.effects, errors, shift=times.Moved(), confidence=policy.confidence)
    return Changes(
        base=base.label,
        new=new.label,
        in_turn=True,
        **limits_of(policy),
        software=[*machine, *software],
        cases=[compared(pair, outcomes.get(pair.case.id)) for pair in pairs],
        means=means,
    )


def stricter(policy: ComparisonPolicy) -> ComparisonPolicy:
    """Return a policy with the rate of false discoveries that it has for sides that took turns."""
    return policy.model_copy(update={"false_discoveries": policy.false_discoveries_in_turn})


def log_ratios(
    base: Mapping[str, Sequence[Round]], new: Mapping[str, Sequence[Round]], *, case: str
) -> list[list[float]]:
    """Return log(new / base) of the smallest samples of each round that both sides have, a list for each process."""
    first, second = ({(one.process, one.index): one for one in side.get(case, ())} for side in (base, new))
    found: dict[int, list[float]] = {}
    for process, index in sorted(first.keys() & second.keys()):
        before, after = first[process, index].samples, second[process, index].samples
        if before and after:
            found.setdefault(process, []).append(math.log(min(after) / min(before)))
    return list(found.values())
