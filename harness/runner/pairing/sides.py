"""The two sides of a pair: who runs each, what it is told under, and why one can't be had."""

from __future__ import annotations

import fnmatch
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from harness.protocol.messages import Describe
from harness.results.pairs.pair_file import SideFile
from harness.runner.plan import make_plan, names_by_problem
from harness.runner.selection import EmptyShardError, SelectionError, check_names
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.policy import Policy
    from harness.records import Record
    from harness.results.pairs.pair_file import Side
    from harness.results.plan_file import Plan
    from harness.runner.progress import Progress
    from harness.runner.selection import Request

# Worker processes of each side that the rounds are spread over where there is time. What differs between processes is
# the larger part of the error of a ratio (on a virtual machine of two cores pairs of copies differ by 4 %, standard
# deviation, all cases of a pair alike), and more rounds don't reduce it.
PROCESSES = {"fast": 8, "default": 16, "rigorous": 32}
# The smallest of a visit's blocks counts: minima of interleaved copies scatter by half as much as medians do.
BLOCKS = 3


class NoSideError(WorkerError):
    """A side has no worker that this program can ask; the message is for the user."""


@dataclass(frozen=True)
class Asked:
    """A side as asked for: its name, the interpreter of its workers, files that register implementations there."""

    name: Side
    interpreter: str
    impl_files: tuple[str, ...] = ()

    @property
    def file(self) -> SideFile:
        """Return the side as pair.json has it."""
        return SideFile(interpreter=self.interpreter, impl_files=[str(Path(one).resolve()) for one in self.impl_files])


class _Sided:
    """Tell of one side's events under its name; what both do is told as it is."""

    def __init__(self, progress: Progress, side: Side) -> None:
        self._progress, self._side = progress, side.upper()

    def __getattr__(self, name: str) -> object:
        return getattr(self._progress, name)

    def failed(self, record: Record, *, cost: float) -> None:
        self._progress.failed(record.model_copy(update={"reason": f"in {self._side}: {record.reason}"}), cost=cost)

    def unavailable(self, source: str, reason: str) -> None:
        self._progress.unavailable(f"{self._side}: {source}", reason)


def find_interpreter(name: str) -> str:
    """Return an interpreter's path, links kept: that of a virtual environment is one. Raises SelectionError."""
    found = shutil.which(name)
    if found is None:
        raise SelectionError(f"{name} is no Python that can be run; name the interpreter of an environment")
    return str(Path(found).absolute())


def policy_for_pairs(policy: Policy, *, preset: str) -> Policy:
    """Return a run's policy for two sides: more processes, no load but timing, for each half of a case's memory."""
    timing = policy.timing.model_copy(
        update={"processes": PROCESSES[preset], "blocks_per_round": max(BLOCKS, policy.timing.blocks_per_round)}
    )
    return policy.model_copy(
        update={
            "timing": timing,
            "memory": policy.memory.model_copy(update={"share": policy.memory.share / 2}),
            "allocation": policy.allocation.model_copy(update={"rounds": 0}),
            "telemetry": policy.telemetry.model_copy(update={"points_cpu": 0, "points_cuda": 0}),
            "run": policy.run.model_copy(update={"extras_share": 0.0, "extras_share_cuda": 0.0}),
        }
    )


def told(progress: Progress, side: Asked) -> Progress:
    """Return what hears the events of a side."""
    return cast("Progress", _Sided(progress, side.name))


def supervisor_of(request: Request, side: Asked, *, progress: Progress) -> Supervisor:
    """Return the supervisor of a side's workers."""
    settings = WorkerSettings.of(replace(request, impl_files=side.impl_files))
    return Supervisor(settings, progress=progress, interpreter=side.interpreter, has_own_packages=True)


def names_of(side: Asked, supervisor: Supervisor) -> dict[str, list[str]]:
    """Return a side's implementations by problem. Raises NoSideError where its worker can't be asked."""
    try:
        return names_by_problem(supervisor.require(Describe()))
    except WorkerError as error:
        raise NoSideError(_why(side, str(error))) from None


def patterns_of(patterns: Sequence[str], known: Mapping[Side, dict[str, list[str]]]) -> dict[Side, tuple[str, ...]]:
    """Return which of the user's implementations each side has; one that is new has them on one side alone.

    Raises SelectionError for what neither has, and where a side has nothing that was asked for.
    """
    names = {side: sorted({name for some in of.values() for name in some}) for side, of in known.items()}
    check_names(patterns, {"": [name for of in names.values() for name in of]})
    own = {side: tuple(one for one in patterns if fnmatch.filter(of, one)) for side, of in names.items()}
    for side, found in own.items():
        if patterns and not found:
            raise SelectionError(f"{side.upper()} has no implementation {', '.join(patterns)}: nothing would compare")
    return own


def plan_side(request: Request, side: Asked, supervisor: Supervisor, *, progress: Progress) -> Plan:
    """Plan a side by its own worker. Raises SelectionError, WorkerError."""
    try:
        plan = make_plan(replace(request, impl_files=side.impl_files), supervisor, progress=progress)
    except EmptyShardError:
        raise
    except SelectionError as error:
        raise SelectionError(f"{side.name.upper()}: {error}") from None
    return plan.model_copy(update={"interpreter": side.interpreter, "fingerprint": {}})


def _why(side: Asked, reason: str) -> str:
    where = f"{side.name.upper()} ({side.interpreter})"
    if "No module named" in reason and "harness" in reason:
        return f"{where} has no attnbench: install it in that environment"
    if "speaks protocol" in reason:
        return f"{where} has an attnbench of another version: {reason.rpartition('started: ')[2]}"
    return f"{where}: {reason}"
