"""Sentences for the reasons of a law's judgement, and for what would decide it: one for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from harness.scaling.reasons import (
    DominantTerm,
    ExponentInterval,
    FixedCost,
    JudgeApart,
    LowerTermPossible,
    RepeatSizes,
    Scatter,
    ShortRange,
    TooFewSizes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.scaling.combs import Comb
    from harness.scaling.reasons import LawAdvice, LawReason

EVEN = 2
# Below this a size is written with decimals, if it has any.
WHOLE_FROM = 10.0


def three_digits(value: float) -> str:
    """Write a cost whose unit is not known."""
    return f"{value:.3g}"


def size(value: float) -> str:
    """Write a size without an exponent: 4096, 12, 2.5."""
    return f"{value:.0f}" if value >= WHOLE_FROM or float(value).is_integer() else f"{value:.3g}"


def sentence(reason: LawReason, *, cost: Callable[[float], str] = three_digits) -> str:
    """Say why a law was judged as it was; `cost` writes a cost with its unit."""
    match reason:
        case TooFewSizes():
            text = f"{reason.sizes} sizes are too few to tell laws apart (at least {reason.at_least} are needed)"
        case ShortRange():
            text = (
                f"a size range of {size(reason.ratio)} times is too short to tell laws apart "
                f"(at least {size(reason.at_least)} times is needed)"
            )
        case FixedCost():
            text = (
                f"a fixed cost of {cost(reason.cost)} hides the law: it is {_percent(reason.share_at_smallest)} of "
                f"the cost at {size(reason.smallest)} and {_percent(reason.share_at_largest)} at {size(reason.largest)}"
            )
        case Scatter():
            text = f"costs scatter {_percent(reason.residual)} around the best curve, more than any law explains"
            if reason.comb is not None:
                text += f": {_dear(reason.comb)}"
        case ExponentInterval():
            where = f"only {reason.where}" if reason.where == "partly inside" else reason.where
            text = (
                f"the exponent is between {reason.low:.2f} and {reason.high:.2f}, {where} {_band(reason)}"
                f"{_logarithm(reason)}"
            )
        case DominantTerm():
            text = (
                f"with a term one power lower, the exponent is inside {_band(reason)}{_logarithm(reason)}, "
                "and its term is most of the cost at the largest size"
            )
        case LowerTermPossible():
            text = (
                f"the exponent alone is between {reason.low:.2f} and {reason.high:.2f}; with a term one power lower, "
                f"{reason.claimed:g} is possible but not shown"
            )
        case _:
            assert_never(reason)
    return text


def advice(wanted: LawAdvice) -> str:
    """Say what to measure, as an imperative."""
    if isinstance(wanted, RepeatSizes):
        return f"repeat the {wanted.sizes} sizes to a precision of {_percent(wanted.precision)} on a quiet machine"
    if isinstance(wanted, JudgeApart):
        others, multiples = _sides(wanted.multiple)
        return f"judge {multiples}{' sizes' if wanted.multiple == EVEN else ''} and {others} ones apart"
    text = f"measure {wanted.sizes} sizes from {size(wanted.start)} to {size(wanted.end)}"
    if wanted.past_fixed_cost:
        text += ", where the fixed cost no longer counts"
    return text if wanted.precision is None else f"{text} to a precision of {_percent(wanted.precision)}"


def _sides(multiple: int) -> tuple[str, str]:
    """Name the sizes that are no multiples, and those that are."""
    return ("odd", "even") if multiple == EVEN else ("other", f"multiples of {multiple}")


def _dear(comb: Comb) -> str:
    others, multiples = _sides(comb.multiple)
    whose = "even ones" if comb.multiple == EVEN else multiples
    return f"{others} sizes cost {comb.ratio:.3g} times what {whose} do"


def _band(reason: ExponentInterval | DominantTerm) -> str:
    return f"{reason.band_low:g} to {reason.band_high:g}"


def _logarithm(reason: ExponentInterval | DominantTerm) -> str:
    return " (up to a log factor)" if reason.up_to_logarithm else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
