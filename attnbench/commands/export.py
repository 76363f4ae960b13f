"""`attnbench export`: a run in another tool's format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.console import fail, say, say_json
from attnbench.options import OutputFile, Telling, grouped


@grouped
def export_command(
    *,
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    to: Annotated[str, typer.Option("--to", help="Format to write.")],
    output: OutputFile = None,
    telling: Telling,
) -> None:
    """Write a run in another tool's format.

    One of csv, json, parquet, pytest-benchmark, github-action-benchmark, bencher, pytorch-hud.

    Example: attnbench export runs/20260102-030405 --to csv -o cases.csv
    """
    from attnbench.writing import write_file
    from harness.results.run import read_run
    from reports.exports.export import SUFFIXES, export

    try:
        content = export(read_run(run), to=to)
        file = write_file(content, output if output is not None else run / f"cases{SUFFIXES[to]}")
    except (ValueError, ModuleNotFoundError) as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json({"file": str(file), "format": to})
    else:
        say(str(file))
