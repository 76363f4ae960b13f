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
    commit: Annotated[
        str, typer.Option("--commit", help="For asv: what the results are of; attnbench's own if not given.")
    ] = "",
    output: OutputFile = None,
    telling: Telling,
) -> None:
    """Write a run in another tool's format.

    One of csv, json, parquet, pytest-benchmark, github-action-benchmark, bencher, pytorch-hud, asv.

    Example: attnbench export runs/20260102-030405 --to csv -o cases.csv
    """
    from attnbench.writing import write_file
    from harness.results.run import read_run
    from reports.exports.export import FOLDER, SUFFIXES, export

    if commit and to != FOLDER:
        raise fail(f"--commit is for --to {FOLDER}")
    try:
        if to == FOLDER:
            file = write_results(run, output if output is not None else run / FOLDER, commit=commit)
        else:
            content = export(read_run(run), to=to)
            file = write_file(content, output if output is not None else run / f"cases{SUFFIXES[to]}")
    except (ValueError, ModuleNotFoundError) as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json({"file": str(file), "format": to})
    else:
        say(str(file))


def write_results(run: Path, folder: Path, *, commit: str) -> Path:
    """Add a run to a folder of asv's results, and return it. Raises ValueError."""
    from attnbench.writing import write_file
    from harness.results.documents import read_document
    from harness.results.run import read_run
    from reports.exports.asv import BENCHMARKS, files

    known = read_document(folder / BENCHMARKS)
    for name, content in files(read_run(run), commit=commit, known=known).items():
        write_file(content, folder / name)
    return folder
