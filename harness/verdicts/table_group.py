"""One group of a table -> its verdict: exact costs as exact, flat ones as flat, others by the exponent's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from harness.scaling import wording
from harness.scaling.exact import LINEAR, QUADRATIC, memory_law
from harness.scaling.flatness import Flatness, flat_sentence, flatness, growth_sentence
from harness.scaling.judgement import judge_law
from harness.scaling.polynomial import SIZES_AT_LEAST, Polynomial, polynomial
from harness.stats.samples import best_of, median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import ScalingPolicy
    from harness.scaling.decision import Kind, TimeVerdict
    from harness.scaling.judgement import Judgement
    from harness.verdicts.groups import Costs
    from harness.verdicts.riding import Ride

# The second smallest of fewer samples would be their middle or largest.
BEST_FROM = 3
SIZES_AT_MOST = 128
# The fit takes fourth powers of costs times squares of powers of sizes; these keep them below 1e300.
SIZE_AT_MOST, COST_AT_MOST, DECADES_AT_MOST = 1e30, 1e30, 80.0


@dataclass(frozen=True)
class Claim:
    """Hold what is claimed of each group, and how it is judged; `is_exact` where the user says that costs are."""

    exponent: float
    kind: Kind
    x: str
    is_exact: bool
    policy: ScalingPolicy


@dataclass(frozen=True)
class Group:
    """Hold one group's sizes with the cost judged at each, its verdict, and what of three findings that rests on."""

    key: dict[str, str | float]
    sizes: list[float]
    costs: list[float]
    samples: int
    left_out: int
    verdict: TimeVerdict
    reason: str
    to_decide: str = ""
    judgement: Judgement | None = None
    flat: Flatness | None = None
    exact: Polynomial | None = None
    rides: list[Ride] = field(default_factory=list)

    def entry(self, *, claimed: float) -> dict[str, object]:
        """Return the verdict as one JSON object."""
        entry: dict[str, object] = {**self.key, "verdict": self.verdict, "claimed": claimed}
        entry |= {"exponent": None, "low": None, "high": None, "floor": None}
        if self.judgement is not None:
            judged, law = self.judgement, self.judgement.law
            step = None if law.step is None else (law.step.at, law.step.height)
            entry |= {"exponent": law.exponent, "low": judged.low, "high": judged.high, "floor": law.floor}
            entry |= {"floor_ends": judged.floor_ends, "half": judged.half, "transition": step}
            entry |= {"rivals": judged.rivals, "residual": law.residual}
            entry |= {"slopes": [vars(slope) for slope in judged.slopes]}
        if self.exact is not None:
            entry |= {"exact": {**vars(self.exact), "degree": self.exact.degree}}
        if self.flat is not None:
            entry |= {"depends": {"low": self.flat.low, "high": self.flat.high, "range": self.flat.span}}
        entry |= {"reason": self.reason, "to_decide": self.to_decide, "sizes": self.sizes, "samples": self.samples}
        return {**entry, "left_out": self.left_out, "rides": [vars(ride) for ride in self.rides]}


@dataclass(frozen=True)
class _Finding:
    """Hold a verdict before what rides on the sizes is looked at."""

    verdict: TimeVerdict
    reason: str
    to_decide: str = ""
    judgement: Judgement | None = None
    flat: Flatness | None = None
    exact: Polynomial | None = None


def judge_group(group: Costs, claim: Claim) -> Group:
    """Judge one group; a column that falls as sizes grow leaves it open, whatever the numbers say."""
    sizes = sorted(group.samples)
    costs = [_cost(group.samples[size]) for size in sizes]
    found = _finding(group, sizes, costs, claim)
    falling = [ride.law for ride in group.rides if ride.falls]
    verdict, reason, to_decide = found.verdict, found.reason, found.to_decide
    if falling and verdict != "inconclusive":
        columns = ", ".join(ride.column for ride in group.rides if ride.falls)
        apart = f"what grows with {claim.x} and what falls with {columns} can't be separated"
        reason = f"{' and '.join(falling)}: {apart}; taken together, {found.reason}"
        verdict = "inconclusive"
        to_decide = f"measure at a fixed {columns}, or judge the cost per {columns}: --per {columns}"
    samples = sum(map(len, group.samples.values()))
    return Group(
        key=group.key,
        sizes=sizes,
        costs=costs,
        samples=samples,
        left_out=group.left_out,
        verdict=verdict,
        reason=reason,
        to_decide=to_decide,
        judgement=found.judgement,
        flat=found.flat,
        exact=found.exact,
        rides=group.rides,
    )


def _finding(group: Costs, sizes: list[float], costs: list[float], claim: Claim) -> _Finding:
    impossible = _why_not(group, sizes, costs, claim)
    if impossible:
        return _Finding("inconclusive", impossible)
    exact = _polynomial(group, claim)
    if exact is not None:
        return _by_degree(exact, claim)
    if claim.is_exact:
        return _by_differences(group, claim)
    flat = flatness(sizes, costs, policy=claim.policy)
    if claim.exponent == 0.0:
        return _flat_claim(flat, len(sizes), claim)
    return _by_interval(group, sizes, costs, flat, claim)


def _by_interval(group: Costs, sizes: list[float], costs: list[float], flat: Flatness | None, claim: Claim) -> _Finding:
    """Judge noisy costs by the interval of their exponent; where none can show since nothing grows, say that."""
    intervals = _intervals(group.samples, sizes)
    try:
        judged = judge_law(
            sizes, costs, claimed=claim.exponent, kind=claim.kind, intervals=intervals, policy=claim.policy
        )
    except ValueError as error:
        return _Finding("inconclusive", str(error))
    if flat is not None and flat.is_flat(claim.policy) and judged.verdict == "inconclusive":
        advice = f"claim --exponent 0, or measure sizes beyond {wording.size(sizes[-1])} at which the cost grows"
        return _Finding("inconclusive", flat_sentence(flat, x=claim.x), advice, judged, flat)
    to_decide = "" if judged.to_decide is None else wording.advice(judged.to_decide)
    return _Finding(judged.verdict, wording.sentence(judged.reason), to_decide, judged, flat)


def _why_not(group: Costs, sizes: list[float], costs: list[float], claim: Claim) -> str:
    """Say why a group can't be judged at all; "" where it can."""
    if not sizes:
        return f"no row has both a size and a cost ({group.left_out} left out)"
    if len(sizes) > SIZES_AT_MOST:
        return f"{len(sizes)} different sizes are more than can be judged at once (at most {SIZES_AT_MOST})"
    if sizes[-1] > SIZE_AT_MOST or sizes[0] < 1.0 / SIZE_AT_MOST:
        return f"a size of {sizes[-1] if sizes[-1] > SIZE_AT_MOST else sizes[0]:g} is beyond what can be fitted"
    if max(costs) > COST_AT_MOST or min(costs) < 1.0 / COST_AT_MOST:
        return f"a cost of {max(costs) if max(costs) > COST_AT_MOST else min(costs):g} is beyond what can be fitted"
    highest = max(claim.policy.exponent_high, claim.exponent + 2.0)
    decades = highest * math.log10(sizes[-1] / sizes[0]) + math.log10(max(costs) / min(costs))
    if decades > DECADES_AT_MOST:
        return (
            f"a range of {sizes[-1] / sizes[0]:.3g} is beyond what can be fitted with an exponent of {claim.exponent:g}"
        )
    return ""


def _polynomial(group: Costs, claim: Claim) -> Polynomial | None:
    if not group.is_exact or claim.exponent != int(claim.exponent):
        return None
    sizes = [size for size in sorted(group.exact) if size.is_integer()]
    if len(sizes) < len(group.exact):
        return None
    costs, steps = zip(*(group.exact[size].exactly() for size in sizes), strict=True)
    found = polynomial([Fraction(size) for size in sizes], costs, steps, is_asked=claim.is_exact)
    # Without growth, equal costs may as well be a limit that cut every run off.
    return None if found is not None and found.degree == 0 and not claim.is_exact else found


def _by_degree(exact: Polynomial, claim: Claim) -> _Finding:
    line = f"all {exact.sizes} sizes lie on {exact.formula(claim.x)} to the last digit"
    if exact.degree != claim.exponent:
        reason = f"{line}, which is of degree {exact.degree}, not {claim.exponent:g}"
        return _Finding("contradicted", reason, exact=exact)
    if exact.share < 0.0:
        return _Finding("contradicted", f"{line}, whose term of degree {exact.degree} is negative", exact=exact)
    share = f"its highest term is {min(100 * exact.share, 100):.3g} % of the cost at the largest size"
    if exact.share < claim.policy.dominant_share:
        return _Finding("inconclusive", f"{line}; {share}", "measure larger sizes", exact=exact)
    return _Finding("consistent", f"{line}; {share}", exact=exact)


def _by_differences(group: Costs, claim: Claim) -> _Finding:
    """Judge exact costs that are no polynomial by second differences and the line, as extra memory of runs is."""
    if not group.is_exact:
        return _Finding("inconclusive", "samples of one size differ: these costs are not exact")
    whole = [size for size in group.exact if size.is_integer()]
    if len(group.exact) < SIZES_AT_LEAST or len(whole) < len(group.exact):
        return _Finding("inconclusive", f"exact costs need at least {SIZES_AT_LEAST} sizes, in whole numbers")
    exact = [group.exact[size].exactly() for size in whole]
    step = min(step for _, step in exact)
    values = [round(cost / step) for cost, _ in exact]
    found = memory_law([int(size) for size in whole], values, policy=claim.policy)
    none = "no polynomial goes through all sizes"
    if found is None or found.degree is None:
        return _Finding("inconclusive", f"{none}, and neither a line nor a square describes the larger ones")
    shape = {0: "the larger ones are equal", LINEAR: "a line", QUADRATIC: "a square"}[found.degree]
    describes = shape if found.degree == 0 else f"{shape} describes the larger ones, with steps"
    verdict: TimeVerdict = "consistent" if found.degree == claim.exponent else "contradicted"
    return _Finding(verdict, f"{none}; {describes} (degree {found.degree})")


def _flat_claim(flat: Flatness | None, count: int, claim: Claim) -> _Finding:
    if flat is None:
        least = claim.policy.flat_sizes_at_least
        return _Finding("inconclusive", f"{count} sizes are too few to call a cost flat (at least {least} are needed)")
    verdict = flat.verdict(claim.policy)
    if verdict == "consistent":
        return _Finding(verdict, flat_sentence(flat, x=claim.x), flat=flat)
    advice = f"measure {claim.policy.sizes_advised} sizes over a range of {claim.policy.range_advised:g}"
    to_decide = f"{advice} to a precision of 1 %" if verdict == "inconclusive" else ""
    return _Finding(verdict, growth_sentence(flat, x=claim.x, policy=claim.policy), to_decide, flat=flat)


def _cost(samples: Sequence[float]) -> float:
    return best_of(samples) if len(samples) >= BEST_FROM else median_interval(samples).median


def _intervals(table: dict[float, list[float]], sizes: Sequence[float]) -> list[tuple[float, float] | None]:
    found = [median_interval(table[size]) for size in sizes]
    return [None if i.low is None or i.high is None else (i.low, i.high) for i in found]
