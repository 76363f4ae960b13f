"""Intervals become verdicts: against the band around a claim, behind gates that leave bad data open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.policy import ScalingPolicy
from harness.scaling.exponent import LINEAR, MixedProfile, Profile, exponent_profile, mixed_profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TimeVerdict = Literal["consistent", "contradicted", "inconclusive"]
Kind = Literal["component", "layer"]
Gate = Literal["", "sizes", "range", "floor", "noise"]
VERDICTS: tuple[TimeVerdict, ...] = ("consistent", "contradicted", "inconclusive")
CONSISTENT, CONTRADICTED, INCONCLUSIVE = range(3)
GATES: tuple[Gate, ...] = ("", "sizes", "range", "floor", "noise")
# Grid values are multiples of a step in floating point.
GRID_SLACK = 1e-9


@dataclass(frozen=True)
class Decisions:
    """Hold what is decided for each data set: indices into VERDICTS and GATES."""

    verdict: NDArray[np.int64]
    gate: NDArray[np.int64]
    profile: Profile
    mixed: MixedProfile | None


# Residual scatter up to which a lower term that suffices speaks against the claimed one. Seen on a busy machine: at
# 11 %, one size of nine 28 % off, a kernel of a n + b n^2 looked linear.
SUFFICES_UP_TO = 0.06


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
    pure = np.where(gate > 0, INCONCLUSIVE, against_band(profile.low, profile.high, claimed, policy.band))
    if kind == "component" or claimed < LINEAR:
        return Decisions(pure, gate, profile, None)
    mixed = mixed_profile(sizes, costs, claimed=claimed, policy=policy)
    is_quiet = profile.residual <= SUFFICES_UP_TO
    return Decisions(_combine(pure, gate, mixed, claimed, policy, is_quiet=is_quiet), gate, profile, mixed)


def against_band(low: Array, high: Array, claimed: float, band: float) -> NDArray[np.int64]:
    """Return for each interval [sets] whether the band around a claim contains it: indices into VERDICTS."""
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
    pure: NDArray[np.int64],
    gate: NDArray[np.int64],
    mixed: MixedProfile,
    claimed: float,
    policy: ScalingPolicy,
    *,
    is_quiet: NDArray[np.bool_],
) -> NDArray[np.int64]:
    with_lower = against_band(mixed.low, mixed.high, claimed, policy.band)
    identified = (with_lower == CONSISTENT) & ~mixed.lower_suffices & (mixed.share >= policy.dominant_share)
    # Only the floor's gate concerns the pure form alone; the others void both.
    judged = (gate == 0) | (gate == GATES.index("floor"))
    holds = judged & (with_lower != CONTRADICTED) & ((pure == CONSISTENT) | identified)
    fails = (pure == CONTRADICTED) & ((with_lower == CONTRADICTED) | (mixed.lower_suffices & is_quiet))
    return np.where(holds, CONSISTENT, np.where(fails, CONTRADICTED, INCONCLUSIVE))
