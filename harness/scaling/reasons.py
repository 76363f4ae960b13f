"""Why a law was judged as it was, and which measurement would decide it: numbers, which wording.py makes sentences of.

Sizes are what was swept, shares and exponents plain numbers; a `cost` is in the unit of the costs that were judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.records import DataModel
from harness.scaling.combs import Comb
from harness.scaling.decision import CONSISTENT, GATES, VERDICTS, against_band

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.policy import ScalingPolicy
    from harness.scaling.decision import Decisions
    from harness.scaling.exponent import Profile

    Array = NDArray[np.float64]

# How well costs should be known for a repeated or a wider sweep to decide.
PRECISION = 0.01


class TooFewSizes(DataModel):
    """There are too few sizes to distinguish laws."""

    kind: Literal["too few sizes"] = "too few sizes"
    sizes: int
    at_least: int


class ShortRange(DataModel):
    """The largest size over the smallest is too small a ratio."""

    kind: Literal["short range"] = "short range"
    ratio: float
    at_least: float


class FixedCost(DataModel):
    """A fixed cost is most of what was measured."""

    kind: Literal["fixed cost"] = "fixed cost"
    cost: float
    smallest: float
    share_at_smallest: float
    largest: float
    share_at_largest: float


class Scatter(DataModel):
    """Costs lie too far from the best curve; `residual` is their standard deviation as a share.

    `comb` says which sizes are dear, where that explains it.
    """

    kind: Literal["scatter"] = "scatter"
    residual: float
    comb: Comb | None = None


class ExponentInterval(DataModel):
    """The exponent's interval decides: inside the band around the claim, outside, or partly inside."""

    kind: Literal["exponent"] = "exponent"
    low: float
    high: float
    band_low: float
    band_high: float
    where: Literal["inside", "outside", "partly inside"]
    up_to_logarithm: bool = False


class DominantTerm(DataModel):
    """With a term one power lower, the exponent is inside the band and its term is most of the cost."""

    kind: Literal["dominant term"] = "dominant term"
    band_low: float
    band_high: float
    up_to_logarithm: bool = False


class LowerTermPossible(DataModel):
    """The exponent alone is as given; a term one power lower leaves the claim possible."""

    kind: Literal["lower term possible"] = "lower term possible"
    low: float
    high: float
    claimed: float


LawReason = Annotated[
    TooFewSizes | ShortRange | FixedCost | Scatter | ExponentInterval | DominantTerm | LowerTermPossible,
    Field(discriminator="kind"),
]


class MeasureSizes(DataModel):
    """Measure so many sizes from `start` to `end`; `past_fixed_cost` where the fixed cost no longer counts there."""

    kind: Literal["measure sizes"] = "measure sizes"
    sizes: int
    start: float
    end: float
    past_fixed_cost: bool = False
    precision: float | None = None


class RepeatSizes(DataModel):
    """Measure the same sizes again, more precisely."""

    kind: Literal["repeat sizes"] = "repeat sizes"
    sizes: int
    precision: float


class JudgeApart(DataModel):
    """Judge multiples of `multiple` and other sizes apart."""

    kind: Literal["judge apart"] = "judge apart"
    multiple: int


LawAdvice = MeasureSizes | RepeatSizes | JudgeApart


def reason_of(
    decisions: Decisions,
    sizes: Array,
    *,
    claimed: float,
    rivals: list[str],
    policy: ScalingPolicy,
    comb: Comb | None = None,
) -> LawReason:
    """Return why the first data set was decided as it was; `comb` is what its scatter may come from."""
    profile, verdict = decisions.profile, VERDICTS[decisions.verdict[0]]
    if verdict == "inconclusive" and decisions.gate[0]:
        return _reason_of_gate(decisions, sizes, policy=policy, comb=comb)
    low, high = round(float(profile.low[0]), 4), round(float(profile.high[0]), 4)
    band = {"band_low": claimed - policy.band, "band_high": claimed + policy.band}
    if verdict == "contradicted":
        return ExponentInterval(low=low, high=high, **band, where="outside")
    if verdict == "consistent":
        logarithm = _logarithm_possible(claimed, rivals)
        if against_band(profile.low, profile.high, claimed, policy.band)[0] == CONSISTENT:
            return ExponentInterval(low=low, high=high, **band, where="inside", up_to_logarithm=logarithm)
        return DominantTerm(**band, up_to_logarithm=logarithm)
    if decisions.mixed is not None:
        return LowerTermPossible(low=low, high=high, claimed=claimed)
    return ExponentInterval(low=low, high=high, **band, where="partly inside")


def advice_of(
    decisions: Decisions, sizes: Array, *, policy: ScalingPolicy, comb: Comb | None = None
) -> LawAdvice | None:
    """Return which sizes, how many and how precise, would decide the first data set; None if it is decided."""
    if VERDICTS[decisions.verdict[0]] != "inconclusive":
        return None
    gate = GATES[decisions.gate[0]]
    count, span = policy.sizes_advised, policy.range_advised
    start = float(sizes[0])
    if gate == "noise" and comb is not None:
        return JudgeApart(multiple=comb.multiple)
    if gate == "noise":
        return RepeatSizes(sizes=len(sizes), precision=PRECISION)
    if gate == "floor":
        start = _last_hidden(decisions.profile, sizes, policy=policy)
        return MeasureSizes(sizes=count, start=start, end=start * span, past_fixed_cost=True)
    if gate:
        return MeasureSizes(sizes=count, start=start, end=start * span)
    wider = max(span, 2.0 * float(sizes[-1] / sizes[0]))
    return MeasureSizes(sizes=max(count, len(sizes) + 4), start=start, end=start * wider, precision=PRECISION)


def _reason_of_gate(decisions: Decisions, sizes: Array, *, policy: ScalingPolicy, comb: Comb | None) -> LawReason:
    profile, gate = decisions.profile, GATES[decisions.gate[0]]
    if gate == "sizes":
        return TooFewSizes(sizes=len(sizes), at_least=policy.sizes_at_least)
    if gate == "range":
        return ShortRange(ratio=float(sizes[-1] / sizes[0]), at_least=policy.range_at_least)
    if gate == "noise":
        return Scatter(residual=float(profile.residual[0]), comb=comb)
    shares = profile.floor_share[0]
    return FixedCost(
        cost=float(profile.floor[0]),
        smallest=float(sizes[0]),
        share_at_smallest=float(shares[0]),
        largest=float(sizes[-1]),
        share_at_largest=float(shares[-1]),
    )


def _logarithm_possible(claimed: float, rivals: list[str]) -> bool:
    name = "n" if claimed == 1.0 else f"n^{claimed:g}"
    return f"{name} log n" in rivals


def _last_hidden(profile: Profile, sizes: Array, *, policy: ScalingPolicy) -> float:
    """Return the largest size at which the fixed cost still hides the law, the smallest of all if there is none."""
    hidden = sizes[profile.floor_share[0] > policy.floor_share_at_most]
    return float(hidden[-1]) if len(hidden) else float(sizes[0])
