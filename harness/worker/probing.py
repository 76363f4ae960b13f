"""Agreement alone: the probes of a problem's battery, listed and run one by one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harness.gate import battery
from harness.gate.few_shapes import on_few_shapes, shapes_of
from harness.protocol.messages import ListedProbe, ListProbes, Probed, ProbesListed, RunProbe
from impls import registry

if TYPE_CHECKING:
    from harness.protocol.messages import Shapes
    from harness.worker.workbench import Workbench


@functools.cache
def _tasks(
    problem: str, *, quick: bool, only: str, shapes: Shapes, supports: frozenset[str]
) -> tuple[battery.Task, ...]:
    """List a problem's battery once a process: each probe is asked for by its place in the list."""
    tasks = battery.tasks(registry.problem(problem), quick=quick, only=only)
    if shapes != "all":
        tasks = on_few_shapes(tasks, registry.problem(problem), supports=supports, layouts=shapes == "few")
    return tuple(tasks)


def _asked(bench: Workbench, request: ListProbes | RunProbe) -> tuple[battery.Task, ...]:
    limits = None
    if request.shapes != "all":
        limits = registry.get(request.problem, request.implementation).limits_on(bench.device.type)
    supports = limits.supports if limits else frozenset()
    return _tasks(request.problem, quick=request.quick, only=request.only, shapes=request.shapes, supports=supports)


def list_probes(bench: Workbench, request: ListProbes) -> ProbesListed:
    """List a problem's battery."""
    tasks = _asked(bench, request)
    return ProbesListed(
        probes=[ListedProbe(probe=task.name, direction=task.direction, length=task.probe.length) for task in tasks],
        points=shapes_of(tasks),
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
    task = _asked(bench, request)[request.index]
    bench.announce(task.title)
    return Probed(outcome=battery.run(examinee, task))
