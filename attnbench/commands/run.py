"""`attnbench run`: scenarios are measured, their claims judged, and the result is written and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from attnbench.console import INTERRUPTED, fail, say, wide_console
from attnbench.options import Cases, Effort, Output, Place, grouped

if TYPE_CHECKING:
    from pathlib import Path

    from harness.records import Summary
    from harness.runner.execute import Finished
    from harness.runner.selection import Effort as Limits
    from harness.runner.selection import Request


@grouped
def run_command(cases: Cases, place: Place, effort: Effort, output: Output) -> None:
    """Measure scenarios and write the report: agreement first, then time, memory and utilization.

    Example: attnbench run sequence-length --impl 'sdpa-*' -a n=512,1024 --dtype float32
    """
    from attnbench.reading import default_output, make_limits, make_run_request
    from harness import journal
    from harness.runner.execute import create_directory
    from harness.runner.supervisor import WorkerError

    if output.resume and output.output is None:
        raise fail("--resume needs the run directory: -o DIR")
    directory = output.output or default_output()
    try:
        request, limits = make_run_request(cases, place, effort), make_limits(effort)
        if output.output is not None and not output.resume:
            create_directory(directory)
        finished = measure(request, limits, directory=directory, resume=output.resume)
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        kept = "; what was measured is kept: make room, then continue with --resume"
        has_run = (directory / journal.JOURNAL).exists()
        raise fail(f"{error.filename or directory}: {error.strerror}{kept if has_run else ''}") from None
    try:
        report(finished, directory)
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror}; the journal is intact") from None
    except ValueError as error:
        raise fail(f"{error}; the journal is intact") from None
    show(finished.summary, page=directory / journal.REPORT)
    raise typer.Exit(INTERRUPTED if finished.is_interrupted else exit_code(finished, fail_on=output.fail_on))


def measure(request: Request, limits: Limits, *, directory: Path, resume: bool) -> Finished:
    """Run what is asked for, or go on with the plan that the directory holds, under a bar or lines."""
    from harness.runner.execute import execute, plan_and_execute, stored_plan
    from reports.terminal import progress

    stored = stored_plan(directory) if resume else None
    try:
        with progress.make() as shown:
            if stored is not None:
                return execute(stored, directory, progress=shown, effort=limits)
            return plan_and_execute(request, directory, progress=shown, effort=limits)
    except KeyboardInterrupt:
        raise fail("interrupted before anything was measured", INTERRUPTED) from None


def report(finished: Finished, directory: Path) -> None:
    """Read what a run wrote, once, for its page and for the table and the verdicts that are printed."""
    from attnbench.writing import write_page
    from harness.journal import REPORT
    from reports.frame import read_run
    from reports.terminal import results

    if any(record.case.problem == "pooling" for record in finished.records):
        # What pooling predicts is drawn beside its cost; torch comes in once the measurements are over.
        from harness.lesson import facts
        from harness.lesson.systems import lesson

        facts.write(lesson(device=finished.plan.device, announce=say), directory)
    run = read_run(directory)
    write_page([run], directory / REPORT)
    console = wide_console()
    console.print(results.table_of(run, width=console.width))
    if run.verdicts:
        console.print()
        console.print(results.verdicts_of(run))


def show(summary: Summary, *, page: Path) -> None:
    """Print how a run went, and where its page is."""
    say(
        f"{summary.wall_seconds:.0f} s, {summary.call_share:.0%} of them inside calls of implementations; "
        f"{summary.rounds} rounds; " + ", ".join(f"{count} {status}" for status, count in summary.statuses.items())
    )
    for warning in summary.warnings:
        say(f"warning: {warning}")
    say(f"report: {page}")


def exit_code(finished: Finished, *, fail_on: str | None) -> int:
    """Return 3 or 4 if cases failed, 1 if a verdict is one to fail on, else 0."""
    from harness.verdicts.judging import unexpected

    if finished.exit_code or finished.verdicts is None or fail_on is None:
        return finished.exit_code
    return 1 if unexpected(finished.verdicts, fail_on=(fail_on,)) else 0
