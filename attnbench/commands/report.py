"""`attnbench report`: runs as one HTML page, or as a Markdown summary."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from attnbench.console import fail, say, say_json
from attnbench.options import OutputFile, Telling, grouped, one_of

Format = Literal["html", "md"]


@grouped
def report_command(
    *,
    runs: Annotated[list[Path], typer.Argument(help="Run directories, or one of `ab`.")],
    output: OutputFile = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="html, or md for a short Markdown summary.", parser=one_of("format", get_args(Format))
        ),
    ] = "html",
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    telling: Telling,
) -> None:
    """Render one or several runs as a self-contained HTML page, or as Markdown.

    Example: attnbench report runs/20260102-030405 --open
    """
    try:
        made = _markdown(runs, output) if form == "md" else _page(runs, output, is_opened=show)
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json({"report": None, "markdown": made} if isinstance(made, str) else {"report": str(made)})
    else:
        say(str(made))


def _markdown(runs: list[Path], output: Path | None) -> str | Path:
    """Return the summary's text, or the path where it was asked for in a file."""
    from attnbench.writing import write_file
    from harness.results.run import read_runs
    from reports.exports.markdown import markdown

    text = markdown(read_runs(_places(runs)))
    return text if output is None else write_file(text.encode(), output)


def _places(runs: list[Path]) -> list[Path]:
    """Return the run directories that are meant, of two sides measured in turn both."""
    from harness.results.pair_file import expanded

    return [place for run in runs for place in expanded(run)]


def _page(runs: list[Path], output: Path | None, *, is_opened: bool) -> Path:
    from attnbench.commands.compare import Gate, judge_pair, opening_of
    from attnbench.writing import write_page
    from harness.results.journal import REPORT
    from harness.results.pair_file import is_pair
    from harness.results.run import read_runs
    from reports.page.render import collector_paused

    target = output if output is not None else runs[0] / REPORT
    with collector_paused():
        if len(runs) == 1 and is_pair(runs[0]):
            changes, judged, sides = judge_pair(runs[0], Gate())
            page = write_page(sides, target, opening=opening_of(changes, judged))
        else:
            page = write_page(read_runs(_places(runs)), target)
    if is_opened:
        webbrowser.open(page.resolve().as_uri())
    return page
