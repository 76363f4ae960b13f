"""`attnbench lesson`: the tutorial on attention, measured on this machine."""

from __future__ import annotations

import sys

import typer

from attnbench.console import INTERRUPTED, fail, say
from attnbench.options import Device, RunDirectory, grouped


@grouped
def lesson_command(*, device: Device = None, output: RunDirectory = None) -> None:
    """Walk the tutorial on attention on this machine and write a page of it, in a minute or so.

    Example: attnbench lesson -o runs/lesson
    """
    from attnbench.reading import default_output
    from attnbench.writing import write_page
    from harness import devices, journal, lesson_facts, policy, progress, run
    from harness.plan import Selection
    from reports import lesson as pages
    from reports.frame import read_run
    from scenarios import tutorial

    try:
        options = run.Options(
            scenarios=tutorial.LESSON,
            selection=Selection(),
            device=devices.choose(device),
            output=output or default_output(),
            policy=policy.LESSON,
            preset="fast",
            command=("attnbench", *sys.argv[1:]),
        )
        shown = progress.make()
        try:
            _, interrupted = run.execute(options, progress=shown)
        finally:
            shown.close()
        if interrupted:
            raise typer.Exit(INTERRUPTED)
        # The lesson's own sums need torch; its measurements, in worker processes, are over.
        from harness.lesson import lesson

        lesson_facts.write(lesson(device=options.device, announce=say), options.output)
        write_page([read_run(options.output)], options.output / journal.REPORT)
        page = pages.write(options.output)
    except (ValueError, run.WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or output or 'runs'}: {error.strerror}") from None
    say(f"lesson: {page}")
