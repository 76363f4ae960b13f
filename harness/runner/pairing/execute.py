"""Two sides measured together: the steps of a run for each, rounds in turn, under one lock on the device."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.results import journal
from harness.results.journal import Journal
from harness.results.pairs.pair_file import PAIR, PairFile
from harness.runner.busy import look_around, note_processes
from harness.runner.execute import create_directory, finish, lock_of, store_plan
from harness.runner.pairing.sides import names_of, patterns_of, plan_side, policy_for_pairs, supervisor_of, told
from harness.runner.pairing.turns import Pair, take_turns
from harness.runner.selection import TimeLimits
from harness.runner.state import begin
from harness.runner.steps.closing import close_skipped, recheck_and_close
from harness.runner.steps.fitting import fit_budget
from harness.runner.steps.machine import describe_machine, measure_ceilings_again
from harness.runner.steps.preparation import count_operations, prepare_cases
from harness.runner.supervisor import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.results.plan_file import Plan
    from harness.runner.execute import Finished
    from harness.runner.pairing.sides import Asked
    from harness.runner.progress import Progress
    from harness.runner.selection import Request
    from harness.runner.state import RunState
    from harness.runner.supervisor import Supervisor

NO_LIMITS = TimeLimits()


def each(step: Callable[[RunState], None]) -> Callable[[Pair], None]:
    """Return a step of a run as one that both sides take, the base first."""

    def both(pair: Pair) -> None:
        for state in pair.states:
            step(state)
        pair.level()

    return both


def of_base(step: Callable[[RunState], None]) -> Callable[[Pair], None]:
    """Return a step of a run as one that is about the machine, and is taken once."""
    return lambda pair: step(pair.base)


STEPS: tuple[Callable[[Pair], None], ...] = (
    each(close_skipped),
    each(describe_machine),
    of_base(look_around),
    each(fit_budget),
    each(prepare_cases),
    each(count_operations),
    take_turns,
    each(recheck_and_close),
    each(measure_ceilings_again),
)


def measure_pair(
    request: Request,
    sides: tuple[Asked, Asked],
    directory: Path,
    *,
    progress: Progress,
    limits: TimeLimits = NO_LIMITS,
) -> tuple[Finished, Finished]:
    """Measure what is asked for by both sides in turn, each into its folder of the directory; the base is first.

    Raises JournalError, SelectionError, WorkerError (NoSideError before anything was measured), OSError.
    """
    request = replace(request, policy=policy_for_pairs(request.policy, preset=request.preset))
    noted = note_processes()
    with ExitStack() as stack:
        lock = stack.enter_context(lock_of(request.device))
        heard = [told(progress, side) for side in sides]
        supervisors = [
            stack.enter_context(supervisor_of(request, side, progress=one))
            for side, one in zip(sides, heard, strict=True)
        ]
        started = journal.now()
        plans = _plans(request, sides, supervisors, heard)
        store_pair(plans, sides, directory, created=started)
        logs = [stack.enter_context(Journal(directory / side.name)) for side in sides]
        states = [
            begin(plan, log, directory / side.name, supervisor=supervisor, progress=one, limits=limits, started=started)
            for plan, log, side, supervisor, one in zip(plans, logs, sides, supervisors, heard, strict=True)
        ]
        for state in states:
            state.time.sides = len(states)
            state.watch.noted = noted
            state.warnings += [lock.problem] if lock.problem else []
        is_complete = _measure(Pair(*states))
        base, new = (finish(state, is_complete=is_complete) for state in states)
        return base, new


def _plans(
    request: Request, sides: Sequence[Asked], supervisors: Sequence[Supervisor], heard: Sequence[Progress]
) -> list[Plan]:
    """Plan both sides under one seed and policy, of the scenarios that this program has."""
    known = {side.name: names_of(side, supervisor) for side, supervisor in zip(sides, supervisors, strict=True)}
    own = patterns_of(request.selection.implementations, known)
    return [
        plan_side(
            replace(request, selection=replace(request.selection, implementations=own[side.name])),
            side,
            supervisor,
            progress=one,
        )
        for side, supervisor, one in zip(sides, supervisors, heard, strict=True)
    ]


def store_pair(plans: Sequence[Plan], sides: Sequence[Asked], directory: Path, *, created: str) -> None:
    """Make the folder with both run directories. Raises JournalError, SelectionError where a side can run nothing."""
    create_directory(directory)
    for plan, side in zip(plans, sides, strict=True):
        store_plan(plan, directory / side.name)
    files = {side.name: side.file for side in sides}
    pair = PairFile(created=created, command=plans[0].command, **files)
    journal.write_document(directory / PAIR, pair.model_dump(mode="json", by_alias=True))


def _measure(pair: Pair) -> bool:
    """Take both sides to their end; return False if the user ended it early, or no worker can be had any more.

    Raises WorkerError if nothing was timed until then.
    """
    try:
        for step in STEPS:
            step(pair)
    except KeyboardInterrupt:
        return False
    except WorkerError as error:
        if not all(state.timed for state in pair.states):
            raise
        for state in pair.states:
            state.warnings.append(f"The run ended early: {error}. What was measured until then is kept.")
        return False
    return True
