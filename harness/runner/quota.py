"""A quota of processor time, as containers have: how often it stopped a run, and what its times are worth then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.machine import processor

if TYPE_CHECKING:
    from pathlib import Path

    from harness.machine.processor import Throttling

# Imports and compilers use more threads than calls do, and are stopped now and then; beyond this share so are calls.
SHARE_TOLD = 0.01


@dataclass
class QuotaWatch:
    """Count the periods in which a control group stopped this process, from the moment that this is made."""

    root: Path = processor.ROOT
    before: Throttling | None = field(init=False)

    def __post_init__(self) -> None:
        self.before = processor.throttling(root=self.root)

    def stopped(self) -> Throttling | None:
        """Return what the quota did since; None without one."""
        now = processor.throttling(root=self.root)
        return None if now is None or self.before is None else now.since(self.before)

    def warning(self) -> list[str]:
        """Say that the quota stopped this process in many of its periods."""
        found, cores = self.stopped(), processor.cpu_quota(root=self.root)
        if found is None or cores is None or found.stopped <= SHARE_TOLD * found.periods:
            return []
        stopped = f"stopped the run in {found.stopped:,} of {found.periods:,} periods"
        return [f"A quota of {cores:g} cores {stopped}: times have waits in them that are no kernel's."]


def thread_warnings(threads: int | None, *, root: Path = processor.ROOT) -> list[str]:
    """Say if more threads were asked for than there are processors or a quota for."""
    if threads is None:
        return []
    allowed, quota = processor.allowed_cores(), processor.cpu_quota(root=root)
    if threads > allowed:
        return [
            f"{threads} threads were asked for, and this process may use {allowed} processors: they wait for each other"
        ]
    if quota is not None and threads > quota:
        return [f"{threads} threads were asked for, and a quota allows {quota:g} cores: all stop once it is used up"]
    return []
