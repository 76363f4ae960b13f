"""Verdicts: what records and counted degrees say of each claim, with the evidence that decided.

Operations that are counted decide; memory decides what claims memory; time alone is consistent, contradicted or
inconclusive, nothing more. Counted operations with a claim that time contradicts leave it inconclusive.
"""

from __future__ import annotations

import fnmatch
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.policy import ScalingPolicy
from harness.results.reasons import AsClaimed, Held, JudgeSegments, SeeSlopes, TimeAlone, TimeDiffers, WrongAnswers
from harness.results.verdicts_file import Verdict, Verdicts
from harness.verdicts.descriptions import additive, crossover, joint
from harness.verdicts.evidence import Group, Part, wrong_sizes
from harness.verdicts.other_laws import judge_causal, judge_exponential, judge_faster
from harness.verdicts.power import judge_power

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.records import Degrees, Record
    from harness.results.reasons import Advice, Reason
    from harness.verdicts.evidence import Ties, VerdictName
    from scenarios.scenario import Claim, Scenario

# Degrees by problem, implementation, direction and kind of device.
DegreesOf = dict[tuple[str, str, str, str], "Degrees"]


def judge_claims(
    records: Iterable[Record],
    scenarios: Iterable[Scenario],
    degrees: Iterable[Degrees] = (),
    *,
    policy: ScalingPolicy | None = None,
) -> Verdicts:
    """Judge every claim of the scenarios for every implementation, dtype, device and direction it is about.

    Each gets a verdict for each quantity and axis, and one over `all`. Series of sizes are found among all records of
    the claim's problem, whichever scenario measured them.
    """
    policy = policy or ScalingPolicy()
    hot = [record for record in records if record.case.cache == "hot"]
    measured = [record for record in hot if record.status == "ok"]
    wrong = [record for record in hot if record.status == "disagreed"]
    counted: DegreesOf = {(d.problem, d.implementation, d.direction, d.device): d for d in degrees}
    verdicts: list[Verdict] = []
    scenarios = list(scenarios)
    for problem, claim in _claims(scenarios):
        ties = _ties(scenarios, claim)
        about = [r for r in measured if r.case.problem == problem and _is_about(claim, r.case.default)]
        for group in _groups(about, wrong, counted):
            verdicts += _judge_group(claim, group, measured, policy, ties=ties)
    return Verdicts(verdicts=verdicts)


def unexpected(verdicts: Verdicts, fail_on: Iterable[str] = ("refuted",)) -> list[Verdict]:
    """Return the verdicts over all quantities that were asked to fail on and that arithmetic does not predict.

    Claims that are there to be refuted, and those whose outcome is what is measured, fail nothing.
    """
    wanted = set(fail_on)
    return [
        verdict
        for verdict in verdicts.verdicts
        if verdict.quantity == "all" and verdict.verdict in wanted and verdict.arithmetic == "confirmed"
    ]


def summary_rows(verdicts: Verdicts) -> list[tuple[str, str, str, str]]:
    """Return a row per verdict over all quantities: claim, implementation, verdict, exponent in time."""
    rows: list[tuple[str, str, str, str]] = []
    for verdict in verdicts.verdicts:
        if verdict.quantity != "all":
            continue
        where = (verdict.dtype,) if verdict.direction == "forward" else (verdict.dtype, verdict.direction)
        interval = ""
        if verdict.low is not None and verdict.high is not None:
            what = "ratio" if verdict.form == "ratio" else verdict.axis
            exact = verdict.low == verdict.high
            interval = f"{what}: {verdict.low:.2f}" + ("" if exact else f" to {verdict.high:.2f}")
        name = f"{verdict.implementation} ({', '.join(where)})"
        rows.append((verdict.claim, name, verdict.verdict, interval))
    return rows


def _claims(scenarios: Iterable[Scenario]) -> list[tuple[str, Claim]]:
    """List the distinct claims of scenarios with their problem, in order."""
    found: list[tuple[str, Claim]] = []
    for scenario in scenarios:
        found += [(scenario.problem, claim) for claim in scenario.claims if (scenario.problem, claim) not in found]
    return found


def _ties(scenarios: Iterable[Scenario], claim: Claim) -> Ties:
    """Return the axes that others follow in the scenarios that make a claim, with what follows and how."""
    swept = [axis for scenario in scenarios if claim in scenario.claims for axis in scenario.axes]
    return {axis.name: axis.tied for axis in swept if axis.tied}


def _is_about(claim: Claim, implementation: str) -> bool:
    left_out = [pattern[1:] for pattern in claim.about if pattern.startswith("!")]
    if any(fnmatch.fnmatchcase(implementation, pattern) for pattern in left_out):
        return False
    return any(fnmatch.fnmatchcase(implementation, pattern) for pattern in claim.about)


def _groups(records: Iterable[Record], wrong: Iterable[Record], counted: DegreesOf) -> list[Group]:
    """Group the records, and those that were wrong with the others of their implementation."""
    found, spoilt = _by_key(records), _by_key(wrong)
    return [
        Group(*key, members, counted.get((key[0], key[1], key[4], key[3].split(":")[0])), spoilt.get(key, ()))
        for key, members in found.items()
    ]


def _by_key(records: Iterable[Record]) -> dict[tuple[str, str, str, str, str], list[Record]]:
    found: dict[tuple[str, str, str, str, str], list[Record]] = {}
    for record in records:
        case = record.case
        key = (case.problem, case.implementation, case.dtype, case.device, case.direction)
        found.setdefault(key, []).append(record)
    return found


def _judge_group(
    claim: Claim, group: Group, measured: Sequence[Record], policy: ScalingPolicy, *, ties: Ties
) -> list[Verdict]:
    if claim.law == "exponential":
        parts = judge_exponential(claim, group, policy)
    elif claim.law == "ratio" and claim.baseline == "causal":
        parts = judge_causal(claim, group, policy)
    elif claim.law == "ratio":
        parts = judge_faster(claim, group, measured)
    else:
        parts = judge_power(claim, group, policy, ties=ties)
    if not parts:
        return []
    parts = [_unless_wrong(part, group) for part in parts]
    return [*(_of_part(claim, group, part) for part in parts), _over_all(claim, group, parts, policy)]


def _unless_wrong(part: Part, group: Group) -> Part:
    """Return a part as it is, or left open where answers along its axis were wrong: what remains shows no law."""
    # What a mask saves is compared from size to size.
    axis = "n" if part.axis == "causal" else part.axis
    sizes, right = wrong_sizes(group, axis=axis)
    if not sizes:
        return part
    reason = WrongAnswers(axis=axis, sizes=sizes, right=right)
    return Part(part.quantity, part.axis, "inconclusive", reason, part.expected, evidence=part.evidence)


def _of_part(claim: Claim, group: Group, part: Part) -> Verdict:
    return _begun(claim, group, part)(
        quantity=part.quantity,
        verdict=part.verdict,
        law=part.law,
        cases=part.cases,
        evidence=part.evidence,
        reason=part.reason,
        to_decide=part.to_decide,
    )


def _over_all(claim: Claim, group: Group, parts: Sequence[Part], policy: ScalingPolicy) -> Verdict:
    """Combine the parts, with what each said and with fits that describe."""
    described = {**crossover(claim, group), **joint(claim, group, policy), **additive(claim, group)}
    concluded = _conclude(claim, parts, crossover_n=described.get("crossover"))
    return _begun(claim, group, concluded.shown)(
        quantity="all",
        verdict=concluded.verdict,
        evidence={"by": {f"{part.quantity} along {part.axis}": part.verdict for part in parts}, **described},
        reason=concluded.reason,
        to_decide=concluded.to_decide,
    )


def _begun(claim: Claim, group: Group, part: Part) -> functools.partial[Verdict]:
    """Return a verdict that knows which claim of whom it is about, and the figures of one part."""
    return functools.partial(
        Verdict,
        claim=claim.id,
        says=claim.says,
        source=claim.source,
        form=claim.law,
        arithmetic=claim.expected,
        implementation=group.implementation,
        dtype=group.dtype,
        device=group.device,
        direction=group.direction,
        axis=part.axis,
        expected=part.expected,
        exponent=part.exponent,
        low=part.low,
        high=part.high,
    )


@dataclass(frozen=True)
class Conclusion:
    """Hold the verdict over all quantities; `shown` is the part whose figures stand for it."""

    shown: Part
    verdict: VerdictName
    reason: Reason
    to_decide: Advice | None = None


def _conclude(claim: Claim, parts: Sequence[Part], *, crossover_n: float | None) -> Conclusion:
    """Combine the parts: a refuted count or memory refutes, all confirmed confirm unless time contradicts."""
    operations, memory, times = (
        [part for part in parts if part.quantity == quantity] for quantity in ("operations", "memory", "time")
    )
    exact, shown = operations + memory, (times or memory or operations)[0]
    wrong = next((part for part in parts if isinstance(part.reason, WrongAnswers)), None)
    if settled := _first(exact, "refuted") or wrong:
        return Conclusion(settled, settled.verdict, settled.reason)
    if not _first(exact, "confirmed"):
        return _by_time_alone(exact, times, shown)
    if missing := _first(exact, "inconclusive"):
        return Conclusion(shown, "inconclusive", missing.reason, missing.to_decide)
    if against := _first(times, "contradicted"):
        reason = TimeDiffers(held=_held(exact), time=against.reason)
        return Conclusion(against, "inconclusive", reason, _segments(against))
    # A fused kernel is taken to skip masked pairs: only its time shows that it does.
    if claim.law == "ratio" and (unclear := _first(times, "inconclusive")):
        return Conclusion(unclear, "inconclusive", unclear.reason, unclear.to_decide)
    return _confirmed(exact, times, crossover_n=crossover_n)


def _first(parts: Sequence[Part], verdict: VerdictName) -> Part | None:
    return next((part for part in parts if part.verdict == verdict), None)


def _by_time_alone(exact: Sequence[Part], times: Sequence[Part], shown: Part) -> Conclusion:
    why = exact[0].reason if exact else None
    if not times:
        return Conclusion(shown, "inconclusive", shown.reason if why is None else why, shown.to_decide)
    part = _first(times, "contradicted") or _first(times, "inconclusive") or times[0]
    return Conclusion(part, part.verdict, TimeAlone(time=part.reason, exact=why), part.to_decide)


def _confirmed(exact: Sequence[Part], times: Sequence[Part], *, crossover_n: float | None) -> Conclusion:
    agreeing = [part for part in times if part.verdict == "consistent"]
    unclear = [part for part in times if part.verdict == "inconclusive"]
    reason = AsClaimed(
        held=_held(exact),
        consistent_along=[part.axis for part in agreeing],
        inconclusive_along=[part.axis for part in unclear],
        why_inconclusive=unclear[0].reason if unclear else None,
        crossover_n=crossover_n,
    )
    return Conclusion((agreeing or exact)[0], "confirmed", reason)


def _held(exact: Sequence[Part]) -> list[Held]:
    """Return the exact quantities that are as claimed, each with its exponents."""
    held = []
    for quantity in ("operations", "memory"):
        some = [part for part in exact if part.quantity == quantity]
        exponents = {part.axis: part.expected for part in some if part.expected is not None}
        if some:
            held.append(Held(quantity=quantity, exponents=exponents, reason=None if exponents else some[0].reason))
    return held


def _segments(part: Part) -> Advice:
    """Return what may show why time does not follow the counts."""
    starts = part.evidence.get("changes") or []
    return JudgeSegments(axis=part.axis, starts=starts) if starts else SeeSlopes()
