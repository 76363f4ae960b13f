"""Laws judged from sizes and costs: the exponent with its interval, rivals, slopes, crossovers. Pure numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.policy import ScalingPolicy
from harness.scaling.combs import comb
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
from harness.scaling.law import Law, Step, costs
from harness.scaling.reasons import advice_of, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from harness.scaling.decision import Kind, TimeVerdict
    from harness.scaling.exponent import Profile
    from harness.scaling.reasons import LawAdvice, LawReason

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
    """Hold the local exponent between two neighbouring sizes, with its interval if the costs have one."""

    start: float
    end: float
    slope: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Judgement:
    """Hold the judgement of one law by one quantity along one axis.

    The exponent is between `low` and `high`; `law` is the best curve. `rivals` are the laws that fit as well as that
    curve does. `floor_ends` is the size where the power overtakes the fixed cost, `half` the size where it overtakes
    the term one power below; None if there is no such term. `mixed` is the exponent's interval beside that term.
    """

    verdict: TimeVerdict
    claimed: float
    low: float
    high: float
    law: Law
    rivals: list[str]
    floor_ends: float | None
    half: float | None
    reason: LawReason
    to_decide: LawAdvice | None = None
    slopes: list[Slope] = field(default_factory=list)
    mixed: tuple[float, float] | None = None

    @property
    def exponent(self) -> float:
        """Return the exponent of the best curve."""
        return self.law.exponent


def judge_law(
    sizes: Sequence[float],
    costs: Sequence[float],
    *,
    claimed: float,
    kind: Kind = "component",
    intervals: Sequence[tuple[float, float] | None] | None = None,
    policy: ScalingPolicy | None = None,
) -> Judgement:
    """Judge whether costs grow as size ** claimed; sizes and costs are positive, in any order, one cost per size.

    `intervals` of the costs give the local slopes theirs. Raises ValueError for data that can't be judged at all:
    fewer than three sizes, repeated sizes, anything not positive and finite, or a claimed exponent below 0.5.
    """
    policy = policy or ScalingPolicy()
    n, cost, order = _checked(sizes, costs, claimed=claimed, policy=policy)
    decisions = decide(n, cost[None], claimed=claimed, kind=kind, policy=policy)
    profile, mixed = decisions.profile, decisions.mixed
    plausible = plausible_rivals(n, cost, policy=policy)
    law = _law(n, profile, policy=policy)
    dear = comb(n, cost, policy=policy) if GATES[decisions.gate[0]] == "noise" else None
    return Judgement(
        verdict=VERDICTS[decisions.verdict[0]],
        claimed=claimed,
        low=round(float(profile.low[0]), 4),
        high=round(float(profile.high[0]), 4),
        law=law,
        rivals=plausible,
        floor_ends=_floor_ends(law),
        half=crossover(n, cost, claimed=claimed) if claimed > LINEAR else None,
        reason=reason_of(decisions, n, claimed=claimed, rivals=plausible, policy=policy, comb=dear),
        to_decide=advice_of(decisions, n, policy=policy, comb=dear),
        slopes=local_slopes(n, cost, None if intervals is None else [intervals[index] for index in order]),
        mixed=None if mixed is None else (round(float(mixed.low[0]), 4), round(float(mixed.high[0]), 4)),
    )


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
    """Return the size where a n^claimed overtakes b n^(claimed - 1) in floor + both; None if either is absent."""
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


def _law(sizes: Array, profile: Profile, *, policy: ScalingPolicy) -> Law:
    """Return the best curve of the first data set of a profile."""
    height = float(profile.height[0])
    step = Step(at=2.0 ** float(profile.place[0]), height=height, octaves=policy.transition_octaves)
    return Law(
        first=float(sizes[0]),
        last=float(sizes[-1]),
        sizes=len(sizes),
        exponent=round(float(profile.best[0]), 4),
        floor=float(profile.floor[0]),
        slope=float(profile.slope[0]),
        residual=float(profile.residual[0]),
        step=None if height == 1.0 else step,
    )


def _floor_ends(law: Law) -> float | None:
    """Return the size where the fitted power overtakes the fixed cost, by bisection; None without a fixed cost."""
    if law.floor <= 0.0:
        return None
    low, high = math.log2(law.first) - 20.0, math.log2(law.last) + 20.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if float(costs(law, [2.0**middle])[0]) > 2.0 * law.floor else (middle, high)
    return float(np.exp2(high))
