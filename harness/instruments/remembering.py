"""A second look at what may keep results: calls on new values and on values seen, in turn until they tell."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import torch

from harness.instruments.watched import renew
from harness.stats.sequential import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.instruments.timing import Block
    from harness.policy import TimingPolicy

    Call = Callable[[], Any]
    # Times a block of so many calls of a function.
    Timed = Callable[[Call, int], Block]

Found = Literal["kept", "none kept", "undecided"]
# Bound before any implementation is imported, so that none can replace them later.
_clone = torch.Tensor.clone
# Of two calls that do the same work either is the longer half of the time, whatever else the machine does.
BY_CHANCE = 0.5
# Where results are kept a disturbance hides it in one pair of five at most, else there is no time to publish either.
WHERE_KEPT = 0.8
FALSE_ALARMS, MISSES = 1e-3, 1e-2
# A call that starts its threads more than once may wait longer than a single product does.
PAUSES = 2.0
# Calls made on new values before the same are asked for again: no more tell of results kept from some call on.
CALLS_AT_MOST = 256


@dataclass(frozen=True)
class Pair:
    """Seconds of a call on new values, of one on the same after a pause as long, and per call of those after it.

    `later` is None if no calls follow in a row; `pause` is what a known product loses by such a pause.
    """

    new: float
    seen: float
    later: float | None
    pause: float


@dataclass(frozen=True)
class Answer:
    """What a second look found, and the pairs that it was found by."""

    found: Found
    pairs: tuple[Pair, ...]

    def middle(self, name: str) -> float | None:
        """Return the median seconds of one kind of call, None if there was none."""
        seconds = [value for pair in self.pairs if (value := getattr(pair, name)) is not None]
        return median(seconds) if seconds else None


def look_again(
    timed: Timed, call: Call, written: Sequence[torch.Tensor], *, calls: int, policy: TimingPolicy, known: Call | None
) -> Answer:
    """Make pairs of calls, so many in a row after each, until they tell whether results are kept.

    Before either call of a pair as much memory is written: the inputs, which get new values, or other tensors, so that
    nothing but what the values are differs. `known` is a product that keeps nothing, None on a device with a queue,
    whose first calls wait for no thread.
    """
    others = [_clone(tensor.detach()) for tensor in written]
    pairs: list[Pair] = []
    until = perf_counter() + policy.second_look_seconds
    found: Found = "undecided"
    while found == "undecided" and len(pairs) < policy.second_look_pairs and (not pairs or perf_counter() < until):
        number = len(pairs)
        new, _ = _after_writing(timed, call, written, into=written, number=number, calls=calls)
        seen, later = _after_writing(timed, call, written, into=others, number=number, calls=calls)
        pause = 0.0
        if known is not None:
            first, after = _after_writing(timed, known, written, into=others, number=number, calls=3)
            pause = max(0.0, first - (after or 0.0))
        pairs.append(Pair(new, seen, later, pause))
        found = find_kept(pairs, policy=policy)
    return Answer(found, tuple(pairs))


def _after_writing(
    timed: Timed, call: Call, written: Sequence[torch.Tensor], *, into: Sequence[torch.Tensor], number: int, calls: int
) -> tuple[float, float | None]:
    """Write new values of tensors into some; return the seconds of the next call, and of those after."""
    with torch.no_grad():
        for tensor, target in zip(written, into, strict=True):
            renew(tensor, into=target, number=number)
    first = timed(call, 1).seconds
    return first, timed(call, min(calls, CALLS_AT_MOST) - 1).seconds if calls > 1 else None


def find_kept(pairs: Sequence[Pair], *, policy: TimingPolicy) -> Found:
    """Say whether calls on new values take longer than on values seen, or first calls longer than a pause explains."""
    gaps = [pair.new > policy.remembered * pair.seen for pair in pairs]
    starts = [
        pair.later is not None
        and pair.seen > policy.first_call * pair.later + policy.first_call_seconds + PAUSES * pair.pause
        for pair in pairs
    ]
    told = [
        decide(trials, innocent=BY_CHANCE, guilty=WHERE_KEPT, false_alarms=FALSE_ALARMS, misses=MISSES)
        for trials in (gaps, starts)
    ]
    if any(told):
        return "kept"
    return "undecided" if None in told else "none kept"
