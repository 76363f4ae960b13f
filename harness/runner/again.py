"""Measuring some cases of a run once more, where its machine and its code are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.machine.host import Facts, host_stable
from harness.protocol.messages import Describe
from harness.results import journal
from harness.results.plan_file import digest_key
from harness.results.run import read_run
from harness.runner.execute import execute
from harness.runner.plan import code_fingerprint, digests_of
from harness.runner.supervisor import Supervisor, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from harness.results.plan_file import Plan
    from harness.results.run import Run
    from harness.runner.progress import Progress


class NotAtHandError(ValueError):
    """The machine or the code of a run is not at hand; the message says what differs."""


def measure_again(run: Run, cases: Collection[str], directory: Path, *, progress: Progress) -> Run:
    """Measure the cases with these ids once more as the run did, into a new directory, and read that.

    Raises NotAtHandError where they would be measured on another machine or of other code, and what `execute` does.
    """
    plan = run.plan
    if plan is None:
        raise NotAtHandError(f"{run.label} has no plan to measure by")
    if plan.interpreter:
        raise NotAtHandError("it is a side of `attnbench ab`; measure both again")
    _check_machine(run)
    _check_code(plan)
    chosen = [planned for planned in plan.cases if planned.case.id in cases]
    _check_sources(
        plan, {digest_key(planned.case.problem, planned.case.implementation) for planned in chosen}, progress
    )
    scenarios = {name for planned in chosen for name in (planned.case.scenario, *planned.case.also)}
    again = plan.model_copy(
        update={
            "created": journal.now(),
            "cases": chosen,
            "scenarios": [scenario for scenario in plan.scenarios if scenario.name in scenarios],
        }
    )
    execute(again, directory, progress=progress)
    return read_run(directory)


def _check_machine(run: Run) -> None:
    here = Facts()
    host_stable(here)
    known = run.environment.stable if run.environment else {}
    other = [name for name, value in here.values.items() if name in known and known[name] != value]
    if other or not known:
        raise NotAtHandError(f"its machine is another: {', '.join(other) or 'no environment was recorded'}")


def _check_code(plan: Plan) -> None:
    other = [name for name, value in code_fingerprint().items() if plan.fingerprint.get(name) != value]
    if other:
        raise NotAtHandError(f"the code is not that of the run: {', '.join(other)} changed")


def _check_sources(plan: Plan, keys: Collection[str], progress: Progress) -> None:
    with Supervisor(WorkerSettings.of(plan), progress=progress) as supervisor:
        known = digests_of(supervisor.require(Describe()))
    other = [key for key in sorted(keys) if plan.digests.get(key, "") != known.get(key, "")]
    if other:
        raise NotAtHandError(f"the source of {', '.join(other)} is not that of the run")
