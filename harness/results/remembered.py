"""First calls on new values beside other calls: what an implementation that keeps results shows in its rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import TimingPolicy
    from harness.protocol.messages import SecondLook
    from harness.records import Round

# Fewer first calls on new values may all have been disturbed.
FIRST_CALLS_AT_LEAST = 2


def remembered(
    rounds: Sequence[Round], *, floor: float | None, policy: TimingPolicy, at_least: int = FIRST_CALLS_AT_LEAST
) -> str:
    """Say how first calls on new values and other calls differ by more than warm-up explains, empty if they don't.

    Fewer than `at_least` first calls on new values say nothing; one is enough to look again.
    First calls are held against the calls after them in their block, a moment later, and that ratio on new values
    against the ratio on values written again. The least ratio on new values counts, so that what disturbs some of them
    fails no case. Slow calls have blocks of their own, minutes apart: there the undisturbed alone are compared.
    """
    blocks = [block for visit in rounds for block in _first_calls(visit, floor=floor, policy=policy)]
    in_blocks = [block for block in blocks if block.later is not None]
    found = _gap(in_blocks, policy) or _gap([b for b in blocks if b.later is None and b.is_quiet], policy)
    if found:
        return found
    new = [block for block in in_blocks if block.is_new]
    if len(new) < max(1, at_least):
        return ""
    slowest = min(new, key=lambda block: block.ratio)
    if slowest.first <= policy.first_call * slowest.reference + policy.first_call_seconds:
        return ""
    return f"a first call takes {slowest.first:.3g} s, the calls after it {slowest.reference:.3g} s: kept results?"


class _FirstCall(NamedTuple):
    """A block's first call and the mean of those after it, seconds; `is_quiet` where the canary was undisturbed."""

    first: float
    later: float | None
    is_new: bool
    is_quiet: bool

    @property
    def reference(self) -> float:
        """Return what a first call is held against: the calls after it, else a second."""
        return self.later or 1.0

    @property
    def ratio(self) -> float:
        """Return the first call over its reference."""
        return self.first / self.reference


def _first_calls(visit: Round, *, floor: float | None, policy: TimingPolicy) -> list[_FirstCall]:
    quiet = [True] * len(visit.first_seconds)
    if floor and len(visit.canary) == len(quiet):
        quiet = [reading <= policy.canary_tolerance * floor for reading in visit.canary]
    later: Sequence[float | None] = visit.later_seconds or [None] * len(quiet)
    return [
        _FirstCall(first, after, visit.new_values, is_quiet)
        for first, after, is_quiet in zip(visit.first_seconds, later, quiet, strict=True)
    ]


def _gap(blocks: Sequence[_FirstCall], policy: TimingPolicy) -> str:
    new = [block for block in blocks if block.is_new]
    again = [block for block in blocks if not block.is_new]
    if min(len(new), len(again)) < FIRST_CALLS_AT_LEAST:
        return ""
    least, usual = min(new, key=lambda block: block.ratio), float(np.median([block.ratio for block in again]))
    if least.later is not None:
        # A first call that takes less than those after it says that these were disturbed, as on a GPU that is shared.
        usual = max(usual, 1.0)
    if least.ratio <= policy.remembered * usual:
        return ""
    seen = usual * least.reference
    return f"a call on new values takes {least.first:.3g} s at least, on values it has seen {seen:.3g} s: kept results?"


def words(look: SecondLook) -> str:
    """Say what a second look found, with its figures."""
    told = {
        "kept": "asked again, it does",
        "none kept": "first calls were slow; asked again, no results are kept",
        "undecided": "asking again decided nothing",
    }[look.found]
    row = "" if look.later_seconds is None else f", {look.later_seconds:.3g} s in a row"
    seconds = f"{look.new_seconds:.3g} s on new values, {look.seen_seconds:.3g} s on values seen{row}"
    return f"{told} ({look.pairs} pairs: {seconds})"
