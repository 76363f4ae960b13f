"""Powers and sums of powers, judged axis by axis: by counted operations, by extra memory, and by time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.scaling.exact import memory_law, score_buffers
from harness.scaling.judgement import judge as judge_law
from harness.verdicts.evidence import (
    SIZES_AT_LEAST,
    Outcome,
    Part,
    changes,
    counts_along,
    finite,
    series_along,
    size_of,
    times_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import ScalingPolicy
    from harness.records import Record
    from harness.scaling.decision import Kind
    from harness.verdicts.evidence import Group
    from scenarios.scenario import Claim

# Axes along which lower-order terms and parallel speed-up bend time; counts decide there, and time never contradicts.
DECIDED_BY_TIME = frozenset({"n", "n_q", "n_k"})
ITEMSIZE = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def judge_power(claim: Claim, group: Group, policy: ScalingPolicy) -> list[Part]:
    """Judge a power or an additive law axis by axis, by each quantity the claim is about."""
    parts: list[Part] = []
    for axis, expected in claim.exponents.items():
        if "operations" in claim.quantities:
            parts.append(_operations(claim, group, axis=axis, expected=expected))
        series = series_along(group.records, axis=axis, start=claim.holds_from.get(axis, 0))
        if "memory" in claim.quantities:
            parts.append(_memory(series, axis=axis, expected=expected, policy=policy))
        if "time" in claim.quantities and expected >= policy.exponent_low and len(series) >= SIZES_AT_LEAST:
            parts.append(_time(claim, group, series, axis=axis, expected=expected, policy=policy))
    measured = any(part.quantity != "operations" or part.verdict != "inconclusive" for part in parts)
    return parts if measured or group.degrees is not None else []


def _operations(claim: Claim, group: Group, *, axis: str, expected: float) -> Part:
    counts, why = counts_along(group, axis)
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
        "over_linear_prediction": finite(law.over_line),
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
        squares = float(size_of(point, "batch") * size_of(point, "heads"))
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
    sizes, best, intervals = times_of(series)
    counts, _ = counts_along(group, axis)
    # Each dispatched operator costs time of its own: where their number grows, so does a term of lower order.
    dispatching = counts is not None and (counts.calls_degree is None or counts.calls_degree > 0)
    kind: Kind = "layer" if claim.kind == "layer" or dispatching else "component"
    found = judge_law(sizes, best, claimed=expected, kind=kind, intervals=intervals, policy=policy)
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
        "residual": finite(found.residual),
        "transition": list(found.transition) if found.transition else None,
        "rivals": list(found.rivals),
        "slopes": [[s.start, s.end, s.slope, s.low, s.high] for s in found.slopes],
        "flagged": sum(bool(r.time and set(r.time.flags) - {"wide"}) for _, r in series),
        "changes": changes(series),
    }
    if found.mixed is not None:
        evidence["with_lower_term"] = list(found.mixed)
    return Part("time", axis, verdict, reason, expected, found.exponent, found.low, found.high, to_decide, evidence)
