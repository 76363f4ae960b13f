"""`attnbench lesson`: the tutorial on attention, measured on this machine."""

from __future__ import annotations

import sys

import typer

from attnbench.console import INTERRUPTED, announcer, fail, listener, say, say_json
from attnbench.options import Device, RunDirectory, Telling, grouped


@grouped
def lesson_command(*, device: Device = None, output: RunDirectory = None, telling: Telling) -> None:
    """Walk the tutorial on attention on this machine and write a page of it, in a minute or so.

    Example: attnbench lesson -o runs/lesson
    """
    from attnbench.reading import default_output
    from attnbench.writing import write_page
    from harness import policy
    from harness.lesson import facts
    from harness.machine import devices, processor
    from harness.results import journal
    from harness.results.run import read_run
    from harness.runner.execute import plan_and_execute
    from harness.runner.selection import Request, Selection
    from harness.runner.supervisor import WorkerError
    from reports.lesson import page as pages
    from scenarios import tutorial

    directory = output or default_output()
    try:
        request = Request(
            scenarios=tutorial.LESSON,
            selection=Selection(),
            device=devices.choose(device),
            policy=policy.LESSON,
            preset="fast",
            command=("attnbench", *sys.argv[1:]),
        )
        with listener(telling, is_watched=True) as shown:
            finished = plan_and_execute(request, directory, progress=shown)
        if finished.is_interrupted:
            raise typer.Exit(INTERRUPTED)
        # The lesson's own sums need torch; its measurements, in worker processes, are over.
        processor.stand_somewhere()
        from harness.lesson.systems import lesson

        facts.write(lesson(device=request.device, announce=announcer(telling)), directory)
        run = read_run(directory)
        write_page([run], directory / journal.REPORT)
        page = pages.write(run)
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror}") from None
    if telling.json:
        say_json({"directory": str(directory), "report": str(directory / journal.REPORT), "lesson": str(page)})
    else:
        say(f"lesson: {page}")
