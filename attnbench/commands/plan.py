"""`attnbench plan`: what would run, at what cost, and what is skipped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attnbench.console import fail, listener, say, say_empty, say_json, warn
from attnbench.options import Cases, Place, Telling, grouped

if TYPE_CHECKING:
    from harness.results.plan_file import Plan


@grouped
def plan_command(cases: Cases, place: Place, telling: Telling) -> None:
    """Show the cases of scenarios with their operations, memory and time, and what will be skipped and why.

    Example: attnbench plan sequence-length -a n=4096,65536 --impl batched
    """
    from attnbench.reading import make_request
    from harness.runner.plan import make_plan
    from harness.runner.selection import EmptyShardError
    from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings

    shown = listener(telling)
    absent = absent_gpu(place.device)
    try:
        request = make_request(cases, place, device="cuda:0" if absent else None)
        settings = replace(WorkerSettings.of(request), modelled=bool(absent))
        with Supervisor(settings, progress=shown) as supervisor:
            plan = make_plan(request, supervisor, progress=shown)
    except EmptyShardError as empty:
        say_empty(str(empty), telling)
        return
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    if absent:
        warn(f"{absent}. The plan is for an {plan.device_name}, by its datasheet: nothing was measured")
    if telling.json:
        say_json(plan.model_dump(mode="json", by_alias=True))
    else:
        show(plan)
    if not any(case.skip is None for case in plan.cases):
        raise fail(f"no case can run here; {plan.cases[0].case.label}: {plan.cases[0].reason}")


def absent_gpu(wanted: str | None) -> str:
    """Say why a GPU that is asked for can't be used here, empty if it can or what is asked for is no GPU."""
    from harness.machine import devices

    if wanted is None or not wanted.startswith("cuda"):
        return ""
    try:
        devices.choose(wanted)
    except devices.AbsentError as error:
        return str(error)
    except devices.DeviceError:
        # Not a device's name: whoever makes the request says so.
        return ""
    return ""


def show(plan: Plan) -> None:
    """Print a line for each case of a plan and each point left out, then the sum and what a run of it takes.

    Where several scenarios are planned, a line before the cases of each names it.
    """
    from reports import units

    names = [scenario.name for scenario in plan.scenarios]
    shown = ""
    for case in plan.cases:
        if len(names) > 1 and case.case.scenario != shown:
            shown = case.case.scenario
            say(f"# {shown}")
        what = f"{case.skip}: {case.reason}" if case.skip else ""
        if case.predicted is not None:
            size = case.predicted.extra_bytes
            extra = f"{units.size(size)} extra" if size else "no extra memory"
            cost = f"{units.count(case.predicted.operations, 'FLOP')}, {extra}"
            what = f"{cost}, {units.seconds(case.predicted.seconds)}{'; ' + what if what else ''}"
        say(f"{case.case.label}: {what}")
    for point in plan.dropped:
        where = ",".join(f"{name}={value}" for name, value in point.point.items())
        say(f"{point.scenario} {where}: dropped, {point.reason}")
    for line in whole(plan):
        say(line)


def whole(plan: Plan) -> list[str]:
    """Return the lines that sum a plan up: how many cases run, and what a run of them takes of its budget."""
    from harness.runner import budget
    from reports import units

    running = [case for case in plan.cases if case.skip is None and case.predicted]
    total = sum(case.predicted.seconds for case in running if case.predicted)
    known = [budget.estimate(case, {}) for case in running]
    least = budget.least_seconds(known, device=plan.device, policy=plan.policy)
    allowed = budget.time_budget(plan.device, plan.policy.run)
    lines = [
        f"{len(plan.cases)} cases, {len(running)} to run; one call of each takes {units.seconds(total)} or so",
        f"a run of them takes about {_about(least)} or more; its time budget is {_about(allowed)}",
    ]
    if least > allowed:
        lines.append(
            "a run leaves out what that does not hold: further rounds first, then the dearest cases (--time-budget)"
        )
    return lines


def _about(seconds: float) -> str:
    """Write a time that is known roughly: 40 s, 9 min, 1.5 h."""
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
