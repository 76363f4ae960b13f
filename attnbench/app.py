"""The command line, assembled: every command by its name, in the order that --help lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness import commands
from reports import shell

if TYPE_CHECKING:
    from pathlib import Path


def make_app() -> typer.Typer:
    """Assemble the commands; their modules import nothing heavy until one is called."""
    app = typer.Typer(
        name="attnbench",
        help="Benchmark and profile attention: agreement first, then time, memory and utilization, then a verdict.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command("list")(commands.list_command)
    app.command("plan")(commands.plan_command)
    app.command("check")(commands.check_command)
    app.command("run")(commands.run_command)
    app.command("lesson")(commands.lesson_command)
    app.command("report")(shell.report_command)
    app.command("export")(shell.export_command)
    app.command("verify")(commands.verify_command)
    app.command("doctor")(commands.doctor_command)
    return app


def make_after() -> object:
    """Return what a run is finished with: its report and result table, or the page of the lesson."""
    from harness.commands import LOG_WIDTH, After

    def finish(directory: Path) -> None:
        from rich.console import Console

        from reports import commands, frame
        from reports.terminal import results

        commands.report([directory])
        console = Console()
        console = console if console.is_terminal else Console(width=LOG_WIDTH)
        run = frame.read_run(directory)
        console.print(results.table_of(run, width=console.width))
        if run.verdicts:
            console.print()
            console.print(results.verdicts_of(run))

    def teach(directory: Path) -> Path:
        from reports import commands
        from reports.lesson import page

        commands.report([directory])
        return page.write(directory)

    return After(finish=finish, teach=teach)
