"""Why a claim has its verdict, and what would decide it: facts with their numbers, which a report makes sentences of.

Sizes are of the axis that is named, shares and ratios plain numbers, fields in `_bytes` bytes. Where a law of time was
judged, its costs are seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.records import DataModel
from harness.scaling.reasons import JudgeApart, LawReason, MeasureSizes, RepeatSizes


class NotCounted(DataModel):
    """Operations were not counted, or not along this axis."""

    kind: Literal["not counted"] = "not counted"
    axis: str | None = None


class OnlyDeclared(DataModel):
    """Operations are what the implementation says of itself; `cause` is what hid them from the counter."""

    kind: Literal["only declared"] = "only declared"
    cause: str


class NoPolynomial(DataModel):
    """Counted operations are no polynomial of the sizes; of products alone if `products`."""

    kind: Literal["no polynomial"] = "no polynomial"
    axis: str
    products: bool = False
    sizes: int
    smallest: int
    largest: int


class CountedDegree(DataModel):
    """Counted operations are a polynomial of exactly this degree; of products alone if `products`.

    The products of one call are given, counted and as the problem's model has them, if they differ.
    """

    kind: Literal["counted degree"] = "counted degree"
    axis: str
    degree: int
    products: bool = False
    sizes: int
    smallest: int
    largest: int
    counted_products: int | None = None
    modelled_products: int | None = None


class FiniteDegree(DataModel):
    """Counted operations have a finite degree, so that they don't grow exponentially."""

    kind: Literal["finite degree"] = "finite degree"
    axis: str
    degree: int


class MaskedPairs(DataModel):
    """The share of the products that remain under a causal mask; `skipped` if masked pairs are left out."""

    kind: Literal["masked pairs"] = "masked pairs"
    share: float
    skipped: bool


class MemoryUnknown(DataModel):
    """Extra memory is known at too few sizes."""

    kind: Literal["memory unknown"] = "memory unknown"
    axis: str
    sizes: int


class MemoryDegree(DataModel):
    """Extra memory grows with this power of a size, None if it is neither linear nor quadratic.

    `extra_bytes` are those at the `largest` size. `score_buffers` is how many n x n buffers of the dtype for each head
    a quadratic law amounts to, `over_line` the largest over the line through smaller sizes of a linear one.
    """

    kind: Literal["memory degree"] = "memory degree"
    axis: str
    degree: int | None
    largest: int
    extra_bytes: int
    dtype: str
    score_buffers: float | None = None
    over_line: float | None = None


class MemoryBeside(DataModel):
    """Extra memory of an implementation and of the baseline at one n."""

    kind: Literal["memory beside"] = "memory beside"
    n: int
    extra_bytes: int
    baseline: str
    baseline_bytes: int


class LinearParts(DataModel):
    """A straight line through times: the share of the time at size `at` that does not depend on size, and the slope.

    The slope is seconds for each further unit of size; both have 95 % intervals.
    """

    at: float
    share: float
    share_low: float
    share_high: float
    slope: float
    slope_low: float
    slope_high: float


class FlatTime(DataModel):
    """The share of the largest time that depends on size, over a range of `span`; `is_flat` if the time does not grow.

    Up to `at_most` may depend on size where it is flat.
    """

    kind: Literal["flat time"] = "flat time"
    axis: str
    span: float
    sizes: int
    low: float
    high: float
    at_most: float
    is_flat: bool


class TimeLaw(DataModel):
    """A law of time was judged. `counts_decide` if time that contradicts is left open, as counts decide on this axis.

    `overtaken_at` is the size where the claimed power overtakes the term one power lower that dispatching costs;
    `parts` what of the time does not depend on a size whose claimed law is linear.
    """

    kind: Literal["time law"] = "time law"
    axis: str
    law: LawReason
    counts_decide: bool = False
    overtaken_at: float | None = None
    parts: LinearParts | None = None


class PowerFits(DataModel):
    """A power of the size, with its exponent in this interval, describes the times."""

    kind: Literal["power fits"] = "power fits"
    axis: str
    low: float
    high: float


class CausalTime(DataModel):
    """The time of a causal call over that of a full one at one n, with its interval if there is one."""

    kind: Literal["causal time"] = "causal time"
    n: int
    ratio: float
    low: float | None = None
    high: float | None = None


class TimeBeside(DataModel):
    """The time of an implementation over that of the baseline at one n."""

    kind: Literal["time beside"] = "time beside"
    n: int
    ratio: float
    baseline: str


class WrongAnswers(DataModel):
    """Answers were wrong at some sizes of an axis: the `right` sizes that remain are no series of one computation."""

    kind: Literal["wrong answers"] = "wrong answers"
    axis: str
    sizes: list[int]
    right: int


class TiedAxes(DataModel):
    """Other axes follow this one at all its sizes, {"batch": "16384 / n"}: what was measured is no law of one alone."""

    kind: Literal["tied axes"] = "tied axes"
    axis: str
    ties: dict[str, str]
    sizes: int


OfOperations = NotCounted | OnlyDeclared | NoPolynomial | CountedDegree | FiniteDegree | MaskedPairs
OfMemory = MemoryUnknown | MemoryDegree | MemoryBeside
OfTime = TimeLaw | FlatTime | PowerFits | CausalTime | TimeBeside
# Why what was measured along an axis shows no law of it.
OfSeries = WrongAnswers | TiedAxes
# Why one quantity was judged as it was, along one axis.
PartReason = Annotated[OfOperations | OfMemory | OfTime | OfSeries, Field(discriminator="kind")]


class Held(DataModel):
    """A quantity that is as claimed: its exponents by axis, or the reason if the claim has none."""

    quantity: Literal["operations", "memory"]
    exponents: dict[str, float] = Field(default_factory=dict)
    reason: PartReason | None = None


class AsClaimed(DataModel):
    """Exact quantities are as claimed, and time contradicts nothing.

    `why_inconclusive` is the reason along the first axis on which time is. `crossover_n` is where the quadratic terms
    of a sum overtake the linear ones.
    """

    kind: Literal["as claimed"] = "as claimed"
    held: list[Held]
    consistent_along: list[str] = Field(default_factory=list)
    inconclusive_along: list[str] = Field(default_factory=list)
    why_inconclusive: PartReason | None = None
    crossover_n: float | None = None


class TimeDiffers(DataModel):
    """Exact quantities are as claimed, but time contradicts the claim."""

    kind: Literal["time differs"] = "time differs"
    held: list[Held]
    time: PartReason


class TimeAlone(DataModel):
    """Only time was judged; `exact` is why nothing exact was."""

    kind: Literal["time alone"] = "time alone"
    time: PartReason
    exact: PartReason | None = None


OverAll = AsClaimed | TimeDiffers | TimeAlone
# Why a verdict is as it is: of one quantity, or over all.
Reason = Annotated[OfOperations | OfMemory | OfTime | OfSeries | OverAll, Field(discriminator="kind")]


class MeasureMemory(DataModel):
    """Measure memory at so many sizes or more."""

    kind: Literal["measure memory"] = "measure memory"
    axis: str
    at_least: int


class CompareLarger(DataModel):
    """Compare at larger sizes, more precisely."""

    kind: Literal["compare larger"] = "compare larger"
    precision: float


class JudgeSegments(DataModel):
    """Judge the segments of a sweep apart: from these sizes on other kernels ran, or page faults set in."""

    kind: Literal["judge segments"] = "judge segments"
    axis: str
    starts: list[int]


class SeeSlopes(DataModel):
    """Look at the local slopes, and repeat the sweep on a quiet machine."""

    kind: Literal["see slopes"] = "see slopes"


class HoldAxes(DataModel):
    """Sweep an axis while others keep their values."""

    kind: Literal["hold axes"] = "hold axes"
    axis: str
    held: list[str]


Advice = Annotated[
    MeasureSizes | RepeatSizes | JudgeApart | MeasureMemory | CompareLarger | JudgeSegments | SeeSlopes | HoldAxes,
    Field(discriminator="kind"),
]
