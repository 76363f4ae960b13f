"""Where the seconds of a request go, by stage; each moment belongs to one."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from harness.instruments.timing import Canary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What has no other name: reading and writing messages, putting settings back.
OTHER = "other"


class Stages:
    """Books seconds under the stage that was begun last."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._name = OTHER
        self._since = clock()
        self._is_inside = False
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def begin(self, name: str) -> None:
        """End the stage under way and begin another."""
        now = self._clock()
        self._seconds[self._name] += now - self._since
        self._name, self._since = name, now

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Book a part of the stage under way by itself; a part of a part belongs to the outer one."""
        if self._is_inside:
            yield
            return
        before, self._is_inside = self._name, True
        self.begin(name)
        try:
            yield
        finally:
            self._is_inside = False
            self.begin(before)

    def restart(self) -> None:
        """Forget what was booked: a request begins."""
        self.begin(OTHER)
        self._seconds.clear()

    def take(self) -> dict[str, float]:
        """Return seconds by stage since the restart."""
        self.begin(OTHER)
        return {name: seconds for name, seconds in self._seconds.items() if seconds > 0.0}


class BookedCanary(Canary):
    """A canary whose seconds are a stage of their own."""

    def __init__(self, size: int, stages: Stages) -> None:
        self._stages = stages
        super().__init__(size)

    def seconds(self) -> float:
        """Return the seconds of one product, the mean of a few."""
        with self._stages.inside("canary"):
            return super().seconds()
