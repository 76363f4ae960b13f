"""The battery: every adversarial probe of a problem, held against the oracle for one implementation."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.agreement import agree
from harness.records import Agreement, Check, Direction, Fact, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.policy import GatePolicy
    from impls.registry import Implementation, Probe, Problem

# An error in every hundredth call is met by 128 calls.
REPEATED_CALLS = 128
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")


class Outcome(Fact):
    """What one probe showed. `reason` tells of an exception, of what is unsupported, or of what disagreed."""

    implementation: str
    probe: str
    dtype: str
    device: str
    direction: Direction
    seed: int
    status: Status
    reason: str = ""
    agreement: Agreement | None = None

    @property
    def title(self) -> str:
        """Name the probe with its direction."""
        return f"{self.probe}, {self.direction}"


@dataclass(frozen=True)
class Subject:
    """An implementation in one setting, and what of the battery is asked of it.

    `only` keeps probes whose title contains it. `announce` hears of each check before it starts, as an outcome that
    says it crashed: what stands where the process dies of it.
    """

    problem: Problem
    implementation: Implementation
    dtype: str
    device: str
    policy: GatePolicy
    quick: bool = False
    seed: int = 0
    only: str = ""
    announce: Callable[[Outcome], None] | None = None

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


def examine(subject: Subject) -> Iterator[Outcome]:
    """Yield the outcome of every probe: one call each, then many calls, then calls that might disturb each other."""
    tiny = subject.problem.REPEATED
    tasks: list[tuple[str, Probe, Direction, Callable[[Subject, Any, Probe, Direction], Agreement]]] = [
        (probe.name, probe, direction, _single)
        for probe in subject.problem.PROBES
        if probe.quick or not subject.quick
        for direction in DIRECTIONS
    ]
    tasks += [("repeated calls", tiny, "forward", _repeated), ("fresh outputs", tiny, "forward", _fresh)]
    for name, probe, direction, check in tasks:
        outcome = Outcome(
            implementation=subject.implementation.name,
            probe=name,
            dtype=subject.dtype,
            device=subject.device,
            direction=direction,
            seed=subject.seed,
            status="crashed",
            reason="the process died",
        )
        if subject.only not in outcome.title:
            continue
        point = subject.problem.parse(probe.point)
        lacks = subject.unsupported(point, direction=direction)
        if lacks:
            yield outcome.model_copy(update={"status": "unsupported", "reason": lacks})
            continue
        if subject.announce is not None:
            subject.announce(outcome)
        yield _outcome(outcome, functools.partial(check, subject, point, probe, direction))


def _outcome(started: Outcome, check: Callable[[], Agreement]) -> Outcome:
    """Run a check; whatever an implementation raises becomes the reason here."""
    try:
        agreement = check()
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001
        lines = str(error).strip().splitlines()
        return started.model_copy(update={"reason": f"{type(error).__name__}: {lines[0] if lines else ''}"})
    return started.model_copy(
        update={
            "status": "ok" if agreement.passed else "disagreed",
            "reason": "" if agreement.passed else failure(agreement),
            "agreement": agreement,
        }
    )


def failure(agreement: Agreement) -> str:
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
