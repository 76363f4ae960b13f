"""Which case of a plan is taken apart, what its worker says of it, and the machine's ceilings beside that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.profiled import ProfileDocument
from harness.protocol.messages import Failed, MeasureEnvironment, ProfileCase, Refused
from harness.records import SCHEMA
from harness.runner.profiling.bounds import bound
from harness.runner.selection import SelectionError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.records import PlannedCase
    from harness.results.plan_file import Plan
    from harness.runner.supervisor import Supervisor

# Calls may take this long by themselves, and the machine's ceilings that long.
CALL_SECONDS, CEILING_SECONDS = 2.0, 1.0
# Before a case counts as hanging: the gate, warm-up, and three rows of calls, some of them with each operator noted.
TIMEOUT_AT_LEAST, TIMEOUT_CALLS = 120.0, 200.0
# Of several cases that match, so many are named.
CASES_NAMED = 4


def choose(plan: Plan, *, identity: str = "") -> PlannedCase:
    """Return the one case of a plan that can run, by its id if one is given. Raises SelectionError."""
    wanted = [planned for planned in plan.cases if identity in {"", planned.case.id}]
    if not wanted:
        raise SelectionError(f"no case {identity!r} in it")
    running = [planned for planned in wanted if planned.skip is None]
    if not running:
        raise SelectionError(f"no case can run here; {wanted[0].case.label}: {wanted[0].reason}")
    if len(running) > 1:
        named = "; ".join(planned.case.label for planned in running[:CASES_NAMED])
        more = "" if len(running) <= CASES_NAMED else f"; and {len(running) - CASES_NAMED} more"
        raise SelectionError(
            f"one case is profiled, and {len(running)} match: {named}{more}. Narrow them down: --impl, -a, --dtype, -k"
        )
    return running[0]


def profile(
    supervisor: Supervisor, planned: PlannedCase, *, seed: int, trace: Path, is_bare: bool = False
) -> ProfileDocument | Refused | Failed:
    """Take one call of a case apart, and say what bounds it; a case that disagrees is refused."""
    case = planned.case
    request = ProfileCase(case=case, seed=seed, seconds=CALL_SECONDS, trace=str(trace), bare=is_bare)
    expected = planned.predicted.seconds if planned.predicted else 0.0
    answer = supervisor.ask(request, seconds=TIMEOUT_AT_LEAST + TIMEOUT_CALLS * expected)
    if isinstance(answer, Refused | Failed):
        return answer
    ceilings = []
    if not is_bare:
        wanted = MeasureEnvironment(dtypes=[case.dtype], seconds=CEILING_SECONDS)
        ceilings = supervisor.require(wanted).environment.ceilings
    return ProfileDocument(
        profile=answer.found, bound=bound(answer.found, ceilings), ceilings=ceilings, commands=[], schema=SCHEMA
    )
