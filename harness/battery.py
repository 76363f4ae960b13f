"""The battery: every adversarial probe of a problem, held against the oracle for one implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.agreement import agree
from harness.records import Agreement, Check, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.policy import GatePolicy
    from harness.records import Status
    from impls.contract import Implementation, Probe, Problem
    from scenarios.scenario import Direction

# An error in every hundredth call is met by 128 calls.
REPEATED_CALLS = 128
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")


@dataclass(frozen=True)
class Subject:
    """An implementation in one setting."""

    problem: Problem
    implementation: Implementation
    dtype: str
    device: str
    policy: GatePolicy
    seed: int = 0

    def agree(self, point: Any, *, direction: Direction, seed: int, kind: str = "normal") -> Agreement:
        """Hold one call against the oracle."""
        return agree(
            self.problem,
            self.implementation,
            point,
            dtype=getattr(torch, self.dtype),
            device=torch.device(self.device),
            direction=direction,
            seed=seed,
            policy=self.policy,
            kind=kind,
        )

    def unsupported(self, point: Any, *, direction: Direction) -> str:
        """Say what of a point the implementation lacks; empty where it runs."""
        limits = self.implementation.limits_on(torch.device(self.device).type)
        if limits is None or self.dtype not in limits.dtypes:
            return f"no {self.dtype} on {self.device}"
        missing = self.problem.features(point, direction=direction) - limits.supports
        return f"no {', '.join(sorted(missing))}" if missing else ""


@dataclass(frozen=True)
class Task:
    """One check of the battery."""

    name: str
    probe: Probe
    direction: Direction
    check: Callable[[Subject, Any, Probe, Direction], Agreement]

    @property
    def title(self) -> str:
        """Name the probe with its direction."""
        return f"{self.name}, {self.direction}"


def tasks(problem: Problem, *, quick: bool = False, only: str = "") -> list[Task]:
    """List one call of every probe and direction, then many calls, then calls that might disturb each other.

    `only` keeps those whose title contains it.
    """
    listed = [
        Task(probe.name, probe, direction, _single)
        for probe in problem.PROBES
        if probe.quick or not quick
        for direction in DIRECTIONS
    ]
    listed.append(Task("repeated calls", problem.REPEATED, "forward", _repeated))
    listed.append(Task("fresh outputs", problem.REPEATED, "forward", _fresh))
    return [task for task in listed if only in task.title]


def unanswered(subject: Subject, task: Task, *, status: Status, reason: str) -> Outcome:
    """Return the outcome of a task that gave no agreement."""
    return Outcome(
        implementation=subject.implementation.name,
        probe=task.name,
        dtype=subject.dtype,
        device=subject.device,
        direction=task.direction,
        seed=subject.seed,
        status=status,
        reason=reason,
    )


def run(subject: Subject, task: Task) -> Outcome:
    """Do one task. Whatever the implementation raises rises from here."""
    try:
        point = subject.problem.parse({**task.probe.point, **subject.implementation.fixes})
    except ValueError as error:
        if not subject.implementation.fixes:
            raise
        # What computes one of several answers takes the points that have this answer.
        return unanswered(subject, task, status="unsupported", reason=str(error))
    lacks = subject.unsupported(point, direction=task.direction)
    if lacks:
        return unanswered(subject, task, status="unsupported", reason=lacks)
    agreement = task.check(subject, point, task.probe, task.direction)
    outcome = unanswered(subject, task, status="ok", reason="").model_copy(update={"agreement": agreement})
    if agreement.passed:
        return outcome
    return outcome.model_copy(update={"status": "disagreed", "reason": describe(agreement)})


def describe(agreement: Agreement) -> str:
    """Say in a line which check failed by how much, and where."""
    failed = [check for check in agreement.checks if not check.passed]
    worst = max(failed, key=lambda check: float("inf") if check.ratio is None else check.ratio)
    if worst.error is None or worst.ratio is None:
        return f"{worst.name}: {worst.detail}"
    return f"{worst.name}: {worst.ratio:.3g} times its budget; {worst.detail}"


def _single(subject: Subject, point: Any, probe: Probe, direction: Direction) -> Agreement:
    """Check one call."""
    return subject.agree(point, direction=direction, seed=subject.seed, kind=probe.kind)


def _repeated(subject: Subject, point: Any, probe: Probe, direction: Direction) -> Agreement:
    """Check many calls, each on fresh inputs; return the first that disagrees, else the worst."""
    agreements = []
    for call in range(REPEATED_CALLS):
        agreements.append(subject.agree(point, direction=direction, seed=subject.seed + call, kind=probe.kind))
        if not agreements[-1].passed:
            return _in_call(agreements[-1], call + 1)
    return max(agreements, key=lambda agreement: agreement.ratio or 0.0)


def _in_call(agreement: Agreement, call: int) -> Agreement:
    checks = [
        check if check.passed else check.model_copy(update={"detail": f"in call {call}: {check.detail}"})
        for check in agreement.checks
    ]
    return agreement.model_copy(update={"checks": checks})


def _fresh(subject: Subject, point: Any, probe: Probe, _: Direction) -> Agreement:
    """Check that a later call leaves an earlier output alone, and that the same inputs give the same bits."""

    def bound(seed: int) -> Callable[[], Any]:
        inputs = subject.problem.inputs(
            point,
            dtype=getattr(torch, subject.dtype),
            device=torch.device(subject.device),
            seed=seed,
            kind=probe.kind,
        )
        return subject.problem.bind(subject.implementation, inputs)

    with torch.no_grad():
        call, other = bound(subject.seed), bound(subject.seed + 1)
        first = _tensors(call())
        kept = [tensor.clone() for tensor in first]
        later, again = _tensors(other()), _tensors(call())
    shared = [
        f"output {position} shares memory with an earlier one"
        for position, (a, b) in enumerate(zip(first, later, strict=True))
        if a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    ]
    changed = [
        f"output {position} was changed by a later call"
        for position, (a, b) in enumerate(zip(first, kept, strict=True))
        if not torch.equal(a, b)
    ]
    moved = [
        f"output {position} differs between two calls with the same inputs"
        for position, (a, b) in enumerate(zip(kept, again, strict=True))
        if subject.implementation.deterministic and not torch.equal(a, b)
    ]
    checks = [
        Check(name=name, error=None, budget=None, ratio=None, passed=not found, detail="; ".join(found))
        for name, found in (("fresh output", shared + changed), ("deterministic", moved))
    ]
    return Agreement(passed=all(check.passed for check in checks), checks=checks)


def _tensors(result: Any) -> list[torch.Tensor]:
    values = list(result) if isinstance(result, (tuple, list)) else [result]
    wrong = [type(value).__name__ for value in values if not isinstance(value, torch.Tensor)]
    if wrong:
        raise TypeError(f"returned {', '.join(wrong)}, not torch.Tensor")
    return values
