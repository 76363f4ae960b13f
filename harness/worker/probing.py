"""Agreement alone: the probes of a problem's battery, listed and run one by one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harness.gate import battery
from harness.protocol.messages import ListedProbe, ListProbes, Probed, ProbesListed, RunProbe
from impls import registry

if TYPE_CHECKING:
    from harness.worker.workbench import Workbench


@functools.cache
def _tasks(problem: str, *, quick: bool, only: str) -> tuple[battery.Task, ...]:
    """List a problem's battery once a process: each probe is asked for by its place in the list."""
    return tuple(battery.tasks(registry.problem(problem), quick=quick, only=only))


def list_probes(_: Workbench, request: ListProbes) -> ProbesListed:
    """List a problem's battery."""
    tasks = _tasks(request.problem, quick=request.quick, only=request.only)
    return ProbesListed(
        probes=[ListedProbe(probe=task.name, direction=task.direction, length=task.probe.length) for task in tasks]
    )


def run_probe(bench: Workbench, request: RunProbe) -> Probed:
    """Run one probe of the battery for one implementation."""
    problem = registry.problem(request.problem)
    examinee = battery.Examinee(
        problem=problem,
        implementation=registry.get(request.problem, request.implementation),
        dtype=request.dtype,
        device=str(bench.device),
        policy=bench.policy.gate,
        seed=request.seed,
        known=bench.known,
    )
    task = _tasks(request.problem, quick=request.quick, only=request.only)[request.index]
    bench.announce(task.title)
    return Probed(outcome=battery.run(examinee, task))
