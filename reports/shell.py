"""The commands that show: report, export. Their bodies import what they need when called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

USAGE = 2

Runs = Annotated[list[Path], typer.Argument(help="Run directories.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write; beside the first run if not given.")
]


def fail(message: str) -> typer.Exit:
    """Print an error on standard error and return the exit to raise."""
    print(f"attnbench: {message}", file=sys.stderr)  # noqa: T201
    return typer.Exit(USAGE)


def report_command(
    runs: Runs,
    output: Output = None,
    form: Annotated[str, typer.Option("--format", help="html, or md for a short Markdown summary.")] = "html",
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,  # noqa: FBT002
) -> None:
    """Render one or several runs as a self-contained HTML page, or as Markdown.

    Example: attnbench report runs/20260102-030405 --open
    """
    from reports.commands import report

    if form not in {"html", "md"}:
        raise fail(f"no format {form!r}; have: html, md")
    try:
        written = report(runs, output=output, format="html" if form == "html" else "md", open=show)
    except ValueError as error:
        raise fail(str(error)) from None
    print(written)  # noqa: T201


def export_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    to: Annotated[str, typer.Option("--to", help="Format to write.")],
    output: Output = None,
) -> None:
    """Write a run in another tool's format: csv, json, parquet, pytest-benchmark, github-action-benchmark, bencher.

    Example: attnbench export runs/20260102-030405 --to csv -o cases.csv
    """
    from reports.commands import export

    try:
        print(export(run, to=to, output=output))  # noqa: T201
    except (ValueError, ModuleNotFoundError) as error:
        raise fail(str(error)) from None
