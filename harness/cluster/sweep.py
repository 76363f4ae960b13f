"""Who measures what next: orders go to free devices one at a time, and again elsewhere where an attempt is lost.

Nothing here knows the engine that carries orders to workers, nor a clock: both are given.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from harness.cluster.orders import Stage
from harness.cluster.roster import Roster
from harness.cluster.seen import Attempt, MistakeError, NoDeviceError, Patience, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.cluster.orders import Announcement, Order
    from harness.cluster.seen import Engine, Landed, Listener, Seen
    from harness.records import Status

# A chunk that so many attempts lost is given up: what loses workers is the chunk.
TRIES = 3


class Sweep:
    """Bring orders to their end, dearest first, with at most one under way for each worker.

    `accept` gets each order with its worker and what the first complete attempt found; it raises ValueError where that
    is not whole. `abandon` gets an order that too many attempts lost, or that other runs held every device for
    until the time was over, with where and how, and what its cases are then. With `one_per_host` a host measures one
    chunk at a time.
    """

    def __init__(
        self,
        orders: Iterable[Order],
        engine: Engine,
        *,
        fingerprint: Mapping[str, object],
        accept: Callable[[Order, Announcement, bytes], None],
        abandon: Callable[[Order, list[str], Status], None],
        listener: Listener,
        patience: Patience | None = None,
        one_per_host: bool = False,
    ) -> None:
        self._todo = sorted(orders, key=lambda order: (-order.seconds, order.on, order.chunk))
        self._of, self._done = len(self._todo), 0
        self._engine, self._accept, self._abandon, self._listener = engine, accept, abandon, listener
        self._patience, self._one_per_host = patience or Patience(), one_per_host
        self.roster = Roster(fingerprint=fingerprint, quiet=self._patience.quiet, listener=listener)
        self._flight: dict[str, Attempt] = {}
        # By name of the order: how many attempts there were, where they were lost and how, and the addresses of those.
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._losses: defaultdict[str, list[str]] = defaultdict(list)
        self._losers: defaultdict[str, set[str]] = defaultdict(set)
        self._began, self._rooms = math.inf, rooms_of(self._todo)
        # Since when an attempt is over without having come back, and a class without a worker.
        self._landed: dict[str, float] = {}
        self._lonely: dict[str, float] = {}
        # Seconds of the chunks that are done.
        self._predicted, self._taken = 0.0, 0.0

    @property
    def is_over(self) -> bool:
        """Tell whether every order came to its end."""
        return not self._todo and not self._flight

    def stop(self) -> None:
        """Give everything up that is under way."""
        self._engine.give_up(list(self._flight))

    def look(self, now: float) -> None:
        """Take in what happened, and send out what can be, at a moment of a clock that never goes back.

        Raises NoDeviceError, MistakeError, ConnectionError.
        """
        for key, landed in self._engine.landed():
            attempt = self._flight.pop(key, None)
            # One that was given up is nobody's: another attempt may have ended already.
            if attempt is not None:
                self._landed.pop(key, None)
                self._land(attempt, landed, now)
        # After what landed, which may have told of other kernels, or of a worker that always fails.
        seen = self._engine.workers()
        live = self.roster.live(seen, now)
        self._leave(live, now)
        live = self.roster.live(seen, now)
        self._end_waiting(live, now)
        self._send(live, now)
        self._check_lonely(live, now)
        self._listener.state(self._state(live, seen, now))

    def _land(self, attempt: Attempt, landed: Landed, now: float) -> None:
        order, address, answer = attempt.order, attempt.address, landed.answer
        if answer is None:
            self._again(attempt, "its worker was lost")
        elif answer.kind == "part":
            self._take(attempt, landed.content, now)
        elif answer.kind == "mistake":
            raise MistakeError(answer.reason)
        elif answer.kind == "held":
            # It may be held for hours, and is asked for all along.
            if self.roster.hold(address, answer.reason, now=now, rest=self._patience.rest):
                self._listener.lost(order, self.roster.place(address), answer.reason)
            self._todo.append(order)
        elif answer.kind == "refused":
            self.roster.refuse(address, answer.reason)
            self._todo.insert(0, order)
        else:
            self.roster.failed(address, answer.reason)
            self._again(attempt, answer.reason)

    def _take(self, attempt: Attempt, content: bytes, now: float) -> None:
        try:
            self._accept(attempt.order, self.roster.known[attempt.address], content)
        except ValueError as error:
            self.roster.failed(attempt.address, str(error))
            self._again(attempt, str(error))
            return
        self._has_its_device(attempt)
        self.roster.succeeded(attempt.address)
        self._predicted += attempt.order.seconds
        self._taken += now - attempt.since
        self._done += 1

    def _leave(self, live: Mapping[str, Seen], now: float) -> None:
        """Give up attempts whose worker is gone, silent, or can't send what it found."""
        finished = self._engine.finished()
        for key, attempt in list(self._flight.items()):
            reason = ""
            if attempt.address not in live:
                reason = self.roster.refused.get(attempt.address) or "its worker is gone or silent"
            elif key in finished and now - self._landed.setdefault(key, now) > self._patience.landing:
                reason = "what it found can't be fetched: the scheduler does not reach it"
                self.roster.refuse(attempt.address, reason)
            if reason:
                del self._flight[key]
                self._engine.give_up([key])
                self._again(attempt, reason)

    def _again(self, attempt: Attempt, reason: str) -> None:
        """Put a lost order back in front, or close it after three."""
        order, place = attempt.order, self.roster.place(attempt.address)
        losses = self._losses[order.name]
        losses.append(f"{place} ({reason})")
        self._losers[order.name].add(attempt.address)
        self._listener.lost(order, place, reason)
        if len(losses) < TRIES:
            self._todo.insert(0, order)
        else:
            self._done += 1
            self._abandon(order, losses, "crashed")

    def _send(self, live: Mapping[str, Seen], now: float) -> None:
        taken = {attempt.address for attempt in self._flight.values()}
        hosts = {self.roster.host(address) for address in taken}
        for address in sorted(live, key=self.roster.place):
            is_free = address not in taken and not live[address].busy and not self.roster.is_resting(address, now)
            if not is_free or (self._one_per_host and self.roster.host(address) in hosts):
                continue
            same = {other for other in live if self.roster.on(other) == self.roster.on(address)}
            mine = [order for order in self._todo if order.on == self.roster.on(address)]
            order = next_of(mine, address, same=same, losers=self._losers)
            if order is None:
                continue
            self._todo.remove(order)
            self._attempts[order.name] += 1
            order = order.model_copy(update={"attempt": self._attempts[order.name]})
            key = f"{order.name}-{order.attempt}"
            self._flight[key] = Attempt(order, address, now)
            hosts.add(self.roster.host(address))
            self._engine.submit(key, order, address=address)
            # Where another run held the device a moment ago, it may again: that is told once it is not so.
            if not self.roster.held(address):
                self._listener.begun(order, self.roster.known[address])

    def _has_its_device(self, attempt: Attempt) -> None:
        """Tell of an attempt that no other run is in the way of any more."""
        if self.roster.held(attempt.address):
            self.roster.free(attempt.address)
            self._listener.begun(attempt.order, self.roster.known[attempt.address])

    def _end_waiting(self, live: Mapping[str, Seen], now: float) -> None:
        """Close what waits for devices that other runs hold, and has for longer than its class may take."""
        self._began = min(self._began, now)
        for order in list(self._todo):
            reasons = self.roster.all_held(live, on=order.on)
            if reasons and now - self._began >= self._rooms[order.on] / len(reasons):
                self._todo.remove(order)
                self._done += 1
                self._abandon(order, reasons, "over_budget")

    def _check_lonely(self, live: Mapping[str, Seen], now: float) -> None:
        """Raise NoDeviceError where a class has had no worker for long.

        One that had some may have them again: it is waited for while another class measures.
        """
        offered = {self.roster.on(address) for address in live}
        wanted = {order.on for order in self._todo} | {attempt.order.on for attempt in self._flight.values()}
        had = {self.roster.on(address) for address in self.roster.known.keys() - self.roster.refused.keys()}
        self._lonely = {on: self._lonely.get(on, now) for on in sorted(wanted - offered)}
        for on, since in self._lonely.items():
            if now - since >= self._patience.lonely and not (on in had and wanted & offered):
                raise NoDeviceError(f"no worker offers {on!r}; {self.roster.there_is(live)}")

    def _state(self, live: Mapping[str, Seen], seen: Mapping[str, Seen], now: float) -> State:
        pace = self._taken / self._predicted if self._predicted > 0.0 else 1.0
        left = sum(order.seconds for order in self._todo)
        at = {}
        for key, attempt in self._flight.items():
            worker, spent = seen.get(attempt.address), now - attempt.since
            if worker and key in worker.stages:
                self._has_its_device(attempt)
            at[attempt.address] = (attempt.order, worker.stages.get(key, Stage()) if worker else Stage(), spent)
            left += max(0.0, attempt.order.seconds - spent / pace)
        held = self.roster.held_of(live)
        return State(
            workers={address: self.roster.known[address] for address in live},
            at=at,
            done=self._done,
            of=self._of,
            seconds_left=left * pace / able if (able := len(live) - len(held)) else None,
            held=held,
        )


def rooms_of(orders: Iterable[Order]) -> dict[str, float]:
    """Return how many seconds the orders of each class may take in all."""
    found: defaultdict[str, float] = defaultdict(float)
    for order in orders:
        found[order.on] += math.inf if order.limits.budget is None else order.limits.budget
    return found


def next_of(orders: Sequence[Order], address: str, *, same: set[str], losers: Mapping[str, set[str]]) -> Order | None:
    """Return a worker's next order of its class, first one that it has not lost; one that it has if the same all have.

    `losers` has the addresses that lost an order, by its name.
    """
    fresh = [order for order in orders if address not in losers.get(order.name, set())]
    return next(iter([*fresh, *(order for order in orders if same <= losers.get(order.name, set()))]), None)
