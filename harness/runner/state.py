"""The state of a run under way: its plan, what has been found so far, and how a case is closed."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, Refused
from harness.records import Degrees, Record
from harness.results import closing, journal
from harness.results.summary_file import Summary
from harness.runner import budget
from harness.runner.busy import BusyWatch
from harness.runner.quota import QuotaWatch, thread_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.policy import Policy
    from harness.records import (
        Allocation,
        Case,
        Ceiling,
        Environment,
        PlannedCase,
        Preparation,
        Round,
        StopReason,
        Telemetry,
    )
    from harness.results.journal import Journal
    from harness.results.plan_file import Plan
    from harness.runner.progress import Part, Progress
    from harness.runner.selection import TimeLimits
    from harness.runner.supervisor import Supervisor

SEED_PER_VISIT = 1009


@dataclass
class RunState:
    """A run under way. Dictionaries are keyed by case id, `degrees` by `degrees_key`.

    `closed` has the records, `postponed` the cases that the time budget seems not to hold, dearest first, until all
    others are prepared. `timed` has the rounds of every case, `stopped` why its rounds ended. `uncaptured` has the
    implementations that no CUDA graph can capture, with the reason. `rounds_done` counts rounds that were begun, those
    before a resumption included; `process` numbers the worker processes that rounds are spread over. `profiled` tells
    that the worker at hand has profiled a call.
    """

    plan: Plan
    directory: Path
    supervisor: Supervisor
    journal: Journal
    progress: Progress
    limits: TimeLimits
    time: budget.TimeAccount
    random: random.Random
    started: str
    prepared: dict[str, Preparation] = field(default_factory=dict)
    timed: dict[str, list[Round]] = field(default_factory=dict)
    closed: dict[str, Record] = field(default_factory=dict)
    degrees: dict[str, Degrees] = field(default_factory=dict)
    environment: Environment | None = None
    # Whether the environment's ceilings are those of an earlier run.
    are_ceilings_kept: bool = False
    rounds_done: int = 0
    process: int = 0
    profiled: bool = False
    # How many others of the host measured when the round began.
    neighbours: int = 0
    stopped: dict[str, StopReason] = field(default_factory=dict)
    uncaptured: dict[tuple[str, str], str] = field(default_factory=dict)
    telemetry: dict[str, Telemetry] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)
    ceilings_after: list[Ceiling] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    postponed: dict[str, PlannedCase] = field(default_factory=dict)
    # Seconds that visits to a case took, its graphs aside, and the watch over the canary.
    visit_seconds: dict[str, list[float]] = field(default_factory=dict)
    watch: BusyWatch = field(default_factory=BusyWatch)
    quota: QuotaWatch = field(default_factory=QuotaWatch)

    @property
    def policy(self) -> Policy:
        """Return the policy of the run."""
        return self.plan.policy

    @property
    def open(self) -> list[PlannedCase]:
        """Return the cases without a record that are not postponed, in the order of the plan."""
        away = self.closed.keys() | self.postponed.keys()
        return [planned for planned in self.plan.cases if planned.case.id not in away]

    def close(self, record: Record) -> None:
        """Write the record of a case; it is visited no more."""
        known = record.model_copy(update={"digest": self.plan.digest_of(record.case)})
        self.journal.append_record(known)
        self.closed[record.case.id] = known

    def refused(self, case: Case, answer: Refused | Failed) -> Record:
        """Close a case that got no answer, with its status and reason; return the record."""
        if isinstance(answer, Refused):
            self.time.calls += answer.calls_seconds
        record = Record(
            case=case,
            status=answer.status,
            reason=answer.reason,
            agreement=answer.agreement if isinstance(answer, Refused) else None,
            environment_id=self.environment.id if self.environment else "",
        )
        self.close(record)
        return record

    def leave_out(self, cases: Sequence[Case]) -> None:
        """Close cases that the time budget does not hold, dearest first, and say so."""
        self._close_over_budget(cases)
        if cases:
            self.say_left_out("cases", cases)

    def _close_over_budget(self, cases: Sequence[Case]) -> None:
        reason = f"the time budget of {self.time.budget:.0f} s does not hold it"
        for case in cases:
            self.close(
                Record(
                    case=case,
                    status="over_budget",
                    reason=reason,
                    environment_id=self.environment.id if self.environment else "",
                )
            )

    def postpone(self, cases: Sequence[Case]) -> None:
        """Put off cases that the time budget seems not to hold, dearest first, and say so."""
        if not cases:
            return
        planned = {one.case.id: one for one in self.plan.cases}
        self.postponed |= {case.id: planned[case.id] for case in cases}
        self.progress.left_out("cases", cases, budget=self.time.budget)

    def bring_back(self, cases: Sequence[Case]) -> None:
        """Take up cases that were put off, and say so."""
        for case in cases:
            del self.postponed[case.id]
        self.progress.brought_back(cases)

    def give_up_postponed(self) -> None:
        """Close the cases that are still put off; who follows the run has heard of them."""
        cases = [planned.case for planned in self.postponed.values()]
        self.postponed.clear()
        self._close_over_budget(cases)
        if cases:
            self._keep_left_out("cases", cases)

    def say_left_out(self, part: Part, cases: Sequence[Case]) -> None:
        """Say what the time budget does not hold, now and in the summary."""
        self.progress.left_out(part, cases, budget=self.time.budget)
        self._keep_left_out(part, cases)

    def _keep_left_out(self, part: Part, cases: Sequence[Case]) -> None:
        self.left_out.append(f"{part}: {', '.join(case.label for case in cases)}")

    def seed(self, case: Case, *, visit: int) -> int:
        """Return the seed of a visit's inputs: the implementations of a point get the same, no two visits do."""
        # The same text in every version: a seed draws the same inputs as in the runs that came before.
        place = f"{case.problem} {sorted(case.point.items())} {case.dtype} {case.direction} {case.cache}"
        digest = hashlib.sha256(place.encode()).hexdigest()
        return self.plan.seed + SEED_PER_VISIT * visit + int(digest[:6], 16)

    def estimate(self, planned: PlannedCase) -> budget.Estimate:
        """Return what a call of a case takes, as far as is known."""
        known = budget.estimate(planned, self.prepared)
        graphs = sum(bool(visit.graph_samples) for visit in self.timed.get(planned.case.id, []))
        return replace(known, has_graph=graphs >= self.policy.timing.graph_rounds)

    def estimates(self, cases: Sequence[PlannedCase]) -> list[budget.Estimate]:
        """Return what a call of each case takes, as far as is known."""
        return [self.estimate(planned) for planned in cases]

    def timeout(self, planned: PlannedCase) -> float:
        """Return the seconds that a request about a case may take."""
        if self.limits.timeout is not None:
            return self.limits.timeout
        return budget.timeout(self.estimate(planned).call_seconds, policy=self.policy)

    def samples(self, case: Case) -> list[list[float]]:
        """Return the samples of a case, a list per round."""
        return [visit.samples for visit in self.timed.get(case.id, [])]

    def canary_floor(self) -> float | None:
        """Return the undisturbed seconds of the canary, None if none was timed."""
        return closing.canary_floor([visit for visits in self.timed.values() for visit in visits])

    def records(self) -> list[Record]:
        """Return the records of closed cases, and provisional ones of cases that have rounds but never closed."""
        provisional = closing.provisional(
            self.plan, closed=self.closed, prepared=self.prepared, rounds=self.timed, environment=self.environment
        )
        return [*self.closed.values(), *provisional]

    def stages(self, wall: float) -> dict[str, float]:
        """Split the seconds of the run by stage, the longest first; what no worker was asked for is `other`."""
        known = dict(self.supervisor.stages.seconds)
        rest = max(0.0, wall - sum(known.values()))
        known["other"] = known.get("other", 0.0) + rest
        return dict(sorted(known.items(), key=lambda item: -item[1]))

    def summary(self, *, is_complete: bool) -> Summary:
        """Return the contents of summary.json."""
        wall = self.time.spent
        throttled = self.quota.stopped()
        return Summary(
            started=self.started,
            ended=journal.now(),
            wall_seconds=wall,
            call_seconds=self.time.calls,
            call_share=self.time.calls / wall if wall > 0 else 0.0,
            timed_seconds=self.time.timed,
            timed_share=self.time.timed / wall if wall > 0 else 0.0,
            stages=self.stages(wall),
            left_out=self.left_out,
            statuses=dict(Counter(record.status for record in self.closed.values())),
            rounds=self.rounds_done,
            workers=self.supervisor.started_workers,
            complete=is_complete,
            warnings=self.warnings,
            throttled_periods=None if throttled is None else throttled.stopped,
            ceilings_after=self.ceilings_after,
        )


def begin(
    plan: Plan,
    log: Journal,
    directory: Path,
    *,
    supervisor: Supervisor,
    progress: Progress,
    limits: TimeLimits,
    started: str,
) -> RunState:
    """Return the state of a run that begins, or goes on from what its journal holds. Raises JournalError."""
    entries = journal.read(directory)
    visits = [visit for of_case in entries.rounds.values() for visit in of_case]
    return RunState(
        plan=plan,
        directory=directory,
        supervisor=supervisor,
        journal=log,
        progress=progress,
        limits=limits,
        time=budget.TimeAccount(
            limits.budget or budget.time_budget(plan.device, plan.policy.run),
            started=time.monotonic() if limits.started is None else limits.started,
        ),
        random=random.Random(plan.seed),
        started=started,
        prepared=dict(entries.prepared),
        timed=dict(entries.rounds),
        closed=dict(entries.records),
        degrees=entries.degrees,
        environment=journal.read_environment(directory),
        # A case that a killed run left out of a round has fewer visits than rounds were begun.
        rounds_done=1 + max((visit.index for visit in visits), default=-1),
        process=1 + max((visit.process for visit in visits), default=-1),
        warnings=thread_warnings(plan.threads),
    )


def degrees_key(case: Case) -> str:
    """Name the journal's facts on what an implementation's operations grow like."""
    return f"{journal.DEGREES}{case.problem} {case.implementation} {case.direction}"
