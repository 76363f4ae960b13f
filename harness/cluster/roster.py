"""The workers of a sweep: which may measure now, which never, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cluster.seen import there_is

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.cluster.orders import Announcement
    from harness.cluster.seen import Listener, Seen

# A worker that so many attempts in a row came to nothing on gets no more.
FAILURES_IN_A_ROW = 3
# A worker whose device another run holds rests twice as long each time, up to so many seconds; who listens hears of it
# at first, and then once in so many.
REST_AT_MOST, TOLD_SECONDS = 15.0, 60.0


@dataclass
class Hold:
    """Another run holds a worker's device: why, how long the worker rests next, until when it does, when it was told.

    Times are seconds of the sweep's clock.
    """

    reason: str
    rest: float
    until: float
    told: float


class Roster:
    """Keep what is known of each worker, by address: what it announced, why it is refused, when it was heard of."""

    def __init__(self, *, fingerprint: Mapping[str, object], quiet: float, listener: Listener) -> None:
        self._fingerprint, self._quiet, self._listener = dict(fingerprint), quiet, listener
        self.known: dict[str, Announcement] = {}
        self.refused: dict[str, str] = {}
        # The last sign of life of each, by the engine's clock, and when it was noticed, by ours.
        self._heard: dict[str, tuple[float, float]] = {}
        self._holds: dict[str, Hold] = {}
        self._in_a_row: Counter[str] = Counter()

    def live(self, seen: Mapping[str, Seen], now: float) -> dict[str, Seen]:
        """Return the workers that may measure: of our code, ready, heard of lately. Tell of those seen first."""
        return {address: worker for address, worker in seen.items() if self._may_measure(address, worker, now)}

    def _may_measure(self, address: str, worker: Seen, now: float) -> bool:
        if self._heard.get(address, (None, 0.0))[0] != worker.heard:
            self._heard[address] = (worker.heard, now)
        if address in self.refused:
            return False
        if worker.announced is None:
            self.refuse(address, "it is no worker of attnbench, or of another version")
            return False
        if address not in self.known:
            self.known[address] = worker.announced
            if differs := differences(self._fingerprint, worker.announced.fingerprint):
                self.refuse(address, differs)
                return False
            self._listener.joined(worker.announced)
        return worker.is_ready and now - self._heard[address][1] < self._quiet

    def refuse(self, address: str, reason: str) -> None:
        """Give a worker no order any more."""
        self.refused[address] = reason
        self._listener.refused(self.place(address), reason)

    def place(self, address: str) -> str:
        """Return how messages call a worker."""
        known = self.known.get(address)
        return known.place if known else address

    def host(self, address: str) -> str:
        """Return the host of a known worker."""
        return self.known[address].host

    def on(self, address: str) -> str:
        """Return the class of a known worker."""
        return self.known[address].on

    def hold(self, address: str, reason: str, *, now: float, rest: float) -> bool:
        """Note that another run holds a worker's device, so that the worker rests; tell whether that is to be told."""
        known = self._holds.get(address)
        if known is None:
            self._holds[address] = Hold(reason, rest=rest, until=now + rest, told=now)
            return True
        is_due = now - known.told >= TOLD_SECONDS
        rest = min(2.0 * known.rest, REST_AT_MOST)
        self._holds[address] = Hold(reason, rest=rest, until=now + rest, told=now if is_due else known.told)
        return is_due

    def free(self, address: str) -> None:
        """Note that no other run holds a worker's device any more."""
        self._holds.pop(address, None)

    def held(self, address: str) -> str:
        """Return why another run had a worker's device when it was last tried, empty if it had not."""
        hold = self._holds.get(address)
        return hold.reason if hold else ""

    def held_of(self, live: Iterable[str]) -> dict[str, str]:
        """Return those of some workers whose devices other runs hold, and why."""
        return {address: hold.reason for address in live if (hold := self._holds.get(address))}

    def all_held(self, live: Iterable[str], *, on: str) -> list[str]:
        """Return which workers of a class wait for other runs, and why, if all that live do; else nothing."""
        mine = [address for address in live if self.on(address) == on]
        held = self.held_of(mine)
        return [f"{self.place(address)} ({why})" for address, why in held.items()] if len(held) == len(mine) else []

    def is_resting(self, address: str, now: float) -> bool:
        """Tell whether a worker gets no order yet."""
        hold = self._holds.get(address)
        return hold is not None and hold.until > now

    def succeeded(self, address: str) -> None:
        """Note that an attempt came to its end on a worker."""
        self._in_a_row[address] = 0

    def failed(self, address: str, reason: str) -> None:
        """Note that an attempt came to nothing on a worker that lives; refuse one where that is the rule."""
        self.free(address)
        self._in_a_row[address] += 1
        if self._in_a_row[address] >= FAILURES_IN_A_ROW and address not in self.refused:
            self.refuse(address, f"{FAILURES_IN_A_ROW} attempts in a row came to nothing there: {reason}")

    def there_is(self, live: Iterable[str]) -> str:
        """Say which classes there are, how many workers of each, and who is refused why."""
        offered = Counter(self.on(address) for address in live)
        refused = "".join(f"; {self.place(address)} is refused: {why}" for address, why in self.refused.items())
        return f"{there_is(offered)}{refused}"


def differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> str:
    """Say in what a worker's code differs from ours; empty if it doesn't."""
    names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    return ", ".join(f"its {name} is {theirs.get(name)}, ours {ours.get(name)}" for name in names)
