"""What a sweep sees of an engine and its workers, and what it tells: facts and protocols, no engine in particular."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.cluster.orders import Announcement, Answer, Order, Stage

# Seconds. A worker unheard of for longer counts as lost; heartbeats come each half second, on a busy machine later.
QUIET_SECONDS = 20.0
# A class that nobody offers for so long ends the sweep.
PATIENCE_SECONDS = 10.0
# What is finished and can't be fetched for so long is lost: the worker can't be reached from the scheduler.
LANDING_SECONDS = 60.0
# After a device was held by another run, its worker rests for so long at first.
REST_SECONDS = 1.0


def there_is(offered: Mapping[str, int]) -> str:
    """Say which classes there are, and how many workers of each."""
    listed = ", ".join(f"{count} {name}" for name, count in sorted(offered.items()))
    return f"there is {listed or 'no worker at all'}"


class NoDeviceError(ValueError):
    """Nobody offers a class that was asked for; the message names those there are."""


class MistakeError(ValueError):
    """What was asked for can't be measured anywhere; the message is for the user."""


@dataclass(frozen=True)
class Seen:
    """A worker as the engine sees it: `heard` changes with each sign of life, `busy` has the keys that it works on.

    `announced` is None for a worker that is none of ours; `is_ready` is False for one that is closing or paused.
    """

    announced: Announcement | None
    heard: float
    busy: tuple[str, ...] = ()
    stages: Mapping[str, Stage] = field(default_factory=dict)
    is_ready: bool = True


@dataclass(frozen=True)
class Landed:
    """What came back of an attempt: its answer, with the plan or the packed run; `answer` is None if it was lost."""

    answer: Answer | None
    content: bytes = b""


class Engine(Protocol):
    """Carries orders to workers and what they find back."""

    def workers(self) -> Mapping[str, Seen]:
        """Return the workers there are, by address. Raises ConnectionError where that can't be known any more."""

    def submit(self, key: str, order: Order, *, address: str) -> None:
        """Send an order to this worker and to no other."""

    def landed(self) -> Iterable[tuple[str, Landed]]:
        """Return what came back since the last call, by key."""

    def finished(self) -> set[str]:
        """Return the keys of attempts that are over, whether they came back or not."""

    def give_up(self, keys: Iterable[str]) -> None:
        """End attempts; nothing of them comes back."""


class Listener(Protocol):
    """Hears what happens to a sweep."""

    def joined(self, worker: Announcement) -> None:
        """Hear of a worker that takes part."""

    def refused(self, worker: str, reason: str) -> None:
        """Hear of a worker that gets no order, or none any more."""

    def begun(self, order: Order, worker: Announcement) -> None:
        """Hear that an attempt was sent out."""

    def lost(self, order: Order, worker: str, reason: str) -> None:
        """Hear that an attempt came to nothing."""

    def state(self, now: State) -> None:
        """Hear where everything is; told at each look."""


@dataclass(frozen=True)
class Attempt:
    """One order under way on a worker since a moment of the clock."""

    order: Order
    address: str
    since: float


@dataclass(frozen=True)
class State:
    """Where a sweep is: workers by address, what each is at, and the seconds predicted of what is left.

    `held` has why another run has a worker's device; `seconds_left` is None if no device can measure.
    """

    workers: Mapping[str, Announcement]
    at: Mapping[str, tuple[Order, Stage, float]]
    done: int
    of: int
    seconds_left: float | None
    held: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Patience:
    """How long a sweep waits, in seconds; see the constants of this module."""

    quiet: float = QUIET_SECONDS
    lonely: float = PATIENCE_SECONDS
    landing: float = LANDING_SECONDS
    rest: float = REST_SECONDS
