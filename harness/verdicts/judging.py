"""Verdicts: what records and counted degrees say of each claim, with the evidence that decided.

Operations that are counted decide; memory decides what claims memory; time alone is consistent, contradicted or
inconclusive, nothing more. Counted operations with a claim that time contradicts leave it inconclusive.
"""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from harness.policy import ScalingPolicy
from harness.records import Verdict, Verdicts
from harness.verdicts.descriptions import additive, crossover, joint
from harness.verdicts.evidence import Group, Part
from harness.verdicts.other_laws import judge_causal, judge_exponential, judge_faster
from harness.verdicts.power import judge_power

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.records import Degrees, Record
    from harness.verdicts.evidence import Outcome
    from scenarios.scenario import Claim, Scenario

# Degrees by problem, implementation, direction and kind of device.
Counted = dict[tuple[str, str, str, str], "Degrees"]


def judge(
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
    measured = [record for record in records if record.status == "ok" and record.case.cache == "hot"]
    counted: Counted = {(d.problem, d.implementation, d.direction, d.device): d for d in degrees}
    verdicts: list[Verdict] = []
    for problem, claim in _claims(scenarios):
        about = [r for r in measured if r.case.problem == problem and _is_about(claim, r.case.implementation)]
        for group in _groups(about, counted):
            verdicts += _judge_group(claim, group, measured, policy)
    return Verdicts(verdicts=verdicts)


def unexpected(verdicts: Verdicts, fail_on: Iterable[str] = ("refuted",)) -> list[Verdict]:
    """Return the verdicts over all quantities that were asked to fail on and that arithmetic does not predict.

    Claims that are there to be refuted, and those whose outcome is what is measured, fail nothing.
    """
    wanted = set(fail_on)
    return [
        verdict
        for verdict in verdicts.verdicts
        if verdict.quantity == "all" and verdict.verdict in wanted and verdict.evidence["arithmetic"] == "confirmed"
    ]


def summary_rows(verdicts: Verdicts) -> list[tuple[str, str, str, str, str]]:
    """Return a row a verdict over all quantities: claim, implementation, verdict, exponent in time, reason."""
    rows: list[tuple[str, str, str, str, str]] = []
    for verdict in verdicts.verdicts:
        if verdict.quantity != "all":
            continue
        where = (verdict.dtype,) if verdict.direction == "forward" else (verdict.dtype, verdict.direction)
        interval = ""
        if verdict.low is not None and verdict.high is not None:
            what = "ratio" if verdict.evidence["law"] == "ratio" else verdict.axis
            exact = verdict.low == verdict.high
            interval = f"{what}: {verdict.low:.2f}" + ("" if exact else f" to {verdict.high:.2f}")
        name = f"{verdict.implementation} ({', '.join(where)})"
        rows.append((verdict.claim, name, verdict.verdict, interval, verdict.reason))
    return rows


def _claims(scenarios: Iterable[Scenario]) -> list[tuple[str, Claim]]:
    """List the distinct claims of scenarios with their problem, in order."""
    found: list[tuple[str, Claim]] = []
    for scenario in scenarios:
        found += [(scenario.problem, claim) for claim in scenario.claims if (scenario.problem, claim) not in found]
    return found


def _is_about(claim: Claim, implementation: str) -> bool:
    left_out = [pattern[1:] for pattern in claim.about if pattern.startswith("!")]
    if any(fnmatch.fnmatchcase(implementation, pattern) for pattern in left_out):
        return False
    return any(fnmatch.fnmatchcase(implementation, pattern) for pattern in claim.about)


def _groups(records: list[Record], counted: Counted) -> list[Group]:
    found: dict[tuple[str, str, str, str, str], list[Record]] = {}
    for record in records:
        case = record.case
        key = (case.problem, case.implementation, case.dtype, case.device, case.direction)
        found.setdefault(key, []).append(record)
    return [
        Group(*key, members, counted.get((key[0], key[1], key[4], key[3].split(":")[0])))
        for key, members in found.items()
    ]


def _judge_group(claim: Claim, group: Group, measured: Sequence[Record], policy: ScalingPolicy) -> list[Verdict]:
    if claim.law == "exponential":
        parts = judge_exponential(claim, group, policy)
    elif claim.law == "ratio" and claim.baseline == "causal":
        parts = judge_causal(claim, group, policy)
    elif claim.law == "ratio":
        parts = judge_faster(claim, group, measured)
    else:
        parts = judge_power(claim, group, policy)
    if not parts:
        return []
    whole = _conclude(claim, parts)
    extra = {**crossover(claim, group), **joint(claim, group, policy), **additive(claim, group)}
    whole = replace(whole, evidence={**whole.evidence, **extra})
    if "crossover" in extra and whole.verdict == "confirmed":
        reason = f"{whole.reason}; the quadratic terms overtake the linear ones at n = {extra['crossover']:.0f}"
        whole = replace(whole, reason=reason)
    return [*(_verdict(claim, group, part) for part in parts), _verdict(claim, group, whole, quantity="all")]


def _verdict(claim: Claim, group: Group, part: Part, *, quantity: Literal["all"] | None = None) -> Verdict:
    evidence = {"says": claim.says, "source": claim.source, "arithmetic": claim.expected, "law": claim.law}
    evidence |= part.evidence
    reason = part.reason
    if part.to_decide:
        evidence["to_decide"] = part.to_decide
        reason = f"{reason}; to decide, {part.to_decide}"
    return Verdict(
        claim=claim.id,
        implementation=group.implementation,
        quantity=quantity or part.quantity,
        verdict=part.verdict,
        axis=part.axis,
        expected=part.expected,
        exponent=part.exponent,
        low=part.low,
        high=part.high,
        evidence=evidence,
        reason=reason,
        dtype=group.dtype,
        device=group.device,
        direction=group.direction,
    )


def _conclude(claim: Claim, parts: Sequence[Part]) -> Part:
    """Combine the parts: a refuted count or memory refutes, all confirmed confirm unless time contradicts."""
    decided: dict[str, list[Part]] = {
        quantity: [part for part in parts if part.quantity == quantity] for quantity in ("operations", "memory", "time")
    }
    exact = decided["operations"] + decided["memory"]
    shown = (decided["time"] or decided["memory"] or list(parts))[0]
    for part in exact:
        if part.verdict == "refuted":
            return _whole(part, "refuted", part.reason, parts)
    against = next((part for part in decided["time"] if part.verdict == "contradicted"), None)
    countable = [part for part in exact if part.verdict == "confirmed"]
    if not countable:
        return _by_time_alone(decided, shown, parts)
    missing = next((part for part in exact if part.verdict == "inconclusive"), None)
    if missing is not None:
        return _whole(shown, "inconclusive", missing.reason, parts, to_decide=missing.to_decide)
    held = _held(countable)
    if against is not None:
        reason = f"{held}, but time does not follow: {against.reason}"
        return _whole(against, "inconclusive", reason, parts, to_decide=_segments(against))
    if claim.law == "ratio" and any(part.verdict == "inconclusive" for part in decided["time"]):
        part = decided["time"][0]
        return _whole(part, "inconclusive", part.reason, parts, to_decide=part.to_decide)
    agreeing = [part for part in decided["time"] if part.verdict == "consistent"]
    open_parts = [part for part in decided["time"] if part.verdict == "inconclusive"]
    reason = held
    if agreeing:
        reason += f", time is consistent along {', '.join(part.axis for part in agreeing)}"
    if open_parts:
        reason += f", time is inconclusive along {', '.join(part.axis for part in open_parts)}: {open_parts[0].reason}"
    return _whole((agreeing or countable)[0], "confirmed", reason, parts)


def _held(parts: Sequence[Part]) -> str:
    """Say which exact quantities are as claimed, with their degrees."""
    said = []
    for quantity, words in (("operations", "operations are"), ("memory", "extra memory is")):
        some = [part for part in parts if part.quantity == quantity]
        degrees = ", ".join(f"{part.axis}: {part.expected:g}" for part in some if part.expected is not None)
        if some:
            said.append(f"{words} as claimed ({degrees})" if degrees else f"{words} as claimed, {some[0].reason}")
    return ", ".join(said)


def _by_time_alone(decided: Mapping[str, list[Part]], shown: Part, parts: Sequence[Part]) -> Part:
    why = next((part.reason for part in decided["operations"] + decided["memory"]), "")
    times = decided["time"]
    if not times:
        return _whole(shown, "inconclusive", why, parts, to_decide=shown.to_decide)
    against = next((part for part in times if part.verdict == "contradicted"), None)
    left = next((part for part in times if part.verdict == "inconclusive"), None)
    part = against or left or times[0]
    reason = f"{part.reason} (time alone{'; ' + why if why else ''})"
    return _whole(part, part.verdict, reason, parts, to_decide=part.to_decide)


def _whole(shown: Part, verdict: Outcome, reason: str, parts: Sequence[Part], *, to_decide: str = "") -> Part:
    """Make the verdict over all quantities, naming what each said."""
    by = {f"{part.quantity} along {part.axis}": part.verdict for part in parts}
    return replace(shown, verdict=verdict, reason=reason, to_decide=to_decide, evidence={"by": by})


def _segments(part: Part) -> str:
    changes = part.evidence.get("changes") or []
    if changes:
        return (
            f"judge the segments between n = {', '.join(map(str, changes))}, where other kernels or page faults set in"
        )
    return "look at the local slopes, and repeat the sweep on a quiet machine"
