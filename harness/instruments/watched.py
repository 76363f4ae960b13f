"""Blocks on new values: inputs are rewritten in place before each, and its first and last call are looked at."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.instruments.timing import Block, Meanwhile

    Call = Callable[[], Any]
    # Times a block of so many calls of a function; takes `meanwhile` as a clock does.
    Timed = Callable[..., Block]

Outputs = tuple[torch.Tensor, ...]
# Bound before any implementation is imported, so that none can replace them later.
_equal, _detach, _clone, _copy = torch.equal, torch.Tensor.detach, torch.Tensor.clone, torch.Tensor.copy_
_same_version = torch.autograd.grad_mode._unsafe_preserve_version_counter  # noqa: SLF001
_roll, _add, _select = torch.roll, torch.add, torch.Tensor.select
# Of tensors with more elements one column is rewritten and compared: all of them would take as long as a short call.
WHOLE_AT_MOST = 2**16
# How much of what an element held is left in its new value, beside its neighbour's: enough to move sums, norms and
# largest elements, by which results may be remembered. Of either sign in turn, so that values keep their size.
LEFT_OVER = 0.25
# Results are compared whole in so many visits to a case, one on new values and one on values written again.
WHOLE_VISITS = 2
# Blocks of so few calls have none made untimed before them.
CALLS_ALONE = 2
# Visits to a case that are watched whatever that takes: two on new values and two on values written again.
WATCHED_AT_LEAST = 4
# Calls made to see how far results of the same inputs lie apart, where two of them differ.
REPEATS = 3


class Kept:
    """A call whose last result is kept, a copy of it taken when asked for."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._result: Any = None

    def __call__(self) -> None:
        """Make the call."""
        self._result = None
        self._result = self._call()

    def take(self) -> Any:
        """Return the last result, and let go of it."""
        result, self._result = self._result, None
        return result


def copied(result: Any, *, column: int | None = None) -> Outputs:
    """Copy the tensors of a call's result, each through the class, whatever was set on it; of large ones a column."""
    return tuple(_clone(tensor if column is None else part(tensor, column)) for tensor in tensors_of(result))


def tensors_of(result: Any) -> Outputs:
    """Return the tensors of a call's result as they are, without their graphs."""
    listed = result if type(result) is tuple else (result,)
    return tuple(_detach(tensor) for tensor in listed if isinstance(tensor, torch.Tensor))


def _is_disguised(result: Any) -> bool:
    """Tell whether a tensor of a result is of a class of its own, or has attributes: either may compute it later."""
    listed = result if type(result) is tuple else (result,)
    return any(
        isinstance(tensor, torch.Tensor) and (type(tensor) is not torch.Tensor or bool(vars(tensor)))
        for tensor in listed
    )


def part(tensor: torch.Tensor, column: int) -> torch.Tensor:
    """Return a tensor, or of a large one the column of so many modulo its width, which every row has an element in."""
    if tensor.numel() <= WHOLE_AT_MOST or tensor.shape[-1] == tensor.numel():
        return tensor
    return _select(tensor, -1, column % tensor.shape[-1])


def same(one: Outputs, other: Outputs) -> bool:
    """Tell whether two results are the same bits of the same dtypes, which torch's own comparison does not look at."""
    return len(one) == len(other) and all(a.dtype == b.dtype and _equal(a, b) for a, b in zip(one, other, strict=True))


def distance(one: Outputs, other: Outputs) -> float:
    """Return the largest difference between two results of the same shapes."""
    pairs = zip(one, other, strict=True)
    return max((float((a.double() - b.double()).abs().max()) for a, b in pairs if a.numel()), default=0.0)


@dataclass
class Watching:
    """How many visits to a case were watched, and what watching them took of all its visits, in seconds.

    Every visit is watched where that is cheap. Of large tensors and few calls it would take as long as a call: there
    the first visits are, and later ones as often as a share of the time allows.
    """

    watched: int = 0
    spent: float = 0.0
    total: float = 0.0

    def is_due(self, share: float) -> bool:
        """Tell whether the next visit is watched, with at most this share of the time given to it."""
        return self.watched < WATCHED_AT_LEAST or self.spent <= share * self.total

    @property
    def is_new(self) -> bool:
        """Tell whether it is so on new values: every other one is."""
        return self.watched % 2 == 0

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Book what is done meanwhile as watching."""
        started = perf_counter()
        try:
            yield
        finally:
            self.spent += perf_counter() - started


@dataclass
class PlainBlocks:
    """Times blocks of one call on inputs that stay as they are, of as many calls as where they are watched."""

    timed: Timed
    is_split: bool = True
    faults: Callable[[], int] = int
    first: tuple[float, ...] = ()
    later: tuple[float, ...] = ()
    faulted: int = 0

    def needs_warming(self, calls: int) -> bool:
        """Tell whether a call has to be made before the first block of so many."""
        return calls > CALLS_ALONE or not self.is_split

    def warm(self, call: Call) -> None:
        """Make that call."""
        self.timed(call, 1)

    def block(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block:
        """Time so many calls, or as many as make a block without a call before it."""
        calls = calls if self.needs_warming(calls) else CALLS_ALONE
        before = self.faults()
        block = self.timed(call, calls, meanwhile=meanwhile) if meanwhile else self.timed(call, calls)
        self.faulted += self.faults() - before
        return block


@dataclass
class WatchedBlocks:
    """Times blocks of one call. Before each, the tensors in `written` are written in place: new values, or the same.

    Of a large tensor that is one column, another one in each visit, so that every row has new values. The first call on
    them is timed by itself (`first`), then the others; a device with a queue gets these calls beside the block, so that
    the block stays whole. `later` is seconds per call of the others. `faulted` is what `faults` counted up during timed
    calls. `pair` holds of two results of the last block what must be equal, those of its first and last call; where
    the block has one call, that of the call before it if values are the same. `last` is the latter's result. `stale`
    tells that new values gave the results of the old ones, `disguised` that a result was no plain tensor.

    Where one call or two make a block, an untimed one before it would take half of the visit, or a third: there the
    call before the tensors are written is timed as well, and the block is the two.
    """

    timed: Timed
    written: Sequence[torch.Tensor]
    watching: Watching = field(default_factory=Watching)
    is_split: bool = True
    faults: Callable[[], int] = int
    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    faulted: int = 0
    pair: tuple[Outputs, Outputs] | None = None
    last: Any = None
    stale: bool = False
    disguised: bool = False
    _before: Outputs | None = None
    _is_warm: bool = False

    def needs_warming(self, calls: int) -> bool:
        """Tell whether a call has to be made before the first block of so many."""
        return calls > CALLS_ALONE or not self.is_split

    def warm(self, call: Call) -> None:
        """Make the call that brings inputs and code back into the caches."""
        kept = Kept(call)
        self.timed(kept, 1)
        self._before = self._take(kept)
        self._is_warm = True

    def block(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block:
        """Write the inputs and time so many calls; `meanwhile` is called while the block keeps a device busy."""
        self.pair = self.last = None
        kept, is_new = Kept(call), self.watching.is_new
        before_writing = [] if self._is_warm or self.needs_warming(calls) else [self._opened(kept)]
        is_last = calls == 1 or bool(before_writing)
        self.write()
        opening = self._timed(kept, 1, meanwhile=meanwhile if is_last else None)
        self.first.append(opening.seconds)
        given = self._take(kept)
        if self._before is not None and is_new:
            with self.watching.spending():
                self.stale = self.stale or (same(self._before, given) and _varies(given))
        before, self._before = self._before, given
        if is_last:
            if before is not None and not is_new:
                self.pair = (before, given)
            return _joined([*before_writing, opening])
        del before
        if not self.is_split:
            whole = self._timed(call, calls, meanwhile=meanwhile)
            self.later.append(whole.seconds)
            self._timed(kept, 1)
            self.pair = (given, self._take(kept))
            return whole
        others = [self._timed(call, calls - 2)] if calls > 2 else []  # noqa: PLR2004
        others.append(self._timed(kept, 1))
        self.pair = (given, self._take(kept))
        self.later.append(_joined(others).seconds)
        return _joined([opening, *others])

    def _opened(self, kept: Kept) -> Block:
        """Time the call before the tensors are written."""
        block = self._timed(kept, 1)
        self._before = self._take(kept)
        return block

    def _take(self, kept: Kept) -> Outputs:
        with self.watching.spending():
            self.last = kept.take()
            self.disguised = self.disguised or _is_disguised(self.last)
            number = self.watching.watched
            return copied(self.last, column=None if number < WHOLE_VISITS else number)

    def _timed(self, call: Call, calls: int, *, meanwhile: Meanwhile = None) -> Block:
        before = self.faults()
        block = self.timed(call, calls, meanwhile=meanwhile) if meanwhile else self.timed(call, calls)
        self.faulted += self.faults() - before
        return block

    def write(self) -> None:
        """Write the inputs in place: new values, of large tensors in a column, or values as they are."""
        with torch.no_grad(), self.watching.spending():
            for tensor in self.written:
                values = part(tensor, self.watching.watched)
                if self.watching.is_new:
                    renew(values, into=values, number=len(self.first))
                else:
                    # What is remembered by a tensor's version is remembered of values seen.
                    with _same_version(tensor):
                        _copy(values, _clone(values))


def renew(values: torch.Tensor, *, into: torch.Tensor, number: int) -> None:
    """Write new values made of given ones, for the so many-th time: each is its neighbour's, and a part of the old."""
    _add(_roll(values, 1), values, alpha=LEFT_OVER if number % 2 == 0 else -LEFT_OVER, out=into)


def _joined(parts: Sequence[Block]) -> Block:
    """Return parts of a block as one."""
    calls = sum(part.calls for part in parts)
    seconds, host = (sum(getattr(part, name) * part.calls for part in parts) / calls for name in ("seconds", "host"))
    return replace(parts[0], seconds=seconds, host=host, calls=calls)


def apart(call: Call) -> float:
    """Return how far the results of a few calls on the same inputs lie apart."""
    results = [copied(call()) for _ in range(REPEATS)]
    return max(distance(results[0], other) for other in results[1:])


def _varies(outputs: Outputs) -> bool:
    """Tell whether some output has different elements: rows without a key give zeros whatever the values."""
    return any(tensor.numel() > 1 and float(tensor.min()) != float(tensor.max()) for tensor in outputs)
