"""Why a law was judged as it was, and what would decide, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.scaling.decision import GATES, GRID_SLACK, VERDICTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.policy import ScalingPolicy
    from harness.scaling.decision import Decisions, Gate, Kind
    from harness.scaling.exponent import Profile

    Array = NDArray[np.float64]


def reason(
    decisions: Decisions, sizes: Array, *, claimed: float, kind: Kind, rivals: list[str], policy: ScalingPolicy
) -> str:
    """Say why a law was judged as it was."""
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


def to_decide(gate: Gate, profile: Profile, sizes: Array, *, policy: ScalingPolicy) -> str:
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
