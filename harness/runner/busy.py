"""A busy machine: who takes the cores as a run begins is told; where the canary tells of others, the run waits."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import psutil

from harness.protocol.messages import Failed, ReadCanary, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.policy import RunPolicy
    from harness.runner.progress import Progress
    from harness.runner.state import RunState
    from harness.runner.supervisor import Supervisor

# Between two looks at a machine that is waited for.
STEP_SECONDS = 1.0
# How long processes are watched for who takes the cores; below this share of a core one is not named.
LOOK_SECONDS = 0.5
SHARE_NAMED = 0.2
NAMED_AT_MOST = 3
# A run whose threads have a core less than this is told so.
SPARED = 0.5


class Taker(NamedTuple):
    """A process outside this run, and the share of a core that it takes."""

    name: str
    share: float

    def __str__(self) -> str:
        return f"{self.name} ({self.share:.0%} of a core)"


@dataclass(frozen=True)
class Noted:
    """The processor seconds that each process had used at a moment of the monotonic clock."""

    at: float
    seconds: dict[psutil.Process, float]


def note_processes() -> Noted:
    """Note what every process has used so far; who takes the cores shows from then on, while a run prepares."""
    return Noted(time.monotonic(), {process: _seconds(process) for process in psutil.process_iter()})


def core_takers(since: Noted | None = None) -> list[Taker]:
    """Return the processes outside this run that take the cores, those that take most first; empty if none shows.

    They are watched for LOOK_SECONDS, or since they were noted where that is longer.
    """
    since = since or note_processes()
    time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - since.at)))
    own = {os.getpid()} | {child.pid for child in psutil.Process().children(recursive=True)}
    elapsed = max(LOOK_SECONDS, time.monotonic() - since.at)
    shares = {
        process: (_seconds(process) - before) / elapsed
        for process, before in since.seconds.items()
        if process.pid not in own
    }
    most = sorted((process for process in shares if shares[process] >= SHARE_NAMED), key=lambda one: -shares[one])
    return [Taker(_name(process), shares[process]) for process in most]


def named(takers: Sequence[Taker]) -> list[str]:
    """Name the few that take most."""
    return [str(taker) for taker in takers[:NAMED_AT_MOST]]


def look_around(state: RunState) -> None:
    """Tell at once, and in the summary, if others leave a run on a CPU fewer cores than it has threads."""
    threads, cores = state.plan.threads, psutil.cpu_count() or 1
    if state.plan.device != "cpu" or threads is None:
        return
    takers = state.watch.who() if state.watch.noted is None else core_takers(state.watch.noted)
    taken = sum(taker.share for taker in takers)
    if cores - taken >= threads - SPARED:
        return
    state.progress.crowded(named(takers))
    state.warnings.append(
        f"Others took {taken:.1f} of the {cores} cores as the run began, which has {threads} of its threads: "
        f"{', '.join(named(takers))}."
    )


def _seconds(process: psutil.Process) -> float:
    try:
        spent = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(spent.user + spent.system)


def _name(process: psutil.Process) -> str:
    try:
        return f"{process.name()} {process.pid}"
    except psutil.Error:
        return str(process.pid)


@dataclass
class BusyWatch:
    """The canary of a run so far, in seconds: its best, and since when it has been far beyond that.

    `noted` is what other processes had used before the run began to prepare.
    """

    best: float | None = None
    since: float | None = None
    waited: float = 0.0
    takers: list[str] = field(default_factory=list)
    noted: Noted | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    who: Callable[[], list[Taker]] = core_takers

    def hear(self, canary: Sequence[float], *, policy: RunPolicy) -> bool:
        """Take in readings of the canary; say whether the machine has been busy for long enough to wait."""
        if not canary:
            return False
        reading = min(canary)
        self.best = reading if self.best is None else min(self.best, reading)
        if reading <= policy.busy_canary * self.best:
            self.since = None
            return False
        now = self.clock()
        self.since = now if self.since is None else self.since
        return now - self.since >= policy.busy_seconds

    def wait(self, supervisor: Supervisor, *, policy: RunPolicy, budget: float, progress: Progress) -> None:
        """Wait until the canary is well, for at most what the policy allows of the budget in all."""
        at_most = min(policy.busy_wait_at_most, policy.busy_wait_share * budget) - self.waited
        self.since = None
        if at_most <= 0.0:
            return
        begun = self.clock()
        self.takers = named(self.who()) or self.takers
        progress.waiting(self.takers, seconds=at_most)
        while self.clock() - begun < at_most:
            self.sleep(STEP_SECONDS)
            answer = supervisor.ask(ReadCanary())
            if isinstance(answer, Failed | Refused) or not answer.seconds:
                break
            if min(answer.seconds) <= policy.busy_canary * (self.best or 0.0):
                break
        self.waited += self.clock() - begun

    def warning(self) -> list[str]:
        """Say that the run waited, and for whom."""
        if self.waited <= 0.0:
            return []
        who = f"; {', '.join(self.takers)} took them" if self.takers else ""
        waited = f"the run waited {self.waited:.0f} s for them, then went on"
        return [f"Others took the cores of this machine while it was measured: {waited}{who}."]
