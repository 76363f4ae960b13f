"""An engine that is not there: workers come, go and fall silent as a test says, and attempts end as it says."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.cluster.orders import Announcement, Answer, Order
from harness.cluster.seen import Landed, Patience, Seen
from harness.cluster.sweep import Sweep

CODE = {"code": "c0", "torch": "2.13.0"}


def announced(host="a", *, on="cpu", cores=(0,), code=CODE, uuid=""):
    return Announcement(on=on, device="cpu", host=host, cores=list(cores), process=1, fingerprint=dict(code), uuid=uuid)


def orders(*names, on="cpu", seconds=10.0):
    return [Order(chunk=name, on=on, seconds=seconds, fingerprint=CODE) for name in names]


@dataclass
class Told:
    """What a listener heard, in order."""

    lines: list = field(default_factory=list)
    last: object = None

    def joined(self, worker):
        self.lines.append(("joined", worker.place))

    def refused(self, worker, reason):
        self.lines.append(("refused", worker, reason))

    def begun(self, order, worker):
        self.lines.append(("begun", order.name, order.attempt, worker.place))

    def lost(self, order, worker, reason):
        self.lines.append(("lost", order.name, worker, reason))

    def state(self, now):
        self.last = now


class ScriptedEngine:
    """Workers by address with their announcements; `flight` has what was sent and is not over."""

    def __init__(self, **workers):
        self.there = {name: Seen(announced=one, heard=0.0) for name, one in workers.items()}
        self.flight: dict[str, tuple[Order, str]] = {}
        self.given_up: list[str] = []
        self.over: set[str] = set()
        self.silent: set[str] = set()
        self.back: list[tuple[str, Landed]] = []
        self.most: dict[str, int] = {}
        self.now = 0.0

    def workers(self):
        return {
            name: seen if name in self.silent else Seen(seen.announced, self.now, seen.busy, seen.stages, seen.is_ready)
            for name, seen in self.there.items()
        }

    def submit(self, key, order, *, address):
        self.flight[key] = (order, address)
        self.most[address] = max(self.most.get(address, 0), sum(at == address for _, at in self.flight.values()))

    def landed(self):
        found, self.back = self.back, []
        return found

    def finished(self):
        return self.over

    def give_up(self, keys):
        for key in keys:
            self.given_up.append(key)
            self.flight.pop(key, None)

    def end(self, key, kind="part", reason="", content=b"found"):
        del self.flight[key]
        self.back.append((key, Landed(Answer(kind=kind, reason=reason), content)))

    def end_all(self):
        for key in list(self.flight):
            self.end(key)


class Played:
    """A sweep on a scripted engine, looked at second by second."""

    def __init__(self, ordered, engine, *, accept=None, **options):
        self.engine, self.told, self.accepted, self.abandoned = engine, Told(), [], []
        self.sweep = Sweep(
            ordered,
            engine,
            fingerprint=CODE,
            accept=accept or (lambda order, *_: self.accepted.append(order.name)),
            abandon=lambda order, losses, status: self.abandoned.append((order.name, losses, status)),
            listener=self.told,
            patience=Patience(quiet=3.0, lonely=5.0, landing=6.0, rest=2.0),
            **options,
        )

    def look(self, seconds=1):
        for _ in range(seconds):
            self.engine.now += 1.0
            self.sweep.look(self.engine.now)

    def to_the_end(self, seconds=100):
        for _ in range(seconds):
            self.look()
            if self.sweep.is_over:
                return
            self.engine.end_all()
        raise AssertionError("the sweep does not end")
