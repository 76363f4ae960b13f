"""The face of attnbench: the console script, `register` for implementations, `load` for run directories."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent


def check_rooms() -> None:
    """Exit with one line where another folder named like one of ours would be imported in its stead."""
    for room in ("harness", "impls", "scenarios", "reports"):
        spec = importlib.util.find_spec(room)
        origin = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if origin != ROOT / room:
            print(  # noqa: T201
                f"attnbench: another package named {room!r} is in the way ({origin}); run from another folder",
                file=sys.stderr,
            )
            raise SystemExit(2)


check_rooms()

from impls.registry import register  # noqa: E402  # ours, now that it is certain

if TYPE_CHECKING:
    import pandas as pd
    import typer

__all__ = ["load", "main", "register"]


def load(run: str | Path) -> pd.DataFrame:
    """Return a run as a data frame, a row per case; see `reports.frame.load` for the columns."""
    from reports.frame import load as load_frame

    return load_frame(Path(run))


def main() -> None:
    """Run the command line."""
    make_app()(obj=make_after())


def make_app() -> typer.Typer:
    """Assemble the commands; their modules import nothing heavy until one is called."""
    import typer

    from harness import commands
    from reports import shell

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

        from reports import commands, frame, summary

        commands.report([directory])
        console = Console()
        console = console if console.is_terminal else Console(width=LOG_WIDTH)
        run = frame.read_run(directory)
        console.print(summary.table_of(run, width=console.width))
        if run.verdicts:
            console.print()
            console.print(summary.verdicts_of(run))

    def teach(directory: Path) -> Path:
        from reports import commands
        from reports.lesson import page

        commands.report([directory])
        return page.write(directory)

    return After(finish=finish, teach=teach)


if __name__ == "__main__":
    main()
