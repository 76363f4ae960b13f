"""Laws judged from sizes and costs: the exponent with its interval, rivals, slopes, crossovers. Pure numbers.

The model is cost = floor + a * n^p * K(n): a fixed cost, a power, and a nuisance K that steps up smoothly once, as
costs do when data leave a cache. Relative weights, profile likelihood over p; docs/verdict.md explains it.
All functions take sizes [m]; costs are [sets, m] in the functions that judge many data sets at once.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.policy import ScalingPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TimeVerdict = Literal["consistent", "contradicted", "inconclusive"]
Kind = Literal["component", "layer"]
Gate = Literal["", "sizes", "range", "floor", "noise"]

VERDICTS: tuple[TimeVerdict, ...] = ("consistent", "contradicted", "inconclusive")
CONSISTENT, CONTRADICTED, INCONCLUSIVE = range(3)
GATES: tuple[Gate, ...] = ("", "sizes", "range", "floor", "noise")
# Parameters of floor + a n^p K(n): floor, a, p, place and height of the transition; one more with a lower term.
PARAMETERS, PARAMETERS_LAYER = 5, 6
# Elements of the largest array at a time, 128 MiB in float64: many data sets are judged in blocks.
BLOCK_ELEMENTS = 2**24
# Determinants below this share of their terms mean that floor and power are the same column.
SINGULAR = 1e-12
# Grid values are multiples of a step in floating point.
GRID_SLACK = 1e-9
# Sizes of a claim of exponent 1 have no lower power to separate but the floor.
LINEAR = 1.5

# Draws of the bootstrap of additive fits; 200 place the ends of a 95 % interval within a few per cent of its width.
BOOTSTRAP_DRAWS, BOOTSTRAP_SEED = 200, 0

RIVALS: dict[str, Callable[[Array], Array]] = {
    "n": lambda n: n,
    "n log n": lambda n: n * np.log2(n),
    "n^1.5": lambda n: n**1.5,
    "n^2": lambda n: n**2,
    "n^2 log n": lambda n: n**2 * np.log2(n),
    "n^3": lambda n: n**3,
}


@dataclass(frozen=True)
class Profile:
    """Hold the exponent's interval for each data set, and the best fit: arrays [sets], but `floor_share` [sets, m].

    `floor`, `slope` are in the unit of the costs; slope is the power's cost at the smallest size. `height` and `place`
    describe the transition, 1 where there is none.
    """

    low: Array
    best: Array
    high: Array
    floor: Array
    slope: Array
    height: Array
    place: Array
    floor_share: Array
    residual: Array


@dataclass(frozen=True)
class MixedProfile:
    """Hold the interval of p in floor + b n^low + a n^p; whether b alone suffices; the p term's share at the end."""

    low: Array
    best: Array
    high: Array
    lower_suffices: NDArray[np.bool_]
    share: Array


@dataclass(frozen=True)
class Decisions:
    """Hold what is decided for each data set: indices into VERDICTS and GATES."""

    verdict: NDArray[np.int64]
    gate: NDArray[np.int64]
    profile: Profile
    mixed: MixedProfile | None


@dataclass(frozen=True)
class Slope:
    """Hold the local exponent between two neighbouring sizes, with its interval where the costs have one."""

    start: float
    end: float
    slope: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Judgement:
    """Hold the judgement of one law by one quantity along one axis.

    The best curve is floor + slope * (n / start) ** exponent * K(n), where `transition` has the place and height of K.
    `rivals` are the laws that fit as well as that curve does. `floor_ends` is the size where the power overtakes
    the fixed cost, `half` the size where it overtakes the term one power below; None where there is no such term.
    """

    verdict: TimeVerdict
    claimed: float
    exponent: float
    low: float
    high: float
    floor: float
    slope: float
    start: float
    residual: float
    transition: tuple[float, float] | None
    rivals: list[str]
    floor_ends: float | None
    half: float | None
    reason: str
    to_decide: str = ""
    slopes: list[Slope] = field(default_factory=list)
    mixed: tuple[float, float] | None = None


def judge(
    sizes: Sequence[float],
    costs: Sequence[float],
    *,
    claimed: float,
    kind: Kind = "component",
    intervals: Sequence[tuple[float, float] | None] | None = None,
    policy: ScalingPolicy | None = None,
) -> Judgement:
    """Judge whether costs grow as size ** claimed; sizes and costs are positive, in any order, one cost a size.

    `intervals` of the costs give the local slopes theirs. Raises ValueError for data that can't be judged at all:
    fewer than three sizes, repeated sizes, anything not positive and finite, or a claimed exponent below 0.5.
    """
    policy = policy or ScalingPolicy()
    n, cost, order = _checked(sizes, costs, claimed=claimed, policy=policy)
    decisions = decide(n, cost[None], claimed=claimed, kind=kind, policy=policy)
    profile, verdict = decisions.profile, VERDICTS[decisions.verdict[0]]
    plausible = plausible_rivals(n, cost, policy=policy)
    gate = GATES[decisions.gate[0]]
    height = float(profile.height[0])
    mixed = decisions.mixed
    return Judgement(
        verdict=verdict,
        claimed=claimed,
        exponent=round(float(profile.best[0]), 4),
        low=round(float(profile.low[0]), 4),
        high=round(float(profile.high[0]), 4),
        floor=float(profile.floor[0]),
        slope=float(profile.slope[0]),
        start=float(n[0]),
        residual=float(profile.residual[0]),
        transition=None if height == 1.0 else (2.0 ** float(profile.place[0]), height),
        rivals=plausible,
        floor_ends=_floor_ends(n, profile, policy=policy),
        half=crossover(n, cost, claimed=claimed) if claimed > LINEAR else None,
        reason=_reason(decisions, n, claimed=claimed, kind=kind, rivals=plausible, policy=policy),
        to_decide=_to_decide(gate, profile, n, policy=policy) if verdict == "inconclusive" else "",
        slopes=local_slopes(n, cost, None if intervals is None else [intervals[index] for index in order]),
        mixed=None if mixed is None else (round(float(mixed.low[0]), 4), round(float(mixed.high[0]), 4)),
    )


def curve(judgement: Judgement, sizes: Sequence[float], *, policy: ScalingPolicy | None = None) -> list[float]:
    """Return the cost that the best curve of a judgement has at other sizes."""
    policy = policy or ScalingPolicy()
    n = np.asarray(sizes, dtype=float)
    place, height = judgement.transition or (judgement.start, 1.0)
    width = policy.transition_octaves / 2.0
    kink = 1.0 + (height - 1.0) / (1.0 + np.exp(-(np.log2(n) - math.log2(place)) / width))
    cost = judgement.floor + judgement.slope * (n / judgement.start) ** judgement.exponent * kink
    return [float(value) for value in cost]


def decide(
    sizes: Array, costs: Array, *, claimed: float, kind: Kind = "component", policy: ScalingPolicy | None = None
) -> Decisions:
    """Decide for each row of costs [sets, m] whether it grows as size ** claimed.

    The component rule asks whether the interval lies inside the band around the claim, or outside. The layer rule
    also fits a term one power lower, and contradicts only where both forms do.
    """
    policy = policy or ScalingPolicy()
    profile = exponent_profile(sizes, costs, claimed=claimed, policy=policy)
    gate = _gates(sizes, profile, policy=policy)
    pure = np.where(gate > 0, INCONCLUSIVE, _against_band(profile.low, profile.high, claimed, policy.band))
    if kind == "component" or claimed < LINEAR:
        return Decisions(pure, gate, profile, None)
    mixed = mixed_profile(sizes, costs, claimed=claimed, policy=policy)
    return Decisions(_combine(pure, gate, mixed, claimed, policy), gate, profile, mixed)


def exponent_profile(sizes: Array, costs: Array, *, claimed: float = 2.0, policy: ScalingPolicy) -> Profile:
    """Profile the exponent p of floor + a n^p K(n) for each row of costs [sets, m]."""
    parts = [_profile_block(sizes, block, claimed, policy) for block in _blocks(sizes, costs, claimed, policy)]
    return parts[0] if len(parts) == 1 else Profile(*map(np.concatenate, zip(*map(_fields, parts), strict=True)))


def mixed_profile(sizes: Array, costs: Array, *, claimed: float, policy: ScalingPolicy) -> MixedProfile:
    """Profile p of floor + b n^(claimed - 1) K + a n^p K for each row of costs [sets, m], no term negative."""
    parts = [_mixed_block(sizes, block, claimed, policy) for block in _blocks(sizes, costs, claimed, policy)]
    return parts[0] if len(parts) == 1 else MixedProfile(*map(np.concatenate, zip(*map(_fields, parts), strict=True)))


def plausible_rivals(sizes: Array, cost: Array, *, policy: ScalingPolicy) -> list[str]:
    """Name the laws of RIVALS that, with a floor and a transition, fit one data set as well as the best curve."""
    kinks = _kinks(sizes, heights=policy.transitions, places=policy.transition_places, policy=policy)[0]
    # A logarithm vanishes at one and is negative below.
    laws = {name: law for name, law in RIVALS.items() if sizes[0] > 1.0 or "log" not in name}
    shapes = np.concatenate([law(sizes) / law(sizes[:1]) * kinks for law in laws.values()])
    rss = _fit(cost[None], shapes)[0].reshape(len(laws), len(kinks)).min(axis=1)
    profile = exponent_profile(sizes, cost[None], policy=policy)
    freedom = max(len(sizes) - PARAMETERS, 1)
    best = min(float(rss.min()), float(profile.residual[0] ** 2 * freedom))
    allowed = max(best / freedom, policy.noise_at_least**2) * _f_quantile(freedom, policy.confidence)
    return [name for name, misfit in zip(laws, rss, strict=True) if misfit - best <= allowed]


def local_slopes(
    sizes: Sequence[float] | Array,
    costs: Sequence[float] | Array,
    intervals: Sequence[tuple[float, float] | None] | None,
) -> list[Slope]:
    """Return the exponent between neighbouring sizes; intervals of both costs give one of the slope, in quadrature."""
    bounds = [None] * len(costs) if intervals is None else list(intervals)
    slopes = []
    for left in range(len(costs) - 1):
        run = math.log(sizes[left + 1] / sizes[left])
        slope = math.log(costs[left + 1] / costs[left]) / run
        first, second = bounds[left], bounds[left + 1]
        if first is None or second is None:
            slopes.append(Slope(float(sizes[left]), float(sizes[left + 1]), slope))
            continue
        half = math.hypot(*(0.5 * math.log(high / low) for low, high in (first, second))) / run
        slopes.append(Slope(float(sizes[left]), float(sizes[left + 1]), slope, slope - half, slope + half))
    return slopes


def crossover(sizes: Array, cost: Array, *, claimed: float) -> float | None:
    """Return the size where a n^claimed overtakes b n^(claimed - 1) in floor + both; None where either is absent."""
    x = sizes / sizes[0]
    design = np.stack([np.ones_like(x), x ** (claimed - 1.0), x**claimed], axis=-1)[None, None]
    coefficients = _non_negative(design / cost[:, None])[0, 0]
    lower, power = float(coefficients[1]), float(coefficients[2])
    return None if lower <= 0.0 or power <= 0.0 else float(sizes[0]) * lower / power


def _checked(
    sizes: Sequence[float], costs: Sequence[float], *, claimed: float, policy: ScalingPolicy
) -> tuple[Array, Array, list[int]]:
    if len(sizes) != len(costs):
        raise ValueError(f"{len(sizes)} sizes and {len(costs)} costs")
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    n = np.array([sizes[index] for index in order], dtype=float)
    cost = np.array([costs[index] for index in order], dtype=float)
    if len(n) < 3:  # noqa: PLR2004
        raise ValueError(
            f"{len(n)} sizes are too few to fit a law: at least 3 are needed, {policy.sizes_advised} advised"
        )
    if not (np.isfinite(n).all() and np.isfinite(cost).all() and (n > 0).all() and (cost > 0).all()):
        raise ValueError("sizes and costs must be positive and finite")
    if (np.diff(n) == 0).any():
        raise ValueError(f"size {n[:-1][np.diff(n) == 0][0]:g} occurs twice")
    if claimed < policy.exponent_low:
        raise ValueError(f"an exponent below {policy.exponent_low:g} can't be told from a fixed cost: {claimed:g}")
    return n, cost, order


def _exponents(claimed: float, policy: ScalingPolicy) -> Array:
    """Return the grid of exponents, reaching 1.5 beyond the claim so that an interval has room."""
    high = max(policy.exponent_high, claimed + LINEAR)
    count = round((high - policy.exponent_low) / policy.exponent_step) + 1
    return np.asarray(policy.exponent_low + policy.exponent_step * np.arange(count), dtype=np.float64)


def _kinks(
    sizes: Array, *, heights: Sequence[float], places: int, policy: ScalingPolicy, margin: float = 0.25
) -> tuple[Array, Array, Array]:
    """Return transitions K(n) [kinks, m], the first one absent, with their heights and places in log2 n."""
    octaves = np.log2(sizes)
    centres = np.linspace(octaves.min() + margin, octaves.max() - 0.25, places)
    pairs = [(1.0, float(octaves[0])), *itertools.product(heights, centres)]
    height, place = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    width = policy.transition_octaves / 2.0
    curves = 1.0 + (height[:, None] - 1.0) / (1.0 + np.exp(-(octaves - place[:, None]) / width))
    return curves, height, place


def _fit(costs: Array, shapes: Array) -> tuple[Array, Array, Array]:
    """Fit floor + slope * shape with relative weights; costs [sets, m], shapes [s, m].

    Neither term is negative. Returns the sum of squared log residuals, floors and slopes, each [sets, s].
    """
    weight = 1.0 / costs
    square = weight * weight
    ww, sw = square.sum(axis=1)[:, None], weight.sum(axis=1)[:, None]
    ff, wf, sf = square @ (shapes * shapes).T, square @ shapes.T, weight @ shapes.T
    determinant = ww * ff - wf * wf
    singular = determinant <= SINGULAR * ww * ff
    safe = np.where(singular, 1.0, determinant)
    floor, slope = (sw * ff - sf * wf) / safe, (ww * sf - wf * sw) / safe
    bare = singular | (floor < 0.0) | (slope <= 0.0)
    floor, slope = np.where(bare, 0.0, floor), np.where(bare, sf / ff, slope)
    model = floor[:, :, None] + slope[:, :, None] * shapes[None]
    residuals = np.log(costs)[:, None, :] - np.log(model)
    return np.einsum("nsm,nsm->ns", residuals, residuals), floor, slope


def _profile_block(sizes: Array, costs: Array, claimed: float, policy: ScalingPolicy) -> Profile:
    exponents = _exponents(claimed, policy)
    kinks, heights, places = _kinks(sizes, heights=policy.transitions, places=policy.transition_places, policy=policy)
    powers = (sizes / sizes[0]) ** exponents[:, None]
    shapes = (powers[:, None, :] * kinks[None]).reshape(-1, len(sizes))
    rss, floors, slopes = _fit(costs, shapes)
    by_exponent = rss.reshape(len(costs), len(exponents), len(kinks)).min(axis=2)
    low, high, residual = _interval(by_exponent, exponents, parameters=PARAMETERS, count=len(sizes), policy=policy)
    rows, chosen = np.arange(len(costs)), rss.argmin(axis=1)
    floor, slope = floors[rows, chosen], slopes[rows, chosen]
    work = slope[:, None] * shapes[chosen]
    return Profile(
        low=low,
        best=exponents[chosen // len(kinks)],
        high=high,
        floor=floor,
        slope=slope,
        height=heights[chosen % len(kinks)],
        place=places[chosen % len(kinks)],
        floor_share=floor[:, None] / (floor[:, None] + work),
        residual=residual,
    )


def _interval(
    misfit: Array, exponents: Array, *, parameters: int, count: int, policy: ScalingPolicy, least: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return the hull of the exponents that fit as well as the best does, and the residual deviation."""
    freedom = max(count - parameters, 1)
    least = misfit.min(axis=1) if least is None else least
    variance = np.maximum(least / freedom, policy.noise_at_least**2)
    allowed = least + variance * _f_quantile(freedom, policy.confidence)
    low = _last_kept(misfit[:, ::-1], exponents[::-1], allowed)
    high = _last_kept(misfit, exponents, allowed)
    return low, high, np.sqrt(least / freedom)


def _last_kept(misfit: Array, exponents: Array, allowed: Array) -> Array:
    """Return where the misfit leaves what is allowed for good, interpolated between grid points; the end if never."""
    rows, last = np.arange(len(misfit)), len(exponents) - 1
    kept = misfit <= allowed[:, None]
    inner = last - kept[:, ::-1].argmax(axis=1)
    inner = np.where(kept.any(axis=1), inner, misfit.argmin(axis=1))
    outer = np.minimum(inner + 1, last)
    rise = misfit[rows, outer] - misfit[rows, inner]
    room = np.maximum(allowed - misfit[rows, inner], 0.0)
    share = np.where(rise > 0.0, np.minimum(room / np.where(rise > 0.0, rise, 1.0), 1.0), 0.0)
    return np.asarray(exponents[inner] + share * (exponents[outer] - exponents[inner]), dtype=np.float64)


def _mixed_block(sizes: Array, costs: Array, claimed: float, policy: ScalingPolicy) -> MixedProfile:
    lower = claimed - 1.0
    count = round((LINEAR + 0.7) / policy.layer_exponent_step) + 1
    exponents = np.asarray(lower + 0.3 + policy.layer_exponent_step * np.arange(count), dtype=np.float64)
    kinks = _kinks(
        sizes, heights=policy.layer_transitions, places=policy.layer_transition_places, policy=policy, margin=0.5
    )[0]
    x = sizes / sizes[0]
    one, low_term = np.ones_like(kinks), x**lower * kinks  # [kinks, m]
    power = x ** exponents[:, None, None] * kinks[None]  # [exponents, kinks, m]
    design = np.stack(np.broadcast_arrays(one[None], low_term[None], power), axis=-1)
    design = design.reshape(-1, len(sizes), 3)
    coefficients = _non_negative(design[None] / costs[:, None, :, None])
    rss = _log_misfit(design, coefficients, costs)
    by_exponent = rss.reshape(len(costs), len(exponents), len(kinks)).min(axis=2)
    without = _fit(costs, low_term)[0].min(axis=1)
    least = np.minimum(by_exponent.min(axis=1), without)
    low, high, _ = _interval(
        by_exponent, exponents, parameters=PARAMETERS_LAYER, count=len(sizes), policy=policy, least=least
    )
    freedom = max(len(sizes) - PARAMETERS_LAYER, 1)
    variance = np.maximum(least / freedom, policy.noise_at_least**2)
    rows, chosen = np.arange(len(costs)), rss.argmin(axis=1)
    best = coefficients[rows, chosen] * design[chosen, -1]  # the three terms at the largest size
    return MixedProfile(
        low=low,
        best=exponents[chosen // len(kinks)],
        high=high,
        lower_suffices=without - least <= variance * _f_quantile(freedom, policy.confidence),
        share=best[:, 2] / best.sum(axis=1),
    )


def _non_negative(design: Array) -> Array:
    """Solve min |1 - design @ b| with b >= 0 for designs [..., m, 3], by trying every support; returns [..., 3]."""
    gram = np.einsum("...mi,...mj->...ij", design, design)
    right = design.sum(axis=-2)
    best = np.zeros(right.shape)
    least = np.full(right.shape[:-1], np.inf)
    for support in ([0, 1, 2], [0, 2], [1, 2], [2], [0, 1]):
        inner = gram[..., support, :][..., :, support]
        ridge = SINGULAR * np.trace(inner, axis1=-2, axis2=-1)[..., None, None] * np.eye(len(support))
        solution = np.linalg.solve(inner + ridge, right[..., support][..., None])[..., 0]
        full = np.zeros(right.shape)
        full[..., support] = solution
        misfit = np.einsum("...i,...ij,...j->...", full, gram, full) - 2.0 * np.einsum("...i,...i->...", full, right)
        better = (solution >= 0.0).all(axis=-1) & (misfit < least)
        best = np.where(better[..., None], full, best)
        least = np.where(better, misfit, least)
    return np.asarray(best, dtype=np.float64)


def _log_misfit(design: Array, coefficients: Array, costs: Array) -> Array:
    model = np.einsum("smi,nsi->nsm", design, coefficients)
    residuals = np.log(costs)[:, None, :] - np.log(np.maximum(model, np.finfo(float).tiny))
    misfit: Array = np.einsum("nsm,nsm->ns", residuals, residuals)
    return misfit


def _against_band(low: Array, high: Array, claimed: float, band: float) -> NDArray[np.int64]:
    inside = (low >= claimed - band - GRID_SLACK) & (high <= claimed + band + GRID_SLACK)
    outside = (high < claimed - band - GRID_SLACK) | (low > claimed + band + GRID_SLACK)
    return np.where(inside, CONSISTENT, np.where(outside, CONTRADICTED, INCONCLUSIVE))


def _gates(sizes: Array, profile: Profile, *, policy: ScalingPolicy) -> NDArray[np.int64]:
    """Return why each data set can't be judged, as indices into GATES: too few sizes, range, floor, noise."""
    seen = profile.floor_share <= policy.floor_share_at_most
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), len(sizes) - 1)
    hidden = (seen.sum(axis=1) < policy.regime_sizes) | (sizes[-1] / sizes[first] < policy.regime_range)
    gate = np.where(hidden, GATES.index("floor"), 0)
    gate = np.where(profile.residual > policy.noise_at_most, GATES.index("noise"), gate)
    if sizes[-1] / sizes[0] < policy.range_at_least * (1.0 - GRID_SLACK):
        gate = np.full_like(gate, GATES.index("range"))
    if len(sizes) < policy.sizes_at_least:
        gate = np.full_like(gate, GATES.index("sizes"))
    return gate


def _combine(
    pure: NDArray[np.int64], gate: NDArray[np.int64], mixed: MixedProfile, claimed: float, policy: ScalingPolicy
) -> NDArray[np.int64]:
    with_lower = _against_band(mixed.low, mixed.high, claimed, policy.band)
    identified = (with_lower == CONSISTENT) & ~mixed.lower_suffices & (mixed.share >= policy.dominant_share)
    # Only the floor's gate concerns the pure form alone; the others void both.
    judged = (gate == 0) | (gate == GATES.index("floor"))
    holds = judged & (with_lower != CONTRADICTED) & ((pure == CONSISTENT) | identified)
    fails = (pure == CONTRADICTED) & ((with_lower == CONTRADICTED) | mixed.lower_suffices)
    return np.where(holds, CONSISTENT, np.where(fails, CONTRADICTED, INCONCLUSIVE))


def _blocks(sizes: Array, costs: Array, claimed: float, policy: ScalingPolicy) -> list[Array]:
    shapes = len(_exponents(claimed, policy)) * (1 + len(policy.transitions) * policy.transition_places)
    step = max(1, BLOCK_ELEMENTS // (8 * shapes * len(sizes)))
    return [costs[start : start + step] for start in range(0, len(costs), step)]


def _fields(part: Profile | MixedProfile) -> list[Array]:
    return list(vars(part).values())


@functools.cache
def _f_quantile(freedom: int, confidence: float) -> float:
    from scipy.special import fdtri

    return float(fdtri(1, freedom, confidence))


def _floor_ends(sizes: Array, profile: Profile, *, policy: ScalingPolicy) -> float | None:
    """Return the size where the fitted power overtakes the fitted floor; None without a floor."""
    floor, slope, exponent = (float(array[0]) for array in (profile.floor, profile.slope, profile.best))
    if floor <= 0.0:
        return None
    low, high = math.log2(sizes[0]) - 20.0, math.log2(sizes[-1]) + 20.0
    width = policy.transition_octaves / 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        rise = 1.0 / (1.0 + math.exp(min((float(profile.place[0]) - middle) / width, 700.0)))
        kink = 1.0 + (float(profile.height[0]) - 1.0) * rise
        work = slope * (2.0**middle / float(sizes[0])) ** exponent * kink
        low, high = (low, middle) if work > floor else (middle, high)
    return float(np.exp2(high))


def _reason(
    decisions: Decisions, sizes: Array, *, claimed: float, kind: Kind, rivals: list[str], policy: ScalingPolicy
) -> str:
    profile, verdict, gate = decisions.profile, VERDICTS[decisions.verdict[0]], GATES[decisions.gate[0]]
    low, high = float(profile.low[0]), float(profile.high[0])
    band = f"{claimed - policy.band:g} to {claimed + policy.band:g}"
    interval = f"the exponent lies between {low:.2f} and {high:.2f}"
    if verdict == "inconclusive" and gate:
        return _gate_reason(gate, profile, sizes, policy=policy)
    if verdict == "consistent":
        logarithm = " (up to a log factor)" if _logarithm_possible(claimed, rivals) else ""
        inside = decisions.mixed is None or (
            low >= claimed - policy.band - GRID_SLACK and high <= claimed + policy.band
        )
        if inside:
            return f"{interval}, inside {band} around the claim{logarithm}"
        return f"with a term one power lower the exponent lies inside {band} around the claim, and its term dominates"
    if verdict == "contradicted":
        return f"{interval}, outside {band} around the claim"
    if kind == "layer" and decisions.mixed is not None:
        return f"{interval} alone, and a term one power lower leaves the claim of {claimed:g} possible but not shown"
    return f"{interval}, which {band} around the claim contains only in part"


def _logarithm_possible(claimed: float, rivals: list[str]) -> bool:
    name = "n" if claimed == 1.0 else f"n^{claimed:g}"
    return f"{name} log n" in rivals


def _gate_reason(gate: Gate, profile: Profile, sizes: Array, *, policy: ScalingPolicy) -> str:
    if gate == "sizes":
        return f"{len(sizes)} sizes are too few to tell laws apart (at least {policy.sizes_at_least} are needed)"
    if gate == "range":
        ratio = float(sizes[-1] / sizes[0])
        return f"a range of {ratio:.3g} is too short to tell laws apart (at least {policy.range_at_least:g} is needed)"
    if gate == "floor":
        return (
            f"a fixed cost of {float(profile.floor[0]):.3g} hides the law: it is "
            f"{100 * float(profile.floor_share[0][0]):.0f} % of the cost at {sizes[0]:g} and "
            f"{100 * float(profile.floor_share[0][-1]):.0f} % at {sizes[-1]:g}"
        )
    return f"costs scatter {100 * float(profile.residual[0]):.0f} % around the best curve, more than any law explains"


def _to_decide(gate: Gate, profile: Profile, sizes: Array, *, policy: ScalingPolicy) -> str:
    """Say which sizes, how many and how precise, would decide."""
    count, span = policy.sizes_advised, policy.range_advised
    start = float(sizes[0])
    if gate == "noise":
        return f"repeat the {len(sizes)} sizes to a precision of 1 % on a quiet machine"
    if gate == "floor":
        shares = profile.floor_share[0]
        hidden = sizes[shares > policy.floor_share_at_most]
        start = float(hidden[-1]) if len(hidden) else start
        return f"measure {count} sizes from {start:g} to {start * span:g}, where the fixed cost no longer counts"
    if gate:
        return f"measure {count} sizes from {start:g} to {start * span:g}"
    more = max(count, len(sizes) + 4)
    wider = max(span, 2.0 * float(sizes[-1] / sizes[0]))
    return f"measure {more} sizes from {start:g} to {start * wider:g} to a precision of 1 %"


@dataclass(frozen=True)
class AxisExponent:
    """Hold an exponent of the joint fit with its interval."""

    exponent: float
    low: float
    high: float


@dataclass(frozen=True)
class JointFit:
    """Hold floor + a * product of axis ** exponent, fitted to every point at once; `residual` in log cost."""

    exponents: dict[str, AxisExponent]
    floor: float
    residual: float
    points: int


def joint_fit(
    points: Sequence[Mapping[str, float]],
    costs: Sequence[float],
    *,
    axes: Sequence[str],
    policy: ScalingPolicy | None = None,
) -> JointFit | None:
    """Fit floor + a * prod(axis ** exponent) to all points in log cost; axes that do not vary are left out.

    Intervals are from the curvature at the best fit, with Student's t. None where points don't outnumber parameters.
    """
    from scipy.optimize import least_squares
    from scipy.special import stdtrit

    policy = policy or ScalingPolicy()
    varying = [axis for axis in axes if len({point[axis] for point in points}) > 1]
    count = len(varying) + 2
    if not varying or len(points) <= count:
        return None
    logs = np.log(np.array([[point[axis] for axis in varying] for point in points], dtype=float))
    logs -= logs.mean(axis=0)
    target = np.log(np.asarray(costs, dtype=float))
    start = np.concatenate([[target.min() - 2.0, target.mean()], np.linalg.lstsq(logs, target, rcond=None)[0]])

    def residuals(parameters: Array) -> Array:
        work = parameters[1] + logs @ parameters[2:]
        return np.asarray(np.logaddexp(parameters[0], work) - target, dtype=float)

    fit = least_squares(residuals, start)
    freedom = len(points) - count
    variance = max(float(fit.fun @ fit.fun) / freedom, policy.noise_at_least**2)
    covariance = variance * np.linalg.pinv(fit.jac.T @ fit.jac)
    quantile = float(stdtrit(freedom, 0.5 + policy.confidence / 2.0))
    exponents = {}
    for index, axis in enumerate(varying, start=2):
        value, half = float(fit.x[index]), quantile * math.sqrt(float(covariance[index, index]))
        exponents[axis] = AxisExponent(round(value, 4), round(value - half, 4), round(value + half, 4))
    return JointFit(
        exponents=exponents,
        floor=float(np.exp(fit.x[0])),
        residual=math.sqrt(float(fit.fun @ fit.fun) / freedom),
        points=len(points),
    )


@dataclass(frozen=True)
class AdditiveFit:
    """Hold floor + sum of coefficient * term, no part negative, fitted with relative weights.

    `intervals` are 95 % percentiles of a residual bootstrap; `held_out` is the relative error of predicting the
    largest point from the others, None where those are too few.
    """

    floor: float
    coefficients: list[float]
    intervals: list[tuple[float, float]]
    residual: float
    held_out: float | None


def additive_fit(
    points: Sequence[Mapping[str, float]], costs: Sequence[float], *, terms: Sequence[Mapping[str, float]]
) -> AdditiveFit | None:
    """Fit costs by a floor and declared terms, each a product of axis ** exponent; None where points are too few."""
    rows = np.array([[1.0, *(_term(point, term) for term in terms)] for point in points], dtype=float)
    cost = np.asarray(costs, dtype=float)
    if len(points) < rows.shape[1] + 2:
        return None
    solution = _relative_nnls(rows, cost)
    model = rows @ solution
    residuals = np.log(cost / model)
    # Fitted residuals are smaller than the errors by the share of what the parameters took.
    errors = (residuals - residuals.mean()) * math.sqrt(len(cost) / (len(cost) - rows.shape[1]))
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = np.array(
        [_relative_nnls(rows, model * np.exp(generator.choice(errors, size=len(cost)))) for _ in range(BOOTSTRAP_DRAWS)]
    )
    low, high = np.percentile(drawn[:, 1:], [2.5, 97.5], axis=0)
    largest = int(model.argmax())
    rest = np.arange(len(cost)) != largest
    held_out = None
    if rest.sum() >= rows.shape[1] + 2:
        predicted = float(rows[largest] @ _relative_nnls(rows[rest], cost[rest]))
        held_out = predicted / float(cost[largest]) - 1.0
    return AdditiveFit(
        floor=float(solution[0]),
        coefficients=[float(value) for value in solution[1:]],
        intervals=[(float(a), float(b)) for a, b in zip(low, high, strict=True)],
        residual=float(errors.std()),
        held_out=held_out,
    )


def _term(point: Mapping[str, float], term: Mapping[str, float]) -> float:
    return float(math.prod(point[axis] ** exponent for axis, exponent in term.items()))


def _relative_nnls(rows: Array, cost: Array) -> Array:
    """Solve min |rows @ b / cost - 1| with b >= 0, columns scaled alike."""
    from scipy.optimize import nnls

    design = rows / cost[:, None]
    scale = np.linalg.norm(design, axis=0)
    solution, _ = nnls(design / scale, np.ones(len(cost)))
    return np.asarray(solution / scale, dtype=np.float64)
