"""Compare two snapshots, or implementations of one run: every case gets an outcome."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.comparing import times
from harness.comparing.machines import differences
from harness.comparing.matching import Pair, match
from harness.comparing.results import Changes, Compared, Exact, Machine, Mean
from harness.comparing.snapshot import figures
from harness.results.pairs.paired import paired

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from harness.comparing.machines import Difference
    from harness.comparing.results import Outcome
    from harness.comparing.snapshot import Figures, Snapshot
    from harness.policy import ComparisonPolicy
    from harness.records import Record
    from harness.results.run import Run
    from harness.stats.comparison import Comparison

# Facts that a reason names.
FACTS_AT_MOST = 3
TOO_FEW = "too few rounds for an interval"


def compare(base: Snapshot, new: Snapshot, *, policy: ComparisonPolicy) -> Changes:
    """Compare every case of two runs that were made one after the other.

    Times compare on one machine only, counts and bytes on any. Same is what lies within the policy's band for runs.
    """
    policy = policy.model_copy(update={"same_within": policy.same_within_runs})
    machine, software = differences(base, new)
    elsewhere = _elsewhere(machine)
    pairs = match(base.cases, new.cases)
    usable = [pair for pair in pairs if not pair.reason and not elsewhere and _have_intervals(pair)]
    outcomes: dict[str, Comparison] = {}
    means: list[Mean] = []
    moved: times.Moved | None = None
    if usable:
        effects = np.array([_effect(pair) for pair in usable])
        found = times.errors(
            _side(usable, of=lambda pair: pair.base, between=base.process_deviation),
            _side(usable, of=lambda pair: pair.new, between=new.process_deviation),
            confidence=policy.confidence,
        )
        moved = times.moved(
            effects,
            found,
            unchanged=_unchanged(usable) if not software else {},
            canary=_log_ratio(base.canary_floor, new.canary_floor),
        )
        decided = times.decide(effects, found, shift=moved, policy=policy)
        outcomes = {pair.case.id: one for pair, one in zip(usable, decided, strict=True)}
        means = means_of(usable, effects, found, shift=moved, confidence=policy.confidence)
    return Changes(
        base=base.name,
        new=new.name,
        **limits_of(policy),
        machine=machine,
        software=software,
        unknown=[side.name for side in (base, new) if not side.stable],
        moved=_machine(moved),
        cases=[compared(pair, outcomes.get(pair.case.id), elsewhere=elsewhere) for pair in pairs],
        means=means,
    )


def compare_implementations(run: Run, *, base: str, policy: ComparisonPolicy) -> Changes:
    """Compare every implementation of a run with one of them at the same point, from the rounds in which both were."""
    at_point = {record.case.point_key: record for record in run.records if record.case.implementation == base}
    pairs = [
        (at_point.get(record.case.point_key), record) for record in run.records if record.case.implementation != base
    ]
    found = paired(run, baseline=base)
    cases = []
    for first, second in pairs:
        pair = _beside(first, second, base=base)
        one = found.get(second.case.id)
        known: dict[str, float] = {}
        outcome: Outcome = "not comparable"
        reason = pair.reason
        if not reason:
            outcome, reason = "inconclusive", TOO_FEW
        if one is not None:
            outcome = "inconclusive" if one.outcome == "undecided" else one.outcome
            reason = ""
            known = {"ratio": 1 / one.speed_up, "low": 1 / one.high, "high": 1 / one.low}
        cases.append(Compared(case=pair.case, outcome=outcome, reason=reason, **known, **_exact(pair)))
    return Changes(
        base=base,
        new=run.label,
        by="implementation",
        **limits_of(policy),
        cases=cases,
        means=_paired_means(cases),
    )


def _beside(first: Record | None, second: Record, *, base: str) -> Pair:
    new = figures(second)
    if first is None:
        return Pair(None, new, f"{base} has no case at this point", same_shape=False)
    old = figures(first)
    for name, one in ((base, old), (second.case.implementation, new)):
        if one.seconds is None:
            return Pair(old, new, f"{one.status.replace('_', ' ')} ({name}): {one.reason}", same_shape=True)
    return Pair(old, new, "", same_shape=True)


def limits_of(policy: ComparisonPolicy) -> dict[str, float]:
    """Return the figures of a policy that a comparison is read by."""
    return {
        "effect_at_least": policy.effect_at_least,
        "same_within": policy.same_within,
        "false_discoveries": policy.false_discoveries,
    }


def _elsewhere(machine: Sequence[Difference]) -> str:
    """Say why times don't compare between two machines, empty on one."""
    if not machine:
        return ""
    named = "; ".join(f"{one.fact} {_brief(one.base)}, {_brief(one.new)} in NEW" for one in machine[:FACTS_AT_MOST])
    more = len(machine) - FACTS_AT_MOST
    return f"other machine: {named}" + (f" and {more} more facts" if more > 0 else "")


def _brief(value: object, *, at_most: int = 60) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= at_most else f"{text[:at_most]}…"


def _have_intervals(pair: Pair) -> bool:
    return pair.base is not None and pair.new is not None and pair.base.has_interval and pair.new.has_interval


def _effect(pair: Pair) -> float:
    assert pair.base is not None
    assert pair.new is not None
    return math.log(pair.new.seconds or 1.0) - math.log(pair.base.seconds or 1.0)


def _log_ratio(base: float | None, new: float | None) -> float | None:
    return math.log(new / base) if base and new else None


def _side(pairs: Sequence[Pair], *, of: Callable[[Pair], Figures | None], between: float) -> times.Side:
    side = [figures for pair in pairs if (figures := of(pair)) is not None]
    processes = np.array([one.processes for one in side], dtype=float)
    return times.Side(
        seconds=np.array([one.seconds for one in side], dtype=float),
        low=np.array([one.low for one in side], dtype=float),
        high=np.array([one.high for one in side], dtype=float),
        rounds=np.array([one.rounds for one in side], dtype=float),
        between=between / np.sqrt(processes),
        is_allowed=np.array([bool(one.statistic) for one in side]),
    )


def _unchanged(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """Return the places of cases whose implementation has one source on both sides, by its name."""
    found: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        if pair.base and pair.new and pair.base.digest and pair.base.digest == pair.new.digest:
            found.setdefault(pair.case.implementation, []).append(place)
    return found


def _machine(moved: times.Moved | None) -> Machine | None:
    if moved is None:
        return None
    return Machine(
        canary=None if moved.canary is None else math.exp(moved.canary),
        unchanged=None if moved.unchanged is None else math.exp(moved.unchanged),
        scatter=moved.scatter,
        controls=moved.controls,
    )


def compared(pair: Pair, one: Comparison | None, *, elsewhere: str = "") -> Compared:
    """Return a case with its outcome, or with the reason why there is none."""
    exact = _exact(pair)
    if one is not None:
        return Compared(
            case=pair.case,
            outcome="inconclusive" if one.outcome == "undecided" else one.outcome,
            ratio=one.ratio,
            low=one.low,
            high=one.high,
            adjusted_p=one.adjusted_p,
            **exact,
        )
    if pair.reason or elsewhere:
        return Compared(case=pair.case, outcome="not comparable", reason=pair.reason or elsewhere, **exact)
    ratio = math.exp(_effect(pair))
    return Compared(case=pair.case, outcome="inconclusive", reason=TOO_FEW, ratio=ratio, **exact)


def _exact(pair: Pair) -> dict[str, Figures | Exact | bool | None]:
    """Return both sides of a case, and the figures that compare without statistics."""
    base, new = pair.base, pair.new
    known: dict[str, Figures | Exact | bool | None] = {"base": base, "new": new}
    if base is None or new is None:
        return known
    is_same_name = base.case.implementation == new.case.implementation
    known["has_new_source"] = bool(is_same_name and base.digest and new.digest and base.digest != new.digest)
    if not pair.same_shape:
        return known
    return known | {
        "memory": _both(base.extra_bytes, new.extra_bytes),
        "operations": _both(base.operations, new.operations),
        "error": _both(base.error, new.error),
        "energy": _both(base.energy, new.energy),
    }


def _both(base: float | None, new: float | None) -> Exact | None:
    return None if base is None or new is None else Exact(base=base, new=new)


def means_of(
    pairs: Sequence[Pair],
    effects: NDArray[np.float64],
    found: times.Errors,
    *,
    shift: times.Moved,
    confidence: float,
) -> list[Mean]:
    """Return the geometric means of ratios over each implementation's cases of a scenario."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, pair in enumerate(pairs):
        groups.setdefault((pair.case.scenario, pair.case.implementation), []).append(place)
    means = []
    for (scenario, implementation), of in groups.items():
        errors = times.Errors(found.rounds[of], found.shared[of], found.freedom[of])
        ratio, low, high = times.mean(effects[of], errors, shift=shift, confidence=confidence)
        means.append(
            Mean(scenario=scenario, implementation=implementation, cases=len(of), ratio=ratio, low=low, high=high)
        )
    return means


def _paired_means(cases: Sequence[Compared]) -> list[Mean]:
    """Return geometric means of paired ratios, with intervals as wide as the cases' own: what is shared stays."""
    groups: dict[tuple[str, str], list[Compared]] = {}
    for one in cases:
        if one.ratio and one.low and one.high:
            groups.setdefault((one.case.scenario, one.case.implementation), []).append(one)
    return [
        Mean(
            scenario=scenario,
            implementation=implementation,
            cases=len(of),
            ratio=_geometric([one.ratio for one in of]),
            low=_geometric([one.low for one in of]),
            high=_geometric([one.high for one in of]),
        )
        for (scenario, implementation), of in groups.items()
    ]


def _geometric(values: Sequence[float | None]) -> float:
    return math.exp(sum(math.log(value) for value in values if value) / len(values))
