"""Laws that are no powers: exponential growth, what a causal mask saves, and being faster than a baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.records import AxisCounts
from harness.results.reasons import (
    CausalTime,
    CompareLarger,
    FiniteDegree,
    MaskedPairs,
    MemoryBeside,
    NoPolynomial,
    PowerFits,
    TimeBeside,
    TimeLaw,
)
from harness.scaling.judgement import judge_law
from harness.scaling.reasons import PRECISION
from harness.stats.samples import round_interval
from harness.verdicts.evidence import (
    SIZES_AT_LEAST,
    Evidence,
    Part,
    VerdictName,
    cases_of,
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
    exact = _finite_degree(group)
    series = series_along(group.records, axis="n")
    if len(series) < SIZES_AT_LEAST:
        return [exact] if group.degrees is not None else []
    sizes, seconds, _ = times_of(series)
    judged = judge_law(sizes, seconds, claimed=claim.exponents.get("n", 2.0), policy=policy)
    bounded = judged.verdict != "inconclusive" and judged.high < policy.exponent_high
    timed = Part(
        "time",
        "n",
        "contradicted" if bounded else "inconclusive",
        PowerFits(axis="n", low=judged.low, high=judged.high) if bounded else TimeLaw(axis="n", law=judged.reason),
        None,
        judged.exponent,
        judged.low,
        judged.high,
        judged.to_decide,
        judged.law,
        cases_of(series),
    )
    return [exact, timed]


def _finite_degree(group: Group) -> Part:
    counts = counts_along(group, "n")
    if not isinstance(counts, AxisCounts):
        return Part("operations", "n", "inconclusive", counts)
    degree, sizes = counts.degree, counts.sizes
    if degree is None:
        unknown = NoPolynomial(axis="n", sizes=len(sizes), smallest=sizes[0], largest=sizes[-1])
        return Part("operations", "n", "inconclusive", unknown)
    evidence: Evidence = {"sizes": sizes, "operations": counts.operations, "how": "counted"}
    reason = FiniteDegree(axis="n", degree=degree)
    return Part("operations", "n", "refuted", reason, None, degree, degree, degree, evidence=evidence)


def judge_causal(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
    """Judge what a causal mask saves: by counted products, and by the times of pairs of points."""
    parts, value = [], claim.value or 0.5
    share = group.degrees.causal_share if group.degrees and group.degrees.how == "counted" else None
    if share is not None:
        outcome: VerdictName = "confirmed" if abs(share - value) <= policy.ratio_band else "inconclusive"
        outcome = "refuted" if share >= ONLY_MASKED else outcome
        reason = MaskedPairs(share=share, skipped=outcome != "refuted")
        parts.append(Part("operations", "causal", outcome, reason, value, share, share, share))
    pairs = _causal_pairs(group.records)
    if pairs:
        parts.append(_ratio_part(pairs, value=value, policy=policy))
    return parts


def _causal_pairs(records: Sequence[Record]) -> list[tuple[int, Record, Record]]:
    """Return (n, causal, plain) of squares that differ in nothing else, ordered by n; of rectangles none sees half."""
    found: dict[str, dict[bool, Record]] = {}
    for record in records:
        if "n_q" in record.case.point or "n_k" in record.case.point:
            continue
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
        outcome: VerdictName = "inconclusive"
    elif value - near <= low and high <= value + near:
        outcome = "consistent"
    else:
        outcome = "contradicted" if low > value + far or high < value - far else "inconclusive"
    reason = CausalTime(n=n, ratio=ratio, low=low, high=high)
    evidence = {"ratios": [list(entry) for entry in ratios]}
    to_decide = CompareLarger(precision=PRECISION) if outcome == "inconclusive" else None
    return Part("time", "causal", outcome, reason, value, ratio, low, high, to_decide, evidence=evidence)


def _ratio(above: Record, below: Record) -> tuple[float, float | None, float | None]:
    """Return the ratio of two times with its interval: of the statistic that both show, their errors in quadrature.

    What moved all cases of a moment is out of it. Runs without a statistic have the best sample of each round, paired
    by round. Without rounds the medians are compared, and there is no interval.
    """
    if above.time is None or below.time is None:
        raise ValueError("a ratio needs two times")
    shown = [(time.value, time.value_low, time.value_high) for time in (above.time, below.time) if time.statistic]
    known = [(math.log(value), math.log(low), math.log(high)) for value, low, high in shown if value and low and high]
    if len(known) == len((above, below)):
        (ours, low, high), (theirs, least, most) = known
        centre = ours - theirs
        below_it, above_it = math.hypot(ours - low, most - theirs), math.hypot(high - ours, theirs - least)
        return math.exp(centre), math.exp(centre - below_it), math.exp(centre + above_it)
    pairs = list(zip(above.time.by_round, below.time.by_round, strict=False))
    found = round_interval([[min(ours.samples) / min(theirs.samples)] for ours, theirs in pairs])
    if found is None:
        return above.time.median / below.time.median, None, None
    centre, half = found
    return math.exp(centre), math.exp(centre - half), math.exp(centre + half)


def judge_faster(claim: Claim, group: Group, measured: Sequence[Record]) -> list[Part]:
    """Compare with the baseline implementation along n: time, and extra memory where both are known."""
    baseline = claim.baseline or ""
    base = {
        identity(record): record
        for record in measured
        if record.case.implementation == baseline and not (record.agreement and record.agreement.approximation)
    }
    series = series_along(group.records, axis="n")
    pairs = [(n, record, base[identity(record)]) for n, record in series if identity(record) in base]
    if not pairs:
        return []
    memory = _memory_beside(pairs, baseline=baseline)
    return [_time_beside(pairs, baseline=baseline), *([memory] if memory else [])]


def _time_beside(pairs: Sequence[tuple[int, Record, Record]], *, baseline: str) -> Part:
    ratios = [(n, *_ratio(ours, theirs)) for n, ours, theirs in pairs]
    n, ratio, low, high = ratios[-1]
    outcome: VerdictName = "inconclusive"
    if high is not None and high < 1.0:
        outcome = "consistent"
    elif low is not None and low > 1.0:
        outcome = "contradicted"
    reason = TimeBeside(n=n, ratio=ratio, baseline=baseline)
    to_decide = CompareLarger(precision=PRECISION) if outcome == "inconclusive" else None
    evidence = {"ratios": [list(entry) for entry in ratios], "baseline": baseline}
    return Part("time", "n", outcome, reason, None, ratio, low, high, to_decide, evidence=evidence)


def _memory_beside(pairs: Sequence[tuple[int, Record, Record]], *, baseline: str) -> Part | None:
    known = [
        (n, ours.memory.extra, theirs.memory.extra)
        for n, ours, theirs in pairs
        if ours.memory and theirs.memory and ours.memory.extra is not None and theirs.memory.extra
    ]
    if not known:
        return None
    n, extra, base_extra = known[-1]
    outcome: VerdictName = "confirmed" if extra < base_extra else "refuted"
    reason = MemoryBeside(n=n, extra_bytes=extra, baseline=baseline, baseline_bytes=base_extra)
    share = extra / base_extra
    evidence = {"extra_bytes": [list(entry) for entry in known]}
    return Part("memory", "n", outcome, reason, None, share, share, share, evidence=evidence)
