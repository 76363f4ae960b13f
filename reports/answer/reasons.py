"""Sentences for the reasons of verdicts, and for what would decide them: one for each kind, its numbers with units."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from harness.results.reasons import (
    AsClaimed,
    CausalTime,
    CompareLarger,
    CountedDegree,
    FiniteDegree,
    FlatTime,
    HoldAxes,
    JudgeSegments,
    LinearParts,
    MaskedPairs,
    MeasureMemory,
    MemoryBeside,
    MemoryDegree,
    MemoryUnknown,
    NoPolynomial,
    NotCounted,
    OfMemory,
    OfOperations,
    OfSeries,
    OnlyDeclared,
    PowerFits,
    SeeSlopes,
    TiedAxes,
    TimeAlone,
    TimeBeside,
    TimeDiffers,
    TimeLaw,
    WrongAnswers,
)
from harness.scaling import wording
from reports import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.reasons import Advice, Held, OfTime, OverAll, PartReason, Reason
    from harness.results.verdicts_file import Verdict

QUANTITY_WORDS = {"operations": "operations are", "memory": "extra memory is"}
# Below this two decimals of a ratio say too little.
SMALL_RATIO = 0.1
# Of sizes whose answers were wrong, as many are named.
SIZES_SHOWN = 6


def explanation(verdict: Verdict) -> str:
    """Say why a verdict is as it is, and what would decide it if it is open."""
    # A run of an earlier schema has text, which says both.
    if isinstance(verdict.reason, str):
        return verdict.reason
    why = sentence(verdict.reason)
    return why if verdict.to_decide is None else f"{why}; to decide, {advice(verdict.to_decide)}"


def sentence(reason: Reason) -> str:
    """Say why a verdict is as it is."""
    match reason:
        case AsClaimed() | TimeDiffers() | TimeAlone():
            return _over_all(reason)
        case _:
            return _of_part(reason)


def advice(wanted: Advice) -> str:
    """Say what would decide, as an imperative."""
    match wanted:
        case MeasureMemory():
            text = f"measure {wanted.at_least} sizes of {wanted.axis} or more"
        case CompareLarger():
            text = f"compare at a larger n, to a precision of {units.whole_percent(wanted.precision)}"
        case JudgeSegments():
            starts = units.listing([f"{start}" for start in wanted.starts])
            text = (
                f"judge the segments apart that begin at {wanted.axis} = {starts}, "
                "where other kernels ran or page faults set in"
            )
        case SeeSlopes():
            text = "look at the local slopes, and repeat the sweep on a quiet machine"
        case HoldAxes():
            text = f"sweep {wanted.axis} with the same {units.listing(wanted.held)} throughout"
        case _:
            text = wording.advice(wanted)
    return text


def _of_part(reason: PartReason) -> str:
    if isinstance(reason, OfSeries):
        return _wrong(reason) if isinstance(reason, WrongAnswers) else _tied(reason)
    if isinstance(reason, OfOperations):
        return _of_operations(reason)
    return _of_memory(reason) if isinstance(reason, OfMemory) else _of_time(reason)


def _wrong(reason: WrongAnswers) -> str:
    """Say at which sizes answers were wrong; of many, the first few."""
    shown = [f"{size}" for size in reason.sizes[:SIZES_SHOWN]]
    shown += [f"{more} more sizes"] if (more := len(reason.sizes) - SIZES_SHOWN) > 0 else []
    return (
        f"its answers were wrong at {reason.axis} = {units.listing(shown)}, "
        f"and the {reason.right} that remain show no law of one computation"
    )


def _tied(reason: TiedAxes) -> str:
    """Say what moves with an axis, so that what each costs can't be separated."""
    moves = units.listing([f"{name} = {law}" for name, law in reason.ties.items()])
    return f"{moves} at all {reason.sizes} sizes: {units.listing([reason.axis, *reason.ties])} can't be separated"


def _of_operations(reason: OfOperations) -> str:
    match reason:
        case NotCounted():
            along = "" if reason.axis is None else f" along {reason.axis}"
            text = f"operations were not counted{along}"
        case OnlyDeclared():
            text = f"operations are only declared, not counted: {reason.cause}"
        case NoPolynomial():
            text = f"counted {_operations(reason)} are no polynomial of {reason.axis} {_span(reason)}"
        case CountedDegree():
            text = (
                f"counted {_operations(reason)} are a polynomial of degree {reason.degree} in {reason.axis}, exactly, "
                f"{_span(reason)}{_differing_products(reason)}"
            )
        case FiniteDegree():
            text = (
                f"counted operations are a polynomial of degree {reason.degree} in {reason.axis}: "
                f"doubling {reason.axis} multiplies them by {2**reason.degree}"
            )
        case MaskedPairs():
            does = "skipped" if reason.skipped else "computed and thrown away"
            text = f"{100 * reason.share:.0f} % of the products remain under a causal mask: masked pairs are {does}"
        case _:
            assert_never(reason)
    return text


def _of_memory(reason: OfMemory) -> str:
    match reason:
        case MemoryUnknown():
            text = f"extra memory is known at too few sizes of {reason.axis}: {reason.sizes}"
        case MemoryDegree():
            text = f"{_memory_law(reason)}: {units.size(reason.extra_bytes)} at {reason.largest}{_coefficient(reason)}"
        case MemoryBeside():
            text = (
                f"at n = {reason.n} it takes {units.size(reason.extra_bytes)} of extra memory, {reason.baseline} "
                f"{units.size(reason.baseline_bytes)}"
            )
        case _:
            assert_never(reason)
    return text


def _of_time(reason: OfTime) -> str:
    match reason:
        case TimeLaw():
            text = wording.sentence(reason.law, cost=units.seconds) + _beside_law(reason)
        case FlatTime():
            text = _flat(reason)
        case PowerFits():
            text = f"a power of {reason.axis} between {reason.low:.2f} and {reason.high:.2f} describes the times"
        case CausalTime():
            known = reason.low is not None and reason.high is not None
            interval = f" ({_ratio(reason.low)} to {_ratio(reason.high)})" if known else ""
            text = f"at n = {reason.n} a causal call takes {_ratio(reason.ratio)} of the time of a full one{interval}"
        case TimeBeside():
            text = (
                f"at n = {reason.n} it takes {_ratio(reason.ratio)} of the time of {reason.baseline}, "
                f"a speed-up of {_ratio(1.0 / reason.ratio)}"
            )
        case _:
            assert_never(reason)
    return text


def _over_all(reason: OverAll) -> str:
    match reason:
        case AsClaimed():
            text = _held(reason.held)
            if reason.consistent_along:
                text += f", time is consistent along {', '.join(reason.consistent_along)}"
            if reason.inconclusive_along:
                text += f", time is inconclusive along {', '.join(reason.inconclusive_along)}"
            if reason.why_inconclusive is not None:
                text += f": {_of_part(reason.why_inconclusive)}"
            if reason.crossover_n is not None:
                text += f"; the quadratic terms overtake the linear ones at n = {wording.size(reason.crossover_n)}"
        case TimeDiffers():
            text = f"{_held(reason.held)}, but time contradicts it: {_of_part(reason.time)}"
        case TimeAlone():
            why = "" if reason.exact is None else f"; {_of_part(reason.exact)}"
            text = f"{_of_part(reason.time)} (time alone{why})"
        case _:
            assert_never(reason)
    return text


def _held(held: Sequence[Held]) -> str:
    """Say which exact quantities are as claimed: `operations are as claimed (n: 2, d: 1)`."""
    said = []
    for quantity in held:
        words = f"{QUANTITY_WORDS[quantity.quantity]} as claimed"
        exponents = ", ".join(f"{axis}: {exponent:g}" for axis, exponent in quantity.exponents.items())
        if exponents:
            words += f" ({exponents})"
        elif quantity.reason is not None:
            words += f", {_of_part(quantity.reason)}"
        said.append(words)
    return ", ".join(said)


def _operations(reason: NoPolynomial | CountedDegree) -> str:
    return "operations of products" if reason.products else "operations"


def _span(reason: NoPolynomial | CountedDegree) -> str:
    return f"at {reason.sizes} sizes from {reason.smallest} to {reason.largest}"


def _differing_products(reason: CountedDegree) -> str:
    if reason.counted_products is None or reason.modelled_products is None:
        return ""
    return f" ({reason.counted_products:,} products counted in one call, {reason.modelled_products:,} in the model)"


def _memory_law(reason: MemoryDegree) -> str:
    if reason.degree is None:
        return f"extra memory is neither linear nor quadratic in {reason.axis}"
    return f"extra memory has degree {reason.degree} in {reason.axis}"


def _coefficient(reason: MemoryDegree) -> str:
    if reason.score_buffers is not None:
        return f", {reason.score_buffers:.3g} buffers of n² {reason.dtype} scores for each head"
    return "" if reason.over_line is None else f", {reason.over_line:.2f} times the line through smaller sizes"


def _flat(reason: FlatTime) -> str:
    """Say how much of a time depends on size."""
    over = f"over a range of {wording.size(reason.span)}"
    if reason.is_flat:
        return f"time does not grow: {over} at most {units.percent(reason.high)} of it depends on {reason.axis}"
    share = f"between {units.percent(reason.low)} and {units.percent(reason.high)} of the time depends on {reason.axis}"
    return f"{over} {share}, where {units.percent(reason.at_most)} is the most that a flat time may have"


def _parts(parts: LinearParts, axis: str) -> str:
    """Say what does not depend on a size, and what each further unit costs."""
    share = f"{units.percent(parts.share)} ({units.percent(parts.share_low)} to {units.percent(parts.share_high)})"
    slope = f"{units.seconds(parts.slope)} ({units.seconds(parts.slope_low)} to {units.seconds(parts.slope_high)})"
    return (
        f"; as a line, {share} of the time at {axis} = {wording.size(parts.at)} does not depend on {axis}, "
        f"and each further one costs {slope}"
    )


def _beside_law(reason: TimeLaw) -> str:
    text = "" if reason.parts is None else _parts(reason.parts, reason.axis)
    if reason.counts_decide:
        text += f", but along {reason.axis} lower-order terms and parallel speed-up bend time, and counts decide"
    if reason.overtaken_at is not None:
        text += (
            "; dispatching operators costs a term one power lower, "
            f"overtaken at {reason.axis} = {wording.size(reason.overtaken_at)}"
        )
    return text


def _ratio(value: float | None) -> str:
    """Write a ratio of two times: 0.61, 2.05, 0.0042."""
    if value is None or units.absent(value):
        return units.ABSENT
    return f"{value:.2f}" if value >= SMALL_RATIO else units.digits(value, significant=2)
