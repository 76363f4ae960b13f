"""What bounds a call: the least time that arithmetic and bandwidth allow it, and what it spends outside of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.machine.roofline import bandwidth, matmul_rate
from harness.profiled import Bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.profiled import BoundBy, CaseProfile, Part
    from harness.records import Ceiling

# A call is bound by launches where so much of it is in no operator or kernel, or in operators so short (seconds, on a
# CPU) that reaching them takes about as long as what they do: more than the work itself.
LAUNCHING_SHARE, SHORT_SECONDS = 0.5, 1e-5
# Below this share of its roof no ceiling can be said to hold a call back: products of PyTorch's reach a half and more.
ROOF_SHARE = 0.25


def bound(profile: CaseProfile, ceilings: Sequence[Ceiling]) -> Bound:
    """Return the least seconds that measured ceilings allow a call, and which of them is nearest to what it takes.

    Bytes that are moved are at least the ideal ones, and each allocation written once and read once.
    """
    moved = profile.ideal_bytes + 2 * profile.allocated_bytes
    rate, bytes_a_second = matmul_rate(ceilings, profile.case.dtype), bandwidth(ceilings, moved, profile.case.cache)
    arithmetic = profile.operations / rate if rate else None
    moving = moved / bytes_a_second if bytes_a_second else None
    launching = sum(part.seconds for part in profile.parts if part.kind == "outside" or _is_short(part))
    return Bound(
        by=_nearest(profile, arithmetic=arithmetic, moving=moving, launching=launching),
        arithmetic_seconds=arithmetic,
        moving_seconds=moving,
        launching_seconds=launching,
        moved_bytes=moved,
    )


def _is_short(part: Part) -> bool:
    return part.kind == "operator" and part.seconds < SHORT_SECONDS * part.count


def _nearest(profile: CaseProfile, *, arithmetic: float | None, moving: float | None, launching: float) -> BoundBy:
    if launching > LAUNCHING_SHARE * profile.profiled_seconds:
        return "launches"
    roof = max(arithmetic or 0.0, moving or 0.0)
    if roof < ROOF_SHARE * profile.call_seconds:
        return "neither"
    return "arithmetic" if (arithmetic or 0.0) >= (moving or 0.0) else "bandwidth"
