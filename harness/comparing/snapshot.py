"""What a comparison takes of a run: the figures of each case, the machine, the versions. A baseline keeps the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue, field_validator

from harness.policy import DEFAULT
from harness.records import SCHEMA, Case, DataModel, Record, Status
from harness.results.closing import canary_floor

if TYPE_CHECKING:
    from harness.comparing.closed import ReadRecord
    from harness.records import Environment
    from harness.results.run import Run

# The problem of cases that other tools timed.
FOREIGN = "benchmark"
# A commit as an environment has it; other words there say why there is none.
COMMIT = re.compile(r"[0-9a-f]{7,64}\+?")


class Figures(DataModel):
    """The figures of one case: seconds per call with their 95 % interval, bytes, operations, error over budget.

    `statistic` names what `seconds` is; with it the interval allows for the process already. `inputs` are bytes, and
    `attended` pairs of query and key: they tell whether a case of one name is one shape. Energy is joules per call.
    """

    case: Case
    status: Status | Literal["not run"]
    reason: str = ""
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    statistic: str = ""
    rounds: int = 0
    processes: int = 1
    operations: int | None = None
    attended: int | None = None
    inputs: int | None = None
    extra_bytes: int | None = None
    error: float | None = None
    energy: float | None = None
    digest: str = ""

    @field_validator("case")
    @classmethod
    def _by_kind_of_device(cls, case: Case) -> Case:
        # Ids of earlier versions had a GPU's number in them: cuda:0 and cuda:1 were two cases. Other tools have theirs.
        is_numbered = ":" in case.device and case.problem != FOREIGN
        return case.model_copy(update={"id": case.identity}) if is_numbered else case

    @property
    def has_interval(self) -> bool:
        """Tell whether there is a time with an interval."""
        return bool(self.seconds and self.low and self.high)


class Snapshot(DataModel):
    """A run as comparisons see it. `stable` are the facts of its environment, `commit` is that of attnbench.

    `canary_floor` is the undisturbed canary in seconds, `process_deviation` what the run's policy allows between
    processes, in log time.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    name: str
    created: str = ""
    command: list[str] = Field(default_factory=list)
    device: str = ""
    environment_id: str = ""
    stable: dict[str, JsonValue] = Field(default_factory=dict)
    commit: str = ""
    canary_floor: float | None = None
    process_deviation: float
    cases: list[Figures]

    model_config = Record.model_config

    @property
    def timed(self) -> int:
        """Return how many cases have a time."""
        return sum(figures.seconds is not None for figures in self.cases)


def snapshot(run: Run, *, name: str | None = None) -> Snapshot:
    """Take from a run what a comparison needs."""
    environment = run.environment
    cases = [figures(record) for record in run.records]
    cases += [
        Figures.model_validate({"case": case, "status": status, "reason": reason})
        for case, status, reason in run.waiting
    ]
    return Snapshot(
        name=name or run.label,
        created=run.plan.created if run.plan else "",
        command=list(run.plan.command) if run.plan else [],
        device=run.plan.device if run.plan else "",
        environment_id=environment.id if environment else "",
        stable=environment.stable if environment else {},
        commit=commit_of(environment),
        canary_floor=canary_floor([visit for visits in run.rounds.values() for visit in visits]),
        process_deviation=(run.plan.policy if run.plan else DEFAULT).comparison.process_deviation,
        cases=cases,
    )


def commit_of(environment: Environment | None) -> str:
    """Return the commit of attnbench, with `+` where files differed from it; "" without one."""
    said = str(environment.volatile.get("commit", "")) if environment else ""
    return said if COMMIT.fullmatch(said) else ""


def figures(record: Record | ReadRecord) -> Figures:
    """Take the figures of a record."""
    time, counts, memory = record.time, record.counts, record.memory
    low, high = (time.interval if time else None) or (None, None)
    return Figures(
        case=record.case,
        status=record.status,
        reason=record.reason,
        seconds=time.seconds if time else None,
        low=low,
        high=high,
        statistic=time.statistic if time else "",
        rounds=time.rounds if time else 0,
        processes=time.processes if time else 1,
        operations=counts.operations if counts else None,
        attended=counts.attended if counts else None,
        inputs=memory.inputs if memory else None,
        extra_bytes=memory.extra if memory else None,
        error=record.agreement.ratio if record.agreement else None,
        energy=record.telemetry.summary.get("energy_j") if record.telemetry else None,
        digest=record.digest,
    )
