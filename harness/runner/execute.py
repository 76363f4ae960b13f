"""A run from its plan to its verdicts: the steps in order, under a lock on the device."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.machine import devices
from harness.protocol.messages import Describe
from harness.results import device_lock, journal
from harness.results.device_lock import DeviceLock
from harness.results.documents import JournalError
from harness.results.journal import Journal
from harness.results.plan_file import digest_key
from harness.runner.busy import Noted, look_around, note_processes
from harness.runner.plan import code_fingerprint, digests_of, make_plan
from harness.runner.selection import SelectionError, TimeLimits
from harness.runner.state import begin, degrees_key
from harness.runner.steps.closing import close_skipped, recheck_and_close
from harness.runner.steps.fitting import fit_budget
from harness.runner.steps.fresh_memory import compare_fresh_memory
from harness.runner.steps.machine import describe_machine, measure_ceilings_again
from harness.runner.steps.preparation import count_operations, prepare_cases
from harness.runner.steps.rounds import take_rounds
from harness.runner.steps.sustained import load_for_long
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.records import Record, Status
    from harness.results.plan_file import Plan
    from harness.results.summary_file import Summary
    from harness.results.verdicts_file import Verdicts
    from harness.runner.progress import Progress
    from harness.runner.selection import Request
    from harness.runner.state import RunState

STEPS = (
    close_skipped,
    describe_machine,
    look_around,
    fit_budget,
    prepare_cases,
    count_operations,
    take_rounds,
    load_for_long,
    compare_fresh_memory,
    recheck_and_close,
    measure_ceilings_again,
)
# The exit code that statuses of cases give, the first that applies.
EXIT_CODES: tuple[tuple[int, frozenset[Status]], ...] = (
    (3, frozenset({"disagreed", "fallback", "invalid"})),
    (4, frozenset({"crashed", "timeout", "oom"})),
)
NO_LIMITS = TimeLimits()
# Where it is switched on, Triton runs kernels in its interpreter, on a CPU; these are the words it takes for yes.
INTERPRETER = "TRITON_INTERPRET"
SWITCHED_ON = frozenset({"1", "true", "yes", "on", "y"})


class ForeignCodeError(ValueError):
    """A plan was made by other code, or for other kernels, than there are here."""


@dataclass(frozen=True)
class Finished:
    """What a run found. `records` has provisional ones of cases that an interrupted run left open.

    There are no verdicts if nothing was timed.
    """

    plan: Plan
    records: list[Record]
    verdicts: Verdicts | None
    summary: Summary

    @property
    def is_interrupted(self) -> bool:
        """Tell whether the user ended the run early."""
        return not self.summary.complete


def exit_code(records: Sequence[Record]) -> int:
    """Return 3 if an implementation disagreed, fell back or was implausibly fast, 4 if cases failed, else 0."""
    seen = {record.status for record in records}
    return next((code for code, statuses in EXIT_CODES if seen & statuses), 0)


def refuse_interpreter(environment: Mapping[str, str]) -> None:
    """Refuse to time kernels that Triton would interpret. Raises SelectionError."""
    if environment.get(INTERPRETER, "").lower() in SWITCHED_ON:
        raise SelectionError(
            f"{INTERPRETER} is set: Triton's interpreter shows whether a kernel is right (attnbench check), not how "
            "long it takes; unset it to run"
        )


@dataclass(frozen=True)
class _Ready:
    """A device that is held with a worker for it, since when, and what other processes had used before."""

    supervisor: Supervisor
    lock: DeviceLock
    noted: Noted
    started: str


@contextmanager
def _ready(device: str, supervisor: Supervisor) -> Iterator[_Ready]:
    """Hold a device, with a worker for it. Raises SelectionError where Triton would interpret, DeviceHeldError."""
    refuse_interpreter(os.environ)
    noted = note_processes()
    with lock_of(device) as lock, supervisor:
        yield _Ready(supervisor, lock, noted, journal.now())


def plan_and_execute(
    request: Request, directory: Path, *, progress: Progress, limits: TimeLimits = NO_LIMITS
) -> Finished:
    """Plan a new run and take it to its end, with one worker and under one lock.

    Raises JournalError, SelectionError, WorkerError, OSError for what the user must mend.
    """
    with _ready(request.device, Supervisor(WorkerSettings.of(request), progress=progress)) as ready:
        plan = make_plan(request, ready.supervisor, progress=progress)
        store_plan(plan, directory)
        return _take(plan, directory, ready, progress=progress, limits=limits)


def execute(plan: Plan, directory: Path, *, progress: Progress, limits: TimeLimits = NO_LIMITS) -> Finished:
    """Take a plan to its end; a directory that holds this plan already is gone on with.

    Raises JournalError, SelectionError, WorkerError, OSError for what the user must mend.
    """
    with _ready(plan.device, Supervisor(WorkerSettings.of(plan), progress=progress)) as ready:
        if journal.read_plan(directory) == plan:
            check_code(plan, directory)
            progress.resumed(str(directory / journal.PLAN))
            plan = replace_changed(plan, directory, supervisor=ready.supervisor, progress=progress)
            finished = _finished(plan, directory)
            if finished is not None:
                progress.nothing_left(str(directory))
                return finished
        else:
            store_plan(plan, directory)
        return _take(plan, directory, ready, progress=progress, limits=limits)


def take_over(
    plan: Plan,
    directory: Path,
    *,
    progress: Progress,
    limits: TimeLimits = NO_LIMITS,
    supervisor: Supervisor | None = None,
) -> Finished:
    """Take a plan that another process made, with our code and kernels, to its end in a new directory.

    `supervisor` may have a worker already, of the plan's settings.
    Raises ForeignCodeError where ours are others, and what `execute` raises.
    """
    changed = changed_code(plan)
    if changed:
        raise ForeignCodeError(f"{', '.join(changed)} differs")
    with _ready(plan.device, supervisor or Supervisor(WorkerSettings.of(plan), progress=progress)) as ready:
        known = digests_of(ready.supervisor.require(Describe()))
        other = sorted(key for key, digest in plan.digests.items() if known.get(key) != digest)
        if other:
            raise ForeignCodeError(
                f"the source of {other[0]} differs{f', and {len(other) - 1} more' * bool(other[1:])}"
            )
        store_plan(plan, directory)
        return _take(plan, directory, ready, progress=progress, limits=limits)


def _finished(plan: Plan, directory: Path) -> Finished | None:
    """Return what a run found that was taken to its end and judged; None for any other, or where a file is damaged."""
    try:
        records = journal.read(directory).records
        summary, verdicts = journal.read_summary(directory), journal.read_verdicts(directory)
    except ValueError:
        # What can't be read is written anew.
        return None
    is_judged = verdicts is not None or not any(record.time for record in records.values())
    if summary is None or not summary.complete or not is_judged or any(p.case.id not in records for p in plan.cases):
        return None
    return Finished(plan=plan, records=list(records.values()), verdicts=verdicts, summary=summary)


def _take(plan: Plan, directory: Path, ready: _Ready, *, progress: Progress, limits: TimeLimits) -> Finished:
    with Journal(directory) as log:
        state = begin(
            plan,
            log,
            directory,
            supervisor=ready.supervisor,
            progress=progress,
            limits=limits,
            started=ready.started,
        )
        state.warnings += [ready.lock.problem] if ready.lock.problem else []
        state.watch.noted = ready.noted
        return finish(state, is_complete=_measure(state))


def finish(state: RunState, *, is_complete: bool) -> Finished:
    """Write the summary of a run and judge its claims, by what was measured of it."""
    state.warnings += state.watch.warning() + state.quota.warning()
    summary = state.summary(is_complete=is_complete)
    journal.write_document(state.directory / journal.SUMMARY, summary.model_dump(mode="json", by_alias=True))
    records = state.records()
    return Finished(plan=state.plan, records=records, verdicts=_judge(state, records), summary=summary)


def _measure(state: RunState, *, steps: Sequence[Callable[[RunState], None]] = STEPS) -> bool:
    """Take the plan to its end, without repeating what the journal holds; return False if it is left unfinished.

    That is if the user interrupts, or if no worker can be had any more after cases were measured: what there is then
    makes a report. Raises WorkerError if there is nothing yet.
    """
    try:
        for step in steps:
            step(state)
    except KeyboardInterrupt:
        state.progress.interrupted()
        return False
    except WorkerError as error:
        if not (state.prepared or state.timed):
            raise
        state.warnings.append(f"The run ended early: {error}. What was measured until then is kept.")
        state.progress.interrupted()
        return False
    return True


def _judge(state: RunState, records: list[Record]) -> Verdicts | None:
    """Judge the claims of the run's scenarios by its records and counts, and store the verdicts."""
    # Brings scipy, which a run needs at its end only.
    from harness.verdicts import judging

    if not state.timed:
        return None
    state.progress.judging()
    own = [record for record in records if record.case.id != state.plan.guest]
    verdicts = judging.judge_claims(
        own, state.plan.scenarios, list(state.degrees.values()), policy=state.policy.scaling
    )
    journal.write_document(state.directory / journal.VERDICTS, verdicts.model_dump(mode="json", by_alias=True))
    return verdicts


def lock_of(device: str) -> DeviceLock:
    """Return the lock that keeps other runs off a device. Raises DeviceHeldError on entering.

    A GPU is everybody's on a machine, so its lock lies where every user sees it. On a CPU runs exclude each other where
    they share a core.
    """
    shared, own = device_lock.folders()
    folder = shared if device.startswith("cuda") else own
    return DeviceLock(devices.lockable(device), folder=folder, name=devices.held_name(device))


def store_plan(plan: Plan, directory: Path) -> None:
    """Make the run directory with its plan. Raises SelectionError if no case of it can run, JournalError.

    The part of a larger plan may have none that can run here: its records say why.
    """
    skipped = [planned for planned in plan.cases if planned.skip]
    if len(skipped) == len(plan.cases) and plan.part is None:
        raise SelectionError(f"no case can run here; {skipped[0].case.label}: {skipped[0].reason}")
    create_directory(directory)
    journal.write_document(directory / journal.PLAN, plan.model_dump(mode="json", by_alias=True))


def create_directory(directory: Path) -> None:
    """Make the run directory. Raises JournalError if it can't be made or holds a run already."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / journal.PLAN).exists() or (directory / journal.JOURNAL).exists():
            raise JournalError(f"{directory} holds a run already: choose another -o, or continue it with --resume")
        if not os.access(directory, os.W_OK):
            raise JournalError(f"{directory} can't be written to")
    except (FileExistsError, NotADirectoryError):
        raise JournalError(f"{directory} is not a directory") from None
    except OSError as error:
        raise JournalError(f"{directory} can't be made: {error.strerror}") from None


def stored_plan(directory: Path) -> Plan:
    """Read the plan of a run to go on with. Raises JournalError without one, and for what is merged of parts."""
    if (directory / journal.MERGED).exists():
        raise JournalError(f"{directory} is merged of parts: resume the part that lacks something, and merge anew")
    plan = journal.read_plan(directory)
    if plan is None:
        raise JournalError(f"{directory} holds no run to resume")
    return plan


def replace_changed(plan: Plan, directory: Path, *, supervisor: Supervisor, progress: Progress) -> Plan:
    """Void what was measured of implementations whose source changed, so that none of their records mixes two.

    Returns the plan with the digests of now, which is stored. Raises JournalError where a file is gone.
    """
    gone = [file for file in plan.impl_files if not Path(file).is_file()]
    if gone:
        raise JournalError(f"{directory} can't be resumed: {', '.join(gone)} is gone")
    known = digests_of(supervisor.require(Describe()))
    changed = sorted(key for key, digest in plan.digests.items() if known.get(key, digest) != digest)
    if not changed:
        return plan
    with Journal(directory) as log:
        for key in changed:
            of = [p.case for p in plan.cases if digest_key(p.case.problem, p.case.implementation) == key]
            if of:
                log.append_replaced(key, [case.id for case in of], facts=sorted({degrees_key(case) for case in of}))
                progress.replaced(of[0].implementation)
    renewed = plan.model_copy(update={"digests": {**plan.digests, **known}})
    journal.write_document(directory / journal.PLAN, renewed.model_dump(mode="json", by_alias=True))
    return renewed


def check_code(plan: Plan, directory: Path) -> None:
    """Refuse to go on with a plan that other code made, or that was measured in turn. Raises JournalError."""
    if plan.interpreter:
        raise JournalError(
            f"{directory} can't be resumed: it is a side of `attnbench ab`, measured in turn with the other"
        )
    changed = changed_code(plan)
    if changed:
        raise JournalError(f"{directory} can't be resumed: {', '.join(changed)} changed since it was begun")


def changed_code(plan: Plan) -> list[str]:
    """Name what of this process's code, torch and Python is not what made the plan."""
    return [name for name, value in code_fingerprint().items() if plan.fingerprint.get(name) != value]
