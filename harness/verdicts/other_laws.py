"""Laws that are no powers: exponential growth, what a causal mask saves, and being faster than a baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.scaling.judgement import judge as judge_law
from harness.statistics import round_interval
from harness.verdicts.evidence import (
    SIZES_AT_LEAST,
    Outcome,
    Part,
    counts_along,
    identity,
    series_along,
    size_of,
    times_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import ScalingPolicy
    from harness.records import Record
    from harness.verdicts.evidence import Group
    from scenarios.scenario import Claim

# A causal share of products beyond this means that masked pairs are computed.
ONLY_MASKED = 0.98


def judge_exponential(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
    """Refute exponential growth by a finite degree of the operations, or by a power that describes the times."""
    parts = []
    counts, why = counts_along(group, "n")
    if counts is not None and counts.degree is not None:
        factor = 2**counts.degree
        reason = (
            f"counted operations are a polynomial of degree {counts.degree} in n: doubling n multiplies by {factor}"
        )
        evidence: dict[str, Any] = {"sizes": counts.sizes, "operations": counts.operations, "how": "counted"}
        degree = counts.degree
        parts.append(Part("operations", "n", "refuted", reason, None, degree, degree, degree, evidence=evidence))
    else:
        why = why or "counted operations are no polynomial of n"
        parts.append(Part("operations", "n", "inconclusive", why))
    series = series_along(group.records, axis="n")
    if len(series) < SIZES_AT_LEAST:
        return parts if group.degrees is not None else []
    sizes, best, _ = times_of(series)
    found = judge_law(sizes, best, claimed=claim.exponents.get("n", 2.0), policy=policy)
    bounded = found.verdict != "inconclusive" and found.high < policy.exponent_high
    outcome: Outcome = "contradicted" if bounded else "inconclusive"
    power = f"a power of n between {found.low:.2f} and {found.high:.2f} describes the times"
    reason = power if bounded else found.reason
    part = Part("time", "n", outcome, reason, None, found.exponent, found.low, found.high, found.to_decide)
    return [*parts, part]


def judge_causal(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
    """Judge what a causal mask saves: by counted products, and by the times of pairs of points."""
    parts, value = [], claim.value or 0.5
    share = group.degrees.causal_share if group.degrees and group.degrees.how == "counted" else None
    if share is not None:
        outcome: Outcome = "confirmed" if abs(share - value) <= policy.ratio_band else "inconclusive"
        outcome = "refuted" if share >= ONLY_MASKED else outcome
        does = "are computed and thrown away" if outcome == "refuted" else "are skipped"
        reason = f"under a causal mask {100 * share:.0f} % of the products remain: masked pairs {does}"
        parts.append(Part("operations", "causal", outcome, reason, value, share, share, share))
    pairs = _causal_pairs(group.records)
    if pairs:
        parts.append(_ratio_part(pairs, value=value, policy=policy))
    return parts


def _causal_pairs(records: Sequence[Record]) -> list[tuple[int, Record, Record]]:
    """Return (n, causal, plain) of points that differ in nothing else, ordered by n."""
    found: dict[str, dict[bool, Record]] = {}
    for record in records:
        rest = {name: value for name, value in record.case.point.items() if name != "causal"}
        found.setdefault(repr(sorted(rest.items())), {})[bool(record.case.point.get("causal", False))] = record
    pairs = [
        (size_of(both[True].case.point, "n"), both[True], both[False])
        for both in found.values()
        if set(both) == {True, False}
    ]
    return sorted(pairs, key=lambda pair: pair[0])


def _ratio_part(pairs: Sequence[tuple[int, Record, Record]], *, value: float, policy: ScalingPolicy) -> Part:
    ratios = [(n, *_ratio(above, below)) for n, above, below in pairs]
    n, ratio, low, high = ratios[-1]
    near, far = policy.ratio_band, 2.0 * policy.ratio_band
    if low is None or high is None:
        outcome: Outcome = "inconclusive"
    elif value - near <= low and high <= value + near:
        outcome = "consistent"
    else:
        outcome = "contradicted" if low > value + far or high < value - far else "inconclusive"
    interval = "" if low is None or high is None else f" (between {low:.2f} and {high:.2f})"
    reason = f"at n = {n} a causal call takes {ratio:.2f} of the time of a full one{interval}"
    evidence = {"ratios": [list(entry) for entry in ratios]}
    to_decide = "compare at a larger n and to a precision of 1 %" if outcome == "inconclusive" else ""
    return Part("time", "causal", outcome, reason, value, ratio, low, high, to_decide, evidence)


def _ratio(above: Record, below: Record) -> tuple[float, float | None, float | None]:
    """Return the ratio of times with its interval, from the best sample of each round, paired by round.

    Rounds visit all cases, so that what slows one round slows both; interference only ever adds, so that the best of a
    round repeats better than its median. Without rounds the medians are compared, and there is no interval.
    """
    if above.time is None or below.time is None:
        raise ValueError("a ratio needs two times")
    pairs = list(zip(above.time.by_round, below.time.by_round, strict=False))
    found = round_interval([[min(ours.samples) / min(theirs.samples)] for ours, theirs in pairs])
    if found is None:
        return above.time.median / below.time.median, None, None
    centre, half = found
    return math.exp(centre), math.exp(centre - half), math.exp(centre + half)


def judge_faster(claim: Claim, group: Group, measured: Sequence[Record]) -> list[Part]:
    """Compare with the baseline implementation along n: time, and extra memory where both are known."""
    series = series_along(group.records, axis="n")
    base = {identity(record): record for record in measured if record.case.implementation == claim.baseline}
    pairs = [(n, record, base[identity(record)]) for n, record in series if identity(record) in base]
    if not pairs:
        return []
    ratios = [(n, *_ratio(ours, theirs)) for n, ours, theirs in pairs]
    n, ratio, low, high = ratios[-1]
    outcome: Outcome = "inconclusive"
    if low is not None and high is not None:
        outcome = "consistent" if high < 1.0 else "contradicted" if low > 1.0 else "inconclusive"
    reason = f"at n = {n} it takes {ratio:.2f} of the time of {claim.baseline}, a speed-up of {1 / ratio:.2f}"
    to_decide = "compare at larger n and to a precision of 1 %" if outcome == "inconclusive" else ""
    evidence = {"ratios": [list(entry) for entry in ratios], "baseline": claim.baseline}
    parts = [Part("time", "n", outcome, reason, None, ratio, low, high, to_decide, evidence)]
    known = [
        (size, ours.memory.extra, theirs.memory.extra)
        for size, ours, theirs in pairs
        if ours.memory and theirs.memory and ours.memory.extra is not None and theirs.memory.extra
    ]
    if known:
        size, extra, base_extra = known[-1]
        less: Outcome = "confirmed" if extra < base_extra else "refuted"
        reason = f"at n = {size} it takes {extra} bytes of extra memory, {claim.baseline} takes {base_extra}"
        shares = {"extra_bytes": [list(entry) for entry in known]}
        share = extra / base_extra
        parts.append(Part("memory", "n", less, reason, None, share, share, share, evidence=shares))
    return parts
