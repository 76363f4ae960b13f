"""The command line, assembled: every command by its name, in the order that --help lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench import __version__
from attnbench.commands.check import check_command
from attnbench.commands.comparing.ab import ab_command
from attnbench.commands.comparing.baseline import make_group
from attnbench.commands.comparing.compare import compare_command
from attnbench.commands.comparing.history import history_command
from attnbench.commands.doctor import doctor_command
from attnbench.commands.export import export_command
from attnbench.commands.lesson import lesson_command
from attnbench.commands.list import list_command
from attnbench.commands.merge import merge_command
from attnbench.commands.new import new_command
from attnbench.commands.plan import plan_command
from attnbench.commands.profile import profile_command
from attnbench.commands.record import record_command
from attnbench.commands.report import report_command
from attnbench.commands.run import run_command
from attnbench.commands.verify import verify_command
from attnbench.commands.worker import worker_command
from attnbench.console import say
from attnbench.options import grouped

COMMANDS = {
    "list": list_command,
    "new": new_command,
    "record": record_command,
    "plan": plan_command,
    "check": check_command,
    "run": run_command,
    "worker": worker_command,
    "merge": merge_command,
    "profile": profile_command,
    "lesson": lesson_command,
    "report": report_command,
    "compare": compare_command,
    "ab": ab_command,
    "history": history_command,
    "export": export_command,
    "verify": verify_command,
    "doctor": doctor_command,
}


def make_app() -> typer.Typer:
    """Assemble the commands; their modules import nothing heavy until one is called."""
    app = typer.Typer(
        name="attnbench",
        help="Benchmark and profile attention: agreement first, then time, memory and utilisation, then a verdict.",
        epilog="The words are explained in docs/glossary.md, and at the end of every report.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(top_options)
    for name, command in COMMANDS.items():
        app.command(name)(command)
        if name == "compare":
            app.add_typer(make_group(), name="baseline")
    return app


def print_version(is_asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    """Print the version and end, if asked to."""
    if is_asked:
        say(f"attnbench {__version__}")
        raise typer.Exit


@grouped
def top_options(
    *,
    version: Annotated[  # its callback has ended the program
        bool, typer.Option("--version", help="Show the version and exit.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before any command."""
