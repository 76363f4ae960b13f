"""The battery: every adversarial probe of a problem, held against the oracle for one implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.gate import scatter
from harness.gate.agreement import agree, agree_but_for_spoiled_rows, describe
from harness.gate.call import call, contract_check, contract_mistakes
from harness.gate.known import Known
from harness.records import Agreement, Check, ProbeOutcome
from impls.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.policy import GatePolicy
    from harness.records import Status
    from impls.contract import Implementation, Probe, Problem
    from scenarios.scenario import Direction


# An error in every hundredth call is met by 128 calls.
REPEATED_CALLS = 128
# Inputs of these calls, in turn: what is right of each is worked out once.
REPEATED_INPUTS = 16
# A module that leaves dropout out, or does it twice, is told from an honest one by a dozen; and by half of the limits.
SCATTERED_CALLS = 48
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")


@dataclass(frozen=True)
class Examinee:
    """An implementation in one setting, before a probe says at which point; `known` has what others were asked."""

    problem: Problem
    implementation: Implementation
    dtype: str
    device: str
    policy: GatePolicy
    seed: int = 0
    known: Known | None = None

    def at(self, point: Any, *, direction: Direction) -> Subject:
        """Return the implementation at a point."""
        dtype, device = getattr(torch, self.dtype), torch.device(self.device)
        return Subject(self.problem, self.implementation, point, dtype, device, direction)


@dataclass(frozen=True)
class Task:
    """One check of the battery."""

    name: str
    probe: Probe
    direction: Direction
    check: Callable[[Subject, Probe, Examinee], Agreement]

    @property
    def title(self) -> str:
        """Name the probe with its direction."""
        return f"{self.name}, {self.direction}"


def tasks(problem: Problem, *, quick: bool = False, only: str = "") -> list[Task]:
    """List one call of every probe and direction, then many calls, then calls that might disturb each other.

    `only` keeps those whose title contains it.
    """
    listed = [
        Task(probe.name, probe, direction, _scattered if probe.scatters else _single)
        for probe in problem.PROBES
        if probe.quick or not quick
        for direction in (DIRECTIONS[:1] if probe.spoils_row or probe.scatters else DIRECTIONS)
    ]
    listed.append(Task("repeated calls", problem.REPEATED, "forward", _repeated))
    listed.append(Task("fresh outputs", problem.REPEATED, "forward", _fresh))
    return [task for task in listed if only in task.title]


def unanswered(examinee: Examinee, task: Task, *, status: Status, reason: str) -> ProbeOutcome:
    """Return the outcome of a task that gave no agreement."""
    return ProbeOutcome(
        implementation=examinee.implementation.name,
        probe=task.name,
        dtype=examinee.dtype,
        device=examinee.device,
        direction=task.direction,
        seed=examinee.seed,
        status=status,
        reason=reason,
    )


def run(examinee: Examinee, task: Task) -> ProbeOutcome:
    """Do one task. Exceptions of the implementation propagate."""
    try:
        point = examinee.problem.parse({**task.probe.point, **examinee.implementation.fixes})
    except ValueError as error:
        if not examinee.implementation.fixes:
            raise
        # What computes one of several answers takes the points that have this answer.
        return unanswered(examinee, task, status="unsupported", reason=str(error))
    subject = examinee.at(point, direction=task.direction)
    lacks = unsupported(subject, needs=task.probe.needs)
    if task.probe.spoils_row and examinee.implementation.approximate:
        lacks = "no NaN asked of approximate kernels"
    lacks = lacks or known_fault(subject, task)
    if lacks:
        return unanswered(examinee, task, status="unsupported", reason=lacks)
    agreement = task.check(subject, task.probe, examinee)
    outcome = unanswered(examinee, task, status="ok", reason="").model_copy(update={"agreement": agreement})
    if agreement.passed:
        return outcome
    return outcome.model_copy(update={"status": "disagreed", "reason": describe(agreement)})


def known_fault(subject: Subject, task: Task) -> str:
    """Say on what of a task an implementation is known to be wrong; empty if on nothing."""
    limits = subject.implementation.limits_on(subject.device.type)
    kinds = [task.probe.kind, *([f"{task.probe.upstream} gradient"] if task.direction == "backward" else [])]
    known = [kind for kind in kinds if limits is not None and kind in limits.faults]
    return f"known to be wrong on {known[0]}: {limits.faults[known[0]]}" if limits is not None and known else ""


def unsupported(subject: Subject, *, needs: frozenset[str] = frozenset()) -> str:
    """Say what of its point an implementation lacks; empty if it runs there."""
    limits = subject.implementation.limits_on(subject.device.type)
    dtype = str(subject.dtype).removeprefix("torch.")
    if limits is None or dtype not in limits.dtypes:
        return f"no {dtype} on {subject.device}"
    missing = (subject.problem.features(subject.point, direction=subject.direction) | needs) - limits.supports
    return f"no {', '.join(sorted(missing))}" if missing else ""


def _single(subject: Subject, probe: Probe, examinee: Examinee) -> Agreement:
    """Check one call."""
    if probe.spoils_row:
        return agree_but_for_spoiled_rows(
            subject, seed=examinee.seed, policy=examinee.policy, kind=probe.kind, known=examinee.known
        )
    return agree(
        subject,
        seed=examinee.seed,
        policy=examinee.policy,
        kind=probe.kind,
        known=examinee.known,
        upstream=probe.upstream,
    )


def _repeated(subject: Subject, probe: Probe, examinee: Examinee) -> Agreement:
    """Check many calls, each on inputs drawn anew; return the first that disagrees, else the worst."""
    agreements, known = [], examinee.known or Known()
    for number in range(REPEATED_CALLS):
        agreements.append(
            agree(
                subject,
                seed=examinee.seed + number % REPEATED_INPUTS,
                policy=examinee.policy,
                kind=probe.kind,
                known=known,
            )
        )
        if not agreements[-1].passed:
            return _in_call(agreements[-1], number + 1)
    return max(agreements, key=_severity)


def _severity(agreement: Agreement) -> float:
    """Rank agreements by their largest error against its budget, approximate ones by what they lose."""
    return agreement.approximation.relative_l1 if agreement.approximation else agreement.ratio or 0.0


def _scattered(subject: Subject, probe: Probe, examinee: Examinee) -> Agreement:
    """Check how far many calls on the same inputs are from their mean."""
    inputs = subject.inputs(seed=examinee.seed, kind=probe.kind)
    rows = subject.problem.sample_rows(subject.point, count=examinee.policy.rows, seed=examinee.seed)
    results = []
    for _ in range(SCATTERED_CALLS):
        answer = call(subject, inputs, rows=rows, seed=examinee.seed)
        mistakes = contract_mistakes(subject, answer)
        if mistakes:
            return Agreement(passed=False, checks=[contract_check(mistakes)], rows_checked=0)
        axis = subject.problem.outputs(subject.point)[0].row_axis
        results.append(torch.Tensor.detach(answer.outputs[0]).index_select(axis, rows.to(subject.device)).cpu())
    (witness, *_) = subject.problem.witness(inputs, rows)
    assert witness.scatter is not None
    deviations = (torch.stack(results).double() - witness.oracle).square().sum(-1)
    found = scatter.check(deviations, witness.scatter)
    return Agreement(passed=found.passed, checks=[contract_check([]), found], rows_checked=len(rows))


def _in_call(agreement: Agreement, call: int) -> Agreement:
    checks = [
        check if check.passed else check.model_copy(update={"detail": f"in call {call}: {check.detail}"})
        for check in agreement.checks
    ]
    return agreement.model_copy(update={"checks": checks})


def _fresh(subject: Subject, probe: Probe, examinee: Examinee) -> Agreement:
    """Check that a later call leaves an earlier output alone, and that the same inputs give the same bits."""
    with torch.no_grad(), subject.implementation.entered():
        call, other = (
            subject.bind(subject.inputs(seed=seed, kind=probe.kind)) for seed in (examinee.seed, examinee.seed + 1)
        )
        first = _tensors(call())
        kept = [tensor.clone() for tensor in first]
        later = _tensors(other())
        changed = [
            f"output {position} was changed by a later call"
            for position, (a, b) in enumerate(zip(first, kept, strict=True))
            if not torch.equal(a, b)
        ]
        again = _tensors(call())
    shared = [
        f"output {position} shares memory with an earlier one"
        for position, three in enumerate(zip(first, later, again, strict=True))
        if len({tensor.untyped_storage().data_ptr() for tensor in three}) < len(three)
    ]
    moved = [
        f"output {position} differs between two calls with the same inputs"
        for position, (a, b) in enumerate(zip(kept, again, strict=True))
        if subject.implementation.deterministic and not torch.equal(a, b)
    ]
    checks = [
        Check(name=name, error=None, budget=None, ratio=None, passed=not mistakes, detail="; ".join(mistakes))
        for name, mistakes in (("fresh output", shared + changed), ("deterministic", moved))
    ]
    return Agreement(passed=all(check.passed for check in checks), checks=checks)


def _tensors(result: Any) -> list[torch.Tensor]:
    values = list(result) if type(result) in (tuple, list) else [result]
    wrong = [type(value).__name__ for value in values if type(value) is not torch.Tensor]
    if wrong:
        raise TypeError(f"returned {', '.join(wrong)}, not torch.Tensor")
    # Through the class, so that nothing set on the result itself answers for it.
    return [torch.Tensor.detach(value) for value in values]
