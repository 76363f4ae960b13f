"""Laws judged from sizes and costs: the exponent with its interval, rivals, slopes, crossovers. Pure numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.policy import ScalingPolicy
from harness.scaling.decision import GATES, VERDICTS, decide
from harness.scaling.exponent import (
    LINEAR,
    PARAMETERS,
    candidate_steps,
    exponent_profile,
    f_quantile,
    fit_shapes,
    non_negative,
)
from harness.scaling.wording import reason, to_decide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from harness.scaling.decision import Kind, TimeVerdict
    from harness.scaling.exponent import Profile

    Array = NDArray[np.float64]

RIVALS: dict[str, Callable[[Array], Array]] = {
    "n": lambda n: n,
    "n log n": lambda n: n * np.log2(n),
    "n^1.5": lambda n: n**1.5,
    "n^2": lambda n: n**2,
    "n^2 log n": lambda n: n**2 * np.log2(n),
    "n^3": lambda n: n**3,
}


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
        reason=reason(decisions, n, claimed=claimed, kind=kind, rivals=plausible, policy=policy),
        to_decide=to_decide(gate, profile, n, policy=policy) if verdict == "inconclusive" else "",
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


def plausible_rivals(sizes: Array, cost: Array, *, policy: ScalingPolicy) -> list[str]:
    """Name the laws of RIVALS that, with a floor and a transition, fit one data set as well as the best curve."""
    steps = candidate_steps(sizes, heights=policy.transitions, places=policy.transition_places, policy=policy)[0]
    # A logarithm vanishes at one and is negative below.
    laws = {name: law for name, law in RIVALS.items() if sizes[0] > 1.0 or "log" not in name}
    shapes = np.concatenate([law(sizes) / law(sizes[:1]) * steps for law in laws.values()])
    rss = fit_shapes(cost[None], shapes)[0].reshape(len(laws), len(steps)).min(axis=1)
    profile = exponent_profile(sizes, cost[None], policy=policy)
    freedom = max(len(sizes) - PARAMETERS, 1)
    best = min(float(rss.min()), float(profile.residual[0] ** 2 * freedom))
    allowed = max(best / freedom, policy.noise_at_least**2) * f_quantile(freedom, policy.confidence)
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
    coefficients = non_negative(design / cost[:, None])[0, 0]
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
