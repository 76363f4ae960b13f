"""`attnbench run`: scenarios are measured, their claims judged, and the result is written and shown."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from attnbench.console import INTERRUPTED, announcer, fail, listener, say, say_empty, say_json, warn, wide_console
from attnbench.options import Cases, Devices, Effort, Output, Place, Telling, grouped
from attnbench.resuming import check_resumed

if TYPE_CHECKING:
    from pathlib import Path

    from harness.results.run import Run
    from harness.results.summary_file import Summary
    from harness.runner.execute import Finished
    from harness.runner.selection import Request, TimeLimits

# Verdicts that say something of a claim.
DECIDED = frozenset({"confirmed", "refuted", "consistent", "contradicted"})
# The exit code where cases failed, or none could be measured.
CASES_FAILED = 4


@grouped
def run_command(cases: Cases, place: Place, effort: Effort, devices: Devices, output: Output, telling: Telling) -> None:
    """Measure scenarios and write the report: agreement first, then time, memory and utilisation.

    Example: attnbench run sequence-length --impl 'sdpa-*' -a n=512,1024 --dtype float32
    """
    started = time.monotonic()
    from attnbench.reading import default_output, make_run_request, make_time_limits
    from harness.results import journal
    from harness.runner.selection import EmptyShardError
    from harness.runner.supervisor import WorkerError

    if output.resume and output.output is None:
        raise fail("--resume needs the run directory: -o DIR")
    if devices != Devices():
        from attnbench.many import run_on_many

        directory = output.output or default_output()
        remarks = run_on_many(
            cases, place, effort, devices=devices, directory=directory, resume=output.resume, telling=telling
        )
        taken = time.monotonic() - started
        raise typer.Exit(tell_of_many(directory, remarks, fail_on=output.fail_on, telling=telling, seconds=taken))
    directory = output.output or default_output()
    try:
        request = make_run_request(cases, place, effort)
        limits = make_time_limits(effort, started=started)
        take_directory(directory, request, asked=(cases, place, effort), output=output)
        finished = measure(request, directory, limits=limits, resume=output.resume, telling=telling)
    except EmptyShardError as empty:
        say_empty(str(empty), telling)
        return
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        kept = "; what was measured is kept: make room, then continue with --resume"
        has_run = (directory / journal.JOURNAL).exists()
        raise fail(f"{error.filename or directory}: {error.strerror}{kept if has_run else ''}") from None
    try:
        found = report(directory, device=finished.plan.device, telling=telling)
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror}; the journal is intact") from None
    except ValueError as error:
        raise fail(f"{error}; the journal is intact") from None
    if telling.json:
        say_json(document(found, directory, summary=finished.summary))
    else:
        show_results(found)
        show(finished.summary, seconds=time.monotonic() - started, page=directory / journal.REPORT)
    raise typer.Exit(INTERRUPTED if finished.is_interrupted else exit_code(found, fail_on=output.fail_on))


def take_directory(directory: Path, request: Request, *, asked: tuple[Cases, Place, Effort], output: Output) -> None:
    """Make the directory that was named, or hold what was asked for against the plan in it.

    Raises JournalError, SelectionError.
    """
    from harness.cluster.store import refuse_sweep
    from harness.runner.execute import create_directory

    refuse_sweep(directory)
    if output.resume:
        cases, place, effort = asked
        check_resumed(directory, request, cases=cases, place=place, effort=effort)
    elif output.output is not None:
        create_directory(directory)


def measure(request: Request, directory: Path, *, limits: TimeLimits, resume: bool, telling: Telling) -> Finished:
    """Take a new run to its end, or go on with the plan that is stored, under a bar or lines."""
    from harness.results.journal import JOURNAL
    from harness.runner.execute import execute, plan_and_execute, stored_plan

    try:
        with listener(telling, is_watched=True) as shown:
            if resume:
                return execute(stored_plan(directory), directory, progress=shown, limits=limits)
            return plan_and_execute(request, directory, progress=shown, limits=limits)
    except KeyboardInterrupt:
        kept = "interrupted: what was measured is kept; continue with --resume"
        has_run = (directory / JOURNAL).exists()
        raise fail(kept if has_run else "interrupted before anything was measured", INTERRUPTED) from None


def report(directory: Path, *, device: str, telling: Telling) -> Run:
    """Read a run, write its page, and return what was read."""
    from attnbench.writing import write_page
    from harness.results.journal import REPORT
    from harness.results.run import read_run

    run = read_run(directory)
    if any(record.case.problem == "pooling" for record in run.records):
        # What pooling predicts is drawn beside its cost; torch comes in once the measurements are over.
        from harness.lesson import facts
        from harness.machine import processor

        processor.stand_somewhere()
        from harness.lesson.systems import lesson

        facts.write(lesson(device=device, announce=announcer(telling)), directory)
    write_page([run], directory / REPORT)
    return run


def tell_of_many(directory: Path, remarks: list[str], *, fail_on: str | None, telling: Telling, seconds: float) -> int:
    """Write the page of what several devices found, print it for each kind of machine, and return the exit code."""
    from attnbench.writing import write_page
    from harness.results.journal import REPORT
    from harness.results.run import read_runs

    try:
        runs = read_runs([directory])
        write_page(runs, directory / REPORT)
    except ValueError as error:
        raise fail(f"{error}; the parts are intact") from None
    if telling.json:
        documents = [document(run, run.path, summary=run.summary) for run in runs if run.summary]
        say_json({"directory": str(directory), "report": str(directory / REPORT), "runs": documents})
    else:
        for run in runs:
            if len(runs) > 1:
                say(f"# {run.label}")
            show_results(run)
        say(f"{seconds:.0f} s; report: {directory / REPORT}")
    for remark in remarks:
        warn(remark)
    records = [record for run in runs for record in run.records]
    left_out = any(record.status == "over_budget" for record in records)
    # Where other runs held every device no case failed, and there is no time of any.
    unmeasured = CASES_FAILED if left_out and not any(record.time for record in records) else 0
    return max(unmeasured, *(exit_code(run, fail_on=fail_on) for run in runs))


def document(run: Run, directory: Path, *, summary: Summary) -> dict[str, object]:
    """Return what --json prints of a run: where it is, how it went, statuses, verdicts, totals."""
    from harness.results.journal import REPORT
    from harness.results.pairs.totals import totals
    from reports.answer.sentences import baseline_of

    cases = [
        {"case": record.case.id, "label": record.case.label, "status": record.status, "reason": record.reason}
        for record in run.records
    ]
    verdicts = [verdict.model_dump(mode="json") for verdict in run.verdicts if verdict.quantity == "all"]
    return {
        "directory": str(directory),
        "report": str(directory / REPORT),
        "summary": summary.model_dump(mode="json", by_alias=True),
        "cases": cases,
        "verdicts": verdicts,
        "totals": [asdict(total) for total in totals(run, baseline=baseline_of(run))],
    }


def show_results(run: Run) -> None:
    """Print the table of a run, and its verdicts."""
    from reports.terminal import results

    console = wide_console()
    console.print(results.table_of(run, width=console.width))
    if (totals := results.totals_of(run)) is not None:
        console.print()
        console.print(totals)
    for note in results.notes_of(run):
        say(note)
    if run.verdicts:
        console.print()
        console.print(results.verdicts_of(run))


def show(summary: Summary, *, seconds: float, page: Path) -> None:
    """Print how a run of so many seconds went, its report included, where they went, and where its page is."""
    from reports import units

    say(
        f"{seconds:.0f} s, {(summary.timed_seconds or 0.0) / seconds:.0%} of them in timed samples; "
        f"{summary.rounds} rounds; " + ", ".join(f"{count} {status}" for status, count in summary.statuses.items())
    )
    say(f"where they went: {units.split({**summary.stages, 'report': seconds - summary.wall_seconds})}")
    for warning in summary.warnings:
        say(f"warning: {warning}")
    say(f"report: {page}")


def exit_code(run: Run, *, fail_on: str | None) -> int:
    """Return 3 or 4 where cases failed, 1 if a verdict is one to fail on, 2 where none was reached, else 0."""
    from harness.results.verdicts_file import Verdicts
    from harness.runner.execute import exit_code as of_records
    from harness.verdicts.judging import unexpected

    failing = unexpected(Verdicts(verdicts=list(run.verdicts)), fail_on=(fail_on,) if fail_on else ())
    code = of_records(run.records) or (1 if failing else 0)
    if not code and fail_on and not any(verdict.verdict in DECIDED for verdict in run.verdicts):
        raise fail(f"--fail-on {fail_on}: no claim was decided, {len(run.verdicts)} verdicts are inconclusive")
    return code
