"""A battery on few shapes, for what compiles a kernel for each: together they have what single probes are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from harness.gate.battery import Task
    from impls.contract import Problem

# Lengths beyond it take more than one block of nearly any kernel.
LONG = 128


def on_few_shapes(
    tasks: Sequence[Task], problem: Problem, *, supports: Collection[str], layouts: bool = True
) -> list[Task]:
    """Keep the tasks at the fewest points that have, between them, each facet of all tasks that are supported.

    At a point that is kept all of its tasks are, as values change no kernel. Points are taken by how many facets they
    add, the one with the most tasks first. Without `layouts` what kinds and gradients lie like is no facet.
    """
    told: Callable[[Task], frozenset[str]] = _all_facets if layouts else _facets
    facets: dict[str, set[str]] = {}
    at: dict[str, list[Task]] = {}
    for task in tasks:
        point = problem.parse(task.probe.point)
        features = problem.features(point, direction=task.direction) | task.probe.needs
        if features <= frozenset(supports):
            shape = _shape(task)
            at.setdefault(shape, []).append(task)
            facets.setdefault(shape, set()).update(features, told(task))
    if not at:
        return list(tasks)
    kept = [max(at, key=lambda shape: len(at[shape]))]
    missing = set().union(*facets.values()) - facets[kept[0]]
    while missing:
        best = max(
            facets, key=lambda shape: (len(facets[shape] & missing), sum(task.probe.quick for task in at[shape]))
        )
        kept.append(best)
        missing -= facets[best]
    return [task for task in tasks if _shape(task) in kept]


def shapes_of(tasks: Sequence[Task]) -> int:
    """Count the points that tasks are at."""
    return len({_shape(task) for task in tasks})


def _shape(task: Task) -> str:
    return repr(sorted(task.probe.point.items()))


def _facets(task: Task) -> frozenset[str]:
    """Say what of a point, and of how often it is called, tells a task from others."""
    point = task.probe.point
    found = {_facet(name, value) for name, value in point.items()} - {""}
    n_q, n_k = (point.get(name, point.get("n")) for name in ("n_q", "n_k"))
    if n_q is not None and n_k is not None and n_q != n_k:
        found.add("one query" if n_q == 1 else "fewer queries" if n_q < n_k else "more queries")
    if task.probe.length > LONG:
        found.add("long")
    return frozenset(found)


def _facet(name: str, value: Any) -> str:
    """Say what a value of an axis is an instance of: of numbers, that there are several, or that it is set at all."""
    match value:
        case None | False:
            return ""
        case str():
            return f"{name} {value}"
        case int() if not isinstance(value, bool):
            return f"several {name}" if value > 1 else ""
        case _:
            return name


def _all_facets(task: Task) -> frozenset[str]:
    """Say also what tensors hold and how they and the gradient handed in lie, and which check it is."""
    kinds = [*task.probe.kind.split(", "), f"{task.probe.upstream} gradient", task.check.__name__]
    return _facets(task) | frozenset(kinds)
