"""What is asked for beside `--resume`, held against the stored plan: a run goes on as it was planned, or not at all."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.options import Effort

if TYPE_CHECKING:
    from attnbench.options import Cases, Place
    from harness.results.plan_file import Plan
    from harness.runner.selection import Request


def check_resumed(directory: Path, request: Request, *, cases: Cases, place: Place, effort: Effort) -> None:
    """Refuse what was asked for and was not planned; options may be left out. Raises JournalError, SelectionError."""
    from harness.runner.execute import stored_plan
    from harness.runner.selection import SelectionError

    plan = stored_plan(directory)
    lacking = [*_other_cases(plan, request, cases), *_other_ways(plan, request, place, effort)]
    if lacking:
        raise SelectionError(
            f"{directory} was planned without {', '.join(lacking)}; --resume goes on with its plan: leave that out, "
            "or choose another -o"
        )


def _other_cases(plan: Plan, request: Request, cases: Cases) -> list[str]:
    """Name the options that ask for cases which the plan hasn't."""
    from harness.runner.selection import Keyword

    asked, planned = request.selection, [one.case for one in plan.cases]
    scenarios = {scenario.name for scenario in plan.scenarios}
    names = {case.implementation for case in planned}
    axes = [axis for scenario in plan.scenarios for axis in scenario.axes]
    keyword = Keyword(asked.keyword)
    found = [f"scenario {one.name}" for one in request.scenarios if cases.scenarios and one.name not in scenarios]
    found += [f"--impl {pattern}" for pattern in asked.implementations if not fnmatch.filter(names, pattern)]
    found += [f"--impl-file {file}" for file in request.impl_files if str(Path(file).resolve()) not in plan.impl_files]
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
    is_part = plan.part is not None and plan.part.name == f"{index}/{count}"
    return found + [f"--shard {index}/{count}"] * (count > 1 and not is_part)


def _other_ways(plan: Plan, request: Request, place: Place, effort: Effort) -> list[str]:
    """Name the options that ask for other ways to measure than the plan's."""
    precision = (request.policy.timing.precision, plan.policy.timing.precision)
    others = {
        f"--device {request.device}": place.device is not None and request.device != plan.device,
        f"--threads {place.threads}": place.threads is not None and place.threads != plan.threads,
        f"--{request.preset}": (effort.fast or effort.rigorous) and request.preset != plan.preset,
        f"--precision {effort.precision}": effort.precision is not None and precision[0] != precision[1],
        f"--allocator {effort.allocator}": effort.allocator != Effort().allocator and plan.keep_memory,
        f"--baseline {effort.baseline}": effort.baseline is not None and effort.baseline != plan.baseline,
        f"--seed {effort.seed}": effort.seed != Effort().seed and effort.seed != plan.seed,
    }
    return [option for option, is_other in others.items() if is_other]
