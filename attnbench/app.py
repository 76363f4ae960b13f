"""The command line, assembled: every command by its name, in the order that --help lists them."""

from __future__ import annotations

import typer

from attnbench.commands.check import check_command
from attnbench.commands.doctor import doctor_command
from attnbench.commands.export import export_command
from attnbench.commands.lesson import lesson_command
from attnbench.commands.list import list_command
from attnbench.commands.plan import plan_command
from attnbench.commands.report import report_command
from attnbench.commands.run import run_command
from attnbench.commands.verify import verify_command

COMMANDS = {
    "list": list_command,
    "plan": plan_command,
    "check": check_command,
    "run": run_command,
    "lesson": lesson_command,
    "report": report_command,
    "export": export_command,
    "verify": verify_command,
    "doctor": doctor_command,
}


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
    for name, command in COMMANDS.items():
        app.command(name)(command)
    return app
