"""Verdicts: what records and counted degrees say of each claim, with the evidence that decided.

Operations that are counted decide; memory decides what claims memory; time alone is consistent, contradicted or
inconclusive, nothing more. Counted operations with a claim that time contradicts leave it inconclusive.
"""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from harness.exact import memory_law, score_buffers
from harness.policy import ScalingPolicy
from harness.records import Verdict, Verdicts
from harness.scaling import additive_fit, joint_fit
from harness.scaling import judge as judge_time
from harness.statistics import round_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.records import AxisCounts, Degrees, Record
    from harness.scaling import Kind
    from scenarios.scenario import Claim, Scenario

Quantity = Literal["operations", "memory", "time"]
Outcome = Literal["confirmed", "refuted", "inconclusive", "consistent", "contradicted"]
# Degrees by problem, implementation, direction and kind of device.
Counted = dict[tuple[str, str, str, str], "Degrees"]
# Axes along which lower-order terms and parallel speed-up bend time; counts decide there, and time never contradicts.
DECIDED_BY_TIME = frozenset({"n", "n_q", "n_k"})
GRID_AXES = ("n", "d", "heads", "batch")
SIZES_AT_LEAST = 3
# A causal share of products beyond this means that masked pairs are computed.
ONLY_MASKED = 0.98
ITEMSIZE = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
LINEAR_PHASES, QUADRATIC_PHASES = ("projections", "output"), ("scores", "weighted sum")


@dataclass(frozen=True)
class Group:
    """Hold what a claim is judged for: an implementation's records of one dtype, device and direction."""

    problem: str
    implementation: str
    dtype: str
    device: str
    direction: str
    records: list[Record]
    degrees: Degrees | None


@dataclass(frozen=True)
class Part:
    """Hold the judgement of a claim by one quantity along one axis."""

    quantity: Quantity
    axis: str
    verdict: Outcome
    reason: str
    expected: float | None = None
    exponent: float | None = None
    low: float | None = None
    high: float | None = None
    to_decide: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


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
        parts = _exponential(claim, group, policy)
    elif claim.law == "ratio" and claim.baseline == "causal":
        parts = _causal(claim, group, policy)
    elif claim.law == "ratio":
        parts = _faster(claim, group, measured)
    else:
        parts = _power(claim, group, policy)
    if not parts:
        return []
    whole = _conclude(claim, parts)
    extra = {**_crossover(claim, group), **_joint(claim, group, policy), **_additive(claim, group)}
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


def _power(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
    """Judge a power or an additive law axis by axis, by each quantity the claim is about."""
    parts: list[Part] = []
    for axis, expected in claim.exponents.items():
        if "operations" in claim.quantities:
            parts.append(_operations(claim, group, axis=axis, expected=expected))
        series = _series(group.records, axis=axis, start=claim.holds_from.get(axis, 0))
        if "memory" in claim.quantities:
            parts.append(_memory(series, axis=axis, expected=expected, policy=policy))
        if "time" in claim.quantities and expected >= policy.exponent_low and len(series) >= SIZES_AT_LEAST:
            parts.append(_time(claim, group, series, axis=axis, expected=expected, policy=policy))
    measured = any(part.quantity != "operations" or part.verdict != "inconclusive" for part in parts)
    return parts if measured or group.degrees is not None else []


def _series(records: Sequence[Record], *, axis: str, start: int = 0) -> list[tuple[int, Record]]:
    """Return the longest run of sizes along an axis with everything else the same, ordered by size."""
    found: dict[str, dict[int, Record]] = {}
    for record in records:
        point = dict(record.case.point)
        size = point.pop(axis, None)
        if isinstance(size, bool) or not isinstance(size, int) or size < start:
            continue
        if axis == "n_k" and point.get("n_q") != 1:
            continue
        found.setdefault(repr(sorted(point.items())), {})[size] = record
    if not found:
        return []
    longest = max(found, key=lambda key: (len(found[key]), "causal" not in key, key))
    return sorted(found[longest].items())


def _operations(claim: Claim, group: Group, *, axis: str, expected: float) -> Part:
    counts, why = _counts(group, axis)
    if counts is None:
        return Part("operations", axis, "inconclusive", why, expected)
    found = counts.products_degree if claim.phase == "products" else counts.degree
    sizes = f"at {len(counts.sizes)} sizes from {counts.sizes[0]} to {counts.sizes[-1]}"
    operations = counts.products if claim.phase == "products" else counts.operations
    evidence: dict[str, Any] = {"sizes": counts.sizes, "operations": operations, "how": "counted"}
    what = "operations of products" if claim.phase == "products" else "operations"
    if found is None:
        reason = f"counted {what} are no polynomial of {axis} {sizes}"
        return Part("operations", axis, "inconclusive", reason, expected, evidence=evidence)
    verdict: Outcome = "confirmed" if found == expected else "refuted"
    reason = f"counted {what} are a polynomial of degree {found} in {axis}, exactly, {sizes}"
    reason += _model_note(group)
    return Part("operations", axis, verdict, reason, expected, found, found, found, evidence=evidence)


def _counts(group: Group, axis: str) -> tuple[AxisCounts | None, str]:
    """Return the counts along an axis, or why there are none."""
    if group.degrees is None:
        return None, "operations were not counted"
    if group.degrees.how == "declared":
        return None, f"operations are only declared, not counted: {group.degrees.reason}"
    counts = group.degrees.axes.get(axis)
    return counts, "" if counts else f"operations were not counted along {axis}"


def _model_note(group: Group) -> str:
    """Say where the declared model of the products disagrees with the count."""
    degrees = group.degrees
    if degrees is None or degrees.direction != "forward" or degrees.counted_products is None:
        return ""
    if degrees.counted_products == degrees.modelled_products:
        return ""
    return f" (products counted {degrees.counted_products}, modelled {degrees.modelled_products})"


def _memory(series: Sequence[tuple[int, Record]], *, axis: str, expected: float, policy: ScalingPolicy) -> Part:
    known = [(n, r, r.memory.extra) for n, r in series if r.memory is not None and r.memory.extra is not None]
    law = memory_law([n for n, _, _ in known], [extra for _, _, extra in known], policy=policy) if known else None
    if law is None:
        reason = f"extra memory is known at too few sizes of {axis}: {len(known)}"
        return Part("memory", axis, "inconclusive", reason, expected, to_decide=f"measure 4 sizes of {axis} or more")
    last, record, extra = known[-1]
    evidence: dict[str, Any] = {
        "sizes": [n for n, _, _ in known],
        "extra_bytes": [value for _, _, value in known],
        "over_linear_prediction": _finite(law.over_line),
        "second_difference_spread": law.spread,
        "local_exponents": [law.low, law.high],
    }
    if law.degree is None:
        reason = f"extra memory is neither linear nor quadratic in {axis}: {extra} bytes at {last}"
        outcome: Outcome = "inconclusive"
    else:
        # O(n) is a bound from above: constant memory keeps it.
        bounded = law.degree < expected <= 1
        outcome = "confirmed" if law.degree == expected or bounded else "refuted"
        reason = f"extra memory has degree {law.degree} in {axis}: {extra} bytes at {last}"
    if law.degree == 2:  # noqa: PLR2004
        point = record.case.point
        squares = float(_size(point, "batch") * _size(point, "heads"))
        itemsize = ITEMSIZE.get(record.case.dtype, 4)
        buffers = score_buffers(law, score_elements_per_square=squares, itemsize=itemsize)
        evidence["score_buffers"] = round(buffers, 4)
        reason += f", {buffers:.3g} buffers of n^2 {record.case.dtype} scores for each head"
    elif law.degree == 1:
        reason += f", {law.over_line:.2f} times the line through smaller sizes"
    if law.degree is not None:
        return Part("memory", axis, outcome, reason, expected, law.degree, law.degree, law.degree, evidence=evidence)
    return Part("memory", axis, outcome, reason, expected, law.exponent, law.low, law.high, evidence=evidence)


def _time(
    claim: Claim,
    group: Group,
    series: Sequence[tuple[int, Record]],
    *,
    axis: str,
    expected: float,
    policy: ScalingPolicy,
) -> Part:
    sizes, best, intervals = _times(series)
    counts, _ = _counts(group, axis)
    # Each dispatched operator costs time of its own: where their number grows, so does a term of lower order.
    dispatching = counts is not None and (counts.calls_degree is None or counts.calls_degree > 0)
    kind: Kind = "layer" if claim.kind == "layer" or dispatching else "component"
    found = judge_time(sizes, best, claimed=expected, kind=kind, intervals=intervals, policy=policy)
    verdict, reason, to_decide = found.verdict, found.reason, found.to_decide
    if verdict == "contradicted" and axis not in DECIDED_BY_TIME:
        verdict = "inconclusive"
        reason = f"{reason}, but along {axis} lower-order terms and parallel speed-up bend time, and counts decide"
    if found.half is not None and dispatching:
        reason = f"{reason}; dispatching operators costs a term one power lower, overtaken at {axis} = {found.half:.0f}"
    evidence = {
        "rule": kind,
        "sizes": list(sizes),
        "best_seconds": best,
        "floor_seconds": found.floor,
        "floor_ends": found.floor_ends,
        "half": found.half,
        "residual": _finite(found.residual),
        "transition": list(found.transition) if found.transition else None,
        "rivals": list(found.rivals),
        "slopes": [[s.start, s.end, s.slope, s.low, s.high] for s in found.slopes],
        "flagged": sum(bool(r.time and set(r.time.flags) - {"wide"}) for _, r in series),
        "changes": _changes(series),
    }
    if found.mixed is not None:
        evidence["with_lower_term"] = list(found.mixed)
    return Part("time", axis, verdict, reason, expected, found.exponent, found.low, found.high, to_decide, evidence)


def _times(
    series: Sequence[tuple[int, Record]],
) -> tuple[list[int], list[float], list[tuple[float, float] | None]]:
    times = [(n, r.time) for n, r in series if r.time is not None]
    intervals = [None if t.low is None or t.high is None else (t.low, t.high) for _, t in times]
    return [n for n, _ in times], [t.best for _, t in times], intervals


def _changes(series: Sequence[tuple[int, Record]]) -> list[int]:
    """Return the sizes from which other operators or kernels ran, or page faults set in."""
    changed, before = [], None
    for size, record in series:
        ran = frozenset(record.ran.shown) if record.ran else frozenset()
        faults = record.time.faults_per_call if record.time else None
        state = (ran, bool(faults and faults > 1.0))
        if before is not None and state != before:
            changed.append(size)
        before = state
    return changed


def _exponential(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
    """Refute exponential growth by a finite degree of the operations, or by a power that describes the times."""
    parts = []
    counts, why = _counts(group, "n")
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
    series = _series(group.records, axis="n")
    if len(series) < SIZES_AT_LEAST:
        return parts if group.degrees is not None else []
    sizes, best, _ = _times(series)
    found = judge_time(sizes, best, claimed=claim.exponents.get("n", 2.0), policy=policy)
    bounded = found.verdict != "inconclusive" and found.high < policy.exponent_high
    outcome: Outcome = "contradicted" if bounded else "inconclusive"
    power = f"a power of n between {found.low:.2f} and {found.high:.2f} describes the times"
    reason = power if bounded else found.reason
    part = Part("time", "n", outcome, reason, None, found.exponent, found.low, found.high, found.to_decide)
    return [*parts, part]


def _causal(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
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
        (_size(both[True].case.point, "n"), both[True], both[False])
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


def _faster(claim: Claim, group: Group, measured: Sequence[Record]) -> list[Part]:
    """Compare with the baseline implementation along n: time, and extra memory where both are known."""
    series = _series(group.records, axis="n")
    base = {record.case.point_key: record for record in measured if record.case.implementation == claim.baseline}
    pairs = [(n, record, base[key]) for n, record in series if (key := record.case.point_key) in base]
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


def _crossover(claim: Claim, group: Group) -> dict[str, float]:
    """Return the n where the quadratic phases of an additive law overtake the linear ones, exactly."""
    series = _series(group.records, axis="n")
    counts = series[-1][1].counts if claim.law == "additive" and series else None
    if counts is None:
        return {}
    linear = sum(counts.phases.get(name, 0) for name in LINEAR_PHASES)
    quadratic = sum(counts.phases.get(name, 0) for name in QUADRATIC_PHASES)
    return {"crossover": series[-1][0] * linear / quadratic} if linear and quadratic else {}


def _additive(claim: Claim, group: Group) -> dict[str, Any]:
    """Fit the terms of an additive law to the times of the sweep over n; descriptive."""
    series = _series(group.records, axis="n") if claim.law == "additive" else []
    axes = {axis for term in claim.terms for axis in term}
    points = [{axis: float(_size(record.case.point, axis)) for axis in axes} for _, record in series]
    fit = additive_fit(points, _times(series)[1], terms=claim.terms) if points else None
    if fit is None:
        return {}
    described = [
        {"term": dict(term), "seconds": value, "low": low, "high": high}
        for term, value, (low, high) in zip(claim.terms, fit.coefficients, fit.intervals, strict=True)
    ]
    return {
        "additive": {
            "floor_seconds": fit.floor,
            "terms": described,
            "residual": fit.residual,
            "held_out_error": fit.held_out,
        }
    }


def _joint(claim: Claim, group: Group, policy: ScalingPolicy) -> dict[str, Any]:
    """Fit all four axes at once, beside the fits of one axis; descriptive."""
    if claim.law != "power" or "time" not in claim.quantities or len(claim.exponents) < len(GRID_AXES):
        return {}
    plain = [
        (point, record.time.best)
        for record in group.records
        if record.time is not None and (point := _grid_point(record.case.point)) is not None
    ]
    fit = joint_fit([p for p, _ in plain], [t for _, t in plain], axes=GRID_AXES, policy=policy) if plain else None
    if fit is None:
        return {}
    exponents = {axis: [e.exponent, e.low, e.high] for axis, e in fit.exponents.items()}
    return {
        "joint": {
            "exponents": exponents,
            "floor_seconds": fit.floor,
            "residual": _finite(fit.residual),
            "points": fit.points,
        }
    }


def _grid_point(point: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the four axes of a plain point, None for masked or cross attention."""
    if "n" not in point or set(point) - {*GRID_AXES, "causal"} or point.get("causal"):
        return None
    return {axis: float(_size(point, axis)) for axis in GRID_AXES}


def _size(point: Mapping[str, Any], axis: str) -> int:
    return int(point.get(axis, 64 if axis == "d" else 1))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
