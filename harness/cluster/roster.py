"""The workers of a sweep: which may measure now, which never, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.cluster.seen import there_is

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.cluster.orders import Announcement
    from harness.cluster.seen import Listener, Seen

# A worker that so many attempts in a row came to nothing on gets no more.
FAILURES_IN_A_ROW = 3


class Roster:
    """Keep what is known of each worker, by address: what it announced, why it is refused, when it was heard of."""

    def __init__(self, *, fingerprint: Mapping[str, object], quiet: float, listener: Listener) -> None:
        self._fingerprint, self._quiet, self._listener = dict(fingerprint), quiet, listener
        self.known: dict[str, Announcement] = {}
        self.refused: dict[str, str] = {}
        # The last sign of life of each, by the engine's clock, and when it was noticed, by ours.
        self._heard: dict[str, tuple[float, float]] = {}
        self._rests: dict[str, float] = {}
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

    def rest(self, address: str, *, until: float) -> None:
        """Give a worker no order before a moment."""
        self._rests[address] = until

    def is_resting(self, address: str, now: float) -> bool:
        """Tell whether a worker gets no order yet."""
        return self._rests.get(address, 0.0) > now

    def succeeded(self, address: str) -> None:
        """Note that an attempt came to its end on a worker."""
        self._in_a_row[address] = 0

    def failed(self, address: str, reason: str) -> None:
        """Note that an attempt came to nothing on a worker that lives; refuse one where that is the rule."""
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
