"""What is asked for beside `--resume`, held against the stored plan: a run goes on as it was planned, or not at all."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.options import Effort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnbench.options import Cases, Devices, Place
    from harness.cluster.store import Store
    from harness.results.plan_file import Plan
    from harness.runner.selection import Request, TimeLimits


def check_resumed(directory: Path, request: Request, *, cases: Cases, place: Place, effort: Effort) -> None:
    """Refuse what was asked for and was not planned; options may be left out. Raises JournalError, SelectionError."""
    from harness.runner.execute import stored_plan

    plans = [stored_plan(directory)]
    _refuse(directory, [*_other_cases(plans, request, cases), *_other_ways(plans, request, place, effort)])


def check_swept(
    store: Store,
    request: Request,
    limits: TimeLimits,
    *,
    cases: Cases,
    place: Place,
    effort: Effort,
    devices: Devices,
) -> None:
    """Do the same for a sweep over several devices, whose orders hold their time limits too.

    Which workers measure what is missing is open, and with it the device. Raises JournalError, SelectionError.
    """
    orders = store.orders()
    plans, classes = [order.plan for order in orders if order.plan is not None], {order.on for order in orders}
    lacking = [
        *_other_cases(plans, request, cases),
        *_other_ways(plans, request, replace(place, device=None), effort),
        *_other_limits(store, limits, effort),
        *(f"--on {name}" for name in devices.classes if name not in classes),
    ]
    _refuse(store.directory, lacking)


def _refuse(directory: Path, lacking: Sequence[str]) -> None:
    from harness.runner.selection import SelectionError

    if lacking:
        raise SelectionError(
            f"{directory} was planned without {', '.join(lacking)}; --resume goes on with its plan: leave that out, "
            "or choose another -o"
        )


def _other_cases(plans: Sequence[Plan], request: Request, cases: Cases) -> list[str]:
    """Name the options that ask for cases which no plan has."""
    from harness.runner.selection import Keyword

    asked, planned = request.selection, [one.case for plan in plans for one in plan.cases]
    scenarios = {scenario.name for plan in plans for scenario in plan.scenarios}
    names = {case.implementation for case in planned}
    axes = [axis for plan in plans for scenario in plan.scenarios for axis in scenario.axes]
    files = {file for plan in plans for file in plan.impl_files}
    keyword = Keyword(asked.keyword)
    found = [f"scenario {one.name}" for one in request.scenarios if cases.scenarios and one.name not in scenarios]
    found += [f"--impl {pattern}" for pattern in asked.implementations if not fnmatch.filter(names, pattern)]
    found += [f"--impl-file {file}" for file in request.impl_files if str(Path(file).resolve()) not in files]
    found += [
        f"-a {name}={','.join(map(str, values))}"
        for name, values in asked.axes.items()
        if not any(axis.name == name and axis.values == values for axis in axes)
    ]
    for option, wanted, have in (
        ("--dtype", asked.dtypes, {case.dtype for case in planned}),
        ("--direction", asked.directions, {case.direction for case in planned}),
        ("--cache", asked.caches, {case.cache for case in planned}),
    ):
        found += [f"{option} {value}" for value in wanted if value not in have]
    found += [f"-k {asked.keyword!r}"] * (not all(keyword.matches(case.label) for case in planned))
    index, count = asked.shard
    is_part = any(plan.part is not None and plan.part.name == f"{index}/{count}" for plan in plans)
    return found + [f"--shard {index}/{count}"] * (count > 1 and not is_part)


def _other_ways(plans: Sequence[Plan], request: Request, place: Place, effort: Effort) -> list[str]:
    """Name the options that ask for other ways to measure than any plan's."""
    precisions = {plan.policy.timing.precision for plan in plans}
    usual = Effort()
    others = {
        f"--device {request.device}": place.device and request.device not in {plan.device for plan in plans},
        f"--threads {place.threads}": place.threads and place.threads not in {plan.threads for plan in plans},
        f"--{request.preset}": (effort.fast or effort.rigorous)
        and request.preset not in {plan.preset for plan in plans},
        f"--precision {effort.precision}": effort.precision and request.policy.timing.precision not in precisions,
        f"--allocator {effort.allocator}": effort.allocator != usual.allocator
        and all(plan.keep_memory for plan in plans),
        f"--baseline {effort.baseline}": effort.baseline and effort.baseline not in {plan.baseline for plan in plans},
        f"--seed {effort.seed}": effort.seed != usual.seed and effort.seed not in {plan.seed for plan in plans},
    }
    return [option for option, is_other in others.items() if is_other]


def _other_limits(store: Store, limits: TimeLimits, effort: Effort) -> list[str]:
    """Name the options of time that a sweep was not begun with."""
    fleet = store.fleet()
    if fleet is None or fleet.limits is None:
        return []
    begun = fleet.limits.time_limits()
    others = {
        f"--time-budget {effort.time_budget}": limits.budget not in {None, begun.budget},
        f"--timeout {effort.timeout}": limits.timeout not in {None, begun.timeout},
        "--sustain": limits.sustain > begun.sustain,
        "--fresh-memory": limits.fresh_memory > begun.fresh_memory,
        f"--ceilings {effort.ceilings}": limits.fresh_ceilings > begun.fresh_ceilings,
    }
    return [option for option, is_other in others.items() if is_other]
