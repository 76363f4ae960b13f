"""Powers and sums of powers, judged axis by axis: by counted operations, by extra memory, and by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.records import BYTES_PER_ELEMENT, AxisCounts
from harness.results.reasons import (
    CountedDegree,
    FlatTime,
    HoldAxes,
    LinearParts,
    MeasureMemory,
    MemoryDegree,
    MemoryUnknown,
    NoPolynomial,
    TiedAxes,
    TimeLaw,
)
from harness.scaling.exact import LINEAR, MEMORY_SIZES, QUADRATIC, memory_law, score_buffers
from harness.scaling.fixed_part import fixed_part
from harness.scaling.flatness import flatness
from harness.scaling.judgement import judge_law
from harness.verdicts.evidence import (
    SIZES_AT_LEAST,
    Evidence,
    Part,
    VerdictName,
    cases_of,
    changes,
    counts_along,
    finite,
    series_along,
    size_of,
    tied_sizes,
    times_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import ScalingPolicy
    from harness.records import Record
    from harness.scaling.decision import Kind
    from harness.scaling.exact import MemoryLaw
    from harness.scaling.flatness import Flatness
    from harness.verdicts.evidence import Group, Quantity, Ties
    from scenarios.scenario import Claim

# Axes along which lower-order terms and parallel speed-up bend time; counts decide there, and time never contradicts.
DECIDED_BY_TIME = frozenset({"n", "n_q", "n_k"})
NO_TIES: Ties = {}


def judge_power(claim: Claim, group: Group, policy: ScalingPolicy, *, ties: Ties = NO_TIES) -> list[Part]:
    """Judge a power or an additive law axis by axis, by each quantity the claim is about.

    An axis that others follow in every sweep of it is left open, with the reason, by all but counts.
    """
    parts: list[Part] = []
    for axis, expected in claim.exponents.items():
        if "operations" in claim.quantities:
            parts.append(_operations(claim, group, axis=axis, expected=expected))
        series = series_along(group.records, axis=axis, start=claim.holds_from.get(axis, 0))
        if len(series) < SIZES_AT_LEAST and (open_parts := _tied(claim, group, axis, expected=expected, ties=ties)):
            parts += open_parts
            continue
        if "memory" in claim.quantities:
            parts.append(_memory(series, axis=axis, expected=expected, policy=policy))
        if "time" in claim.quantities and expected == 0.0:
            parts += _flat_time(series, axis=axis, policy=policy)
        elif "time" in claim.quantities and expected >= policy.exponent_low and len(series) >= SIZES_AT_LEAST:
            parts.append(_time(claim, group, series, axis=axis, expected=expected, policy=policy))
    measured = any(part.quantity != "operations" or part.verdict != "inconclusive" for part in parts)
    return parts if measured or group.degrees is not None else []


def _tied(claim: Claim, group: Group, axis: str, *, expected: float, ties: Ties) -> list[Part]:
    """Leave memory and time open along an axis that others follow; nothing where it was not swept so."""
    followers = ties.get(axis, {})
    sizes = tied_sizes(group.records, axis=axis, followers=followers) if followers else 0
    if sizes < SIZES_AT_LEAST:
        return []
    reason = TiedAxes(axis=axis, ties=dict(followers), sizes=sizes)
    advice = HoldAxes(axis=axis, held=list(followers))
    left: list[Quantity] = [quantity for quantity in ("memory", "time") if quantity in claim.quantities]
    return [Part(quantity, axis, "inconclusive", reason, expected, to_decide=advice) for quantity in left]


def _operations(claim: Claim, group: Group, *, axis: str, expected: float) -> Part:
    counts = counts_along(group, axis)
    if not isinstance(counts, AxisCounts):
        return Part("operations", axis, "inconclusive", counts, expected)
    of_products = claim.phase == "products"
    degree = counts.products_degree if of_products else counts.degree
    operations = counts.products if of_products else counts.operations
    evidence: Evidence = {"sizes": counts.sizes, "operations": operations, "how": "counted"}
    ends = {"sizes": len(counts.sizes), "smallest": counts.sizes[0], "largest": counts.sizes[-1]}
    if degree is None:
        unknown = NoPolynomial(axis=axis, products=of_products, **ends)
        return Part("operations", axis, "inconclusive", unknown, expected, evidence=evidence)
    verdict: VerdictName = "confirmed" if degree == expected else "refuted"
    reason = CountedDegree(axis=axis, degree=degree, products=of_products, **ends, **_differing_products(group))
    return Part("operations", axis, verdict, reason, expected, degree, degree, degree, evidence=evidence)


def _differing_products(group: Group) -> dict[str, int | None]:
    """Return the products counted and modelled, if they differ."""
    degrees = group.degrees
    if degrees is None or degrees.direction != "forward" or degrees.counted_products is None:
        return {}
    if degrees.counted_products == degrees.modelled_products:
        return {}
    return {"counted_products": degrees.counted_products, "modelled_products": degrees.modelled_products}


def _memory(series: Sequence[tuple[int, Record]], *, axis: str, expected: float, policy: ScalingPolicy) -> Part:
    known = [(n, r, r.memory.extra) for n, r in series if r.memory is not None and r.memory.extra is not None]
    law = memory_law([n for n, _, _ in known], [extra for _, _, extra in known], policy=policy) if known else None
    if law is None:
        more = MeasureMemory(axis=axis, at_least=MEMORY_SIZES)
        unknown = MemoryUnknown(axis=axis, sizes=len(known))
        return Part("memory", axis, "inconclusive", unknown, expected, to_decide=more)
    largest, record, extra = known[-1]
    buffers = _score_buffers(law, record) if law.degree == QUADRATIC else None
    reason = MemoryDegree(
        axis=axis,
        degree=law.degree,
        largest=largest,
        extra_bytes=extra,
        dtype=record.case.dtype,
        score_buffers=buffers,
        over_line=finite(law.over_line) if law.degree == LINEAR else None,
    )
    evidence: Evidence = {
        "sizes": [n for n, _, _ in known],
        "extra_bytes": [value for _, _, value in known],
        "over_linear_prediction": finite(law.over_line),
        "second_difference_spread": law.spread,
        "local_exponents": [law.low, law.high],
    }
    if buffers is not None:
        evidence["score_buffers"] = buffers
    exponent, low, high = (law.exponent, law.low, law.high) if law.degree is None else (law.degree,) * 3
    outcome = _memory_outcome(law, expected)
    return Part("memory", axis, outcome, reason, expected, exponent, low, high, evidence=evidence)


def _memory_outcome(law: MemoryLaw, expected: float) -> VerdictName:
    if law.degree is None:
        return "inconclusive"
    # O(n) is a bound from above: constant memory keeps it.
    is_bounded = law.degree < expected <= 1
    return "confirmed" if law.degree == expected or is_bounded else "refuted"


def _score_buffers(law: MemoryLaw, record: Record) -> float:
    point = record.case.point
    squares = float(size_of(point, "batch") * size_of(point, "heads"))
    itemsize = BYTES_PER_ELEMENT.get(record.case.dtype, 4)
    return round(score_buffers(law, score_elements_per_square=squares, itemsize=itemsize), 4)


def _flat_time(series: Sequence[tuple[int, Record]], *, axis: str, policy: ScalingPolicy) -> list[Part]:
    """Judge the claim that time does not depend on size; nothing where sizes are too few to say anything of it."""
    sizes, seconds, _ = times_of(series)
    found = flatness(sizes, seconds, policy=policy)
    if found is None:
        return []
    evidence: Evidence = {"sizes": list(sizes), "seconds": seconds}
    reason = _flat(found, axis=axis, policy=policy)
    verdict = found.verdict(policy)
    return [Part("time", axis, verdict, reason, 0.0, cases=cases_of(series), evidence=evidence)]


def _flat(found: Flatness, *, axis: str, policy: ScalingPolicy) -> FlatTime:
    return FlatTime(
        axis=axis,
        span=found.span,
        sizes=found.sizes,
        low=found.low,
        high=found.high,
        at_most=policy.flat_share_at_most,
        is_flat=found.is_flat(policy),
    )


def _linear_parts(
    sizes: Sequence[int], seconds: Sequence[float], *, expected: float, policy: ScalingPolicy
) -> LinearParts | None:
    """Return fixed part and slope of a law that is claimed linear; None if no line describes the times."""
    found = fixed_part(sizes, seconds, exponent=expected, policy=policy) if expected == 1.0 else None
    if found is None or not found.fits:
        return None
    return LinearParts(**{name: getattr(found, name) for name in LinearParts.model_fields})


def _time(
    claim: Claim,
    group: Group,
    series: Sequence[tuple[int, Record]],
    *,
    axis: str,
    expected: float,
    policy: ScalingPolicy,
) -> Part:
    sizes, seconds, intervals = times_of(series)
    counts = counts_along(group, axis)
    # Each dispatched operator costs time of its own: where their number grows, so does a term of lower order.
    dispatching = isinstance(counts, AxisCounts) and (counts.calls_degree is None or counts.calls_degree > 0)
    kind: Kind = "layer" if claim.kind == "layer" or dispatching else "component"
    judged = judge_law(sizes, seconds, claimed=expected, kind=kind, intervals=intervals, policy=policy)
    counts_decide = judged.verdict == "contradicted" and axis not in DECIDED_BY_TIME
    flat = flatness(sizes, seconds, policy=policy)
    if flat is not None and flat.is_flat(policy) and judged.verdict == "inconclusive":
        evidence = {"sizes": list(sizes), "seconds": seconds}
        reason = _flat(flat, axis=axis, policy=policy)
        return Part("time", axis, "inconclusive", reason, expected, cases=cases_of(series), evidence=evidence)
    evidence = {
        "rule": kind,
        "sizes": list(sizes),
        "seconds": seconds,
        "floor_ends": judged.floor_ends,
        "half": judged.half,
        "rivals": list(judged.rivals),
        "slopes": [[s.start, s.end, s.slope, s.low, s.high] for s in judged.slopes],
        "flagged": sum(bool(r.time and set(r.time.flags) - {"wide"}) for _, r in series),
        "changes": changes(series),
    }
    if judged.mixed is not None:
        evidence["with_lower_term"] = list(judged.mixed)
    return Part(
        "time",
        axis,
        "inconclusive" if counts_decide else judged.verdict,
        TimeLaw(
            axis=axis,
            law=judged.reason,
            counts_decide=counts_decide,
            overtaken_at=judged.half if dispatching else None,
            parts=_linear_parts(sizes, seconds, expected=expected, policy=policy),
        ),
        expected,
        judged.exponent,
        judged.low,
        judged.high,
        judged.to_decide,
        judged.law,
        cases_of(series),
        evidence,
    )
