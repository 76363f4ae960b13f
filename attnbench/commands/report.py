"""`attnbench report`: runs as one HTML page, or as a Markdown summary."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from attnbench.console import fail, say, say_json
from attnbench.options import OutputFile, Telling, grouped, one_of

Format = Literal["html", "md"]
Theme = Literal["light", "dark"]
THEMES = get_args(Theme)


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
    figure: Annotated[
        str | None,
        typer.Option("--figure", help="Write one figure, by -o as .svg, .png or .csv; card adds the answer; list."),
    ] = None,
    theme: Annotated[
        Theme, typer.Option("--theme", help="Colours of the figure: light or dark.", parser=one_of("theme", THEMES))
    ] = "light",
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    telling: Telling,
) -> None:
    """Render one or several runs as a self-contained HTML page, as Markdown, or one figure for a paper.

    The words of a report are explained in docs/glossary.md, and at the end of each page.

    Example: attnbench report runs/20260102-030405 --figure time-sequence-length -o time.svg
    """
    try:
        if figure == "list":
            _list_figures(runs, telling)
        elif figure is not None:
            _tell("figure", _picture(runs, figure, output, theme=theme), telling)
        elif form == "md":
            _tell("markdown", _markdown(runs, output), telling)
        else:
            _tell("report", _page(runs, output, is_opened=show), telling)
    except ValueError as error:
        raise fail(str(error)) from None


def _tell(kind: str, made: str | Path, telling: Telling) -> None:
    """Say what was written: a text itself, or the path of a file."""
    if not telling.json:
        say(str(made))
    elif isinstance(made, str):
        say_json({"report": None, kind: made})
    else:
        say_json({"figure" if kind == "figure" else "report": str(made)})


def _list_figures(runs: list[Path], telling: Telling) -> None:
    """Name every figure of the page with what it shows."""
    from harness.results.run import read_runs
    from reports.frame import with_marks
    from reports.page.pictures import CARD, figures

    drawn = figures([with_marks(run) for run in read_runs(runs)])
    if telling.json:
        say_json({"figures": [{"name": one.id, "title": one.title, "finding": one.finding} for one in drawn]})
        return
    say(f"{CARD}: the answer in words over the main figure")
    for one in drawn:
        say(f"{one.id}: {one.title}")


def _picture(runs: list[Path], name: str, output: Path | None, *, theme: Theme) -> Path:
    """Write one figure to a file, whose suffix names the format."""
    from attnbench.writing import write_file
    from reports.page.pictures import picture

    file = output if output is not None else runs[0] / f"{name}.svg"
    return write_file(picture(runs, name, form=file.suffix.removeprefix("."), theme=theme), file)


def _markdown(runs: list[Path], output: Path | None) -> str | Path:
    """Return the summary's text, or the path where it was asked for in a file."""
    from attnbench.writing import write_file
    from harness.results.run import read_runs
    from reports.exports.markdown import markdown

    text = markdown(read_runs(_places(runs)))
    return text if output is None else write_file(text.encode(), output)


def _places(runs: list[Path]) -> list[Path]:
    """Return the run directories that are meant, of two sides measured in turn both."""
    from harness.results.pairs.pair_file import expanded

    return [place for run in runs for place in expanded(run)]


def _page(runs: list[Path], output: Path | None, *, is_opened: bool) -> Path:
    from attnbench.commands.comparing.compare import Gate, judge_pair, opening_of
    from attnbench.writing import write_page
    from harness.collector import uncollected
    from harness.results.journal import REPORT
    from harness.results.pairs.pair_file import is_pair
    from harness.results.run import read_runs

    target = output if output is not None else runs[0] / REPORT
    with uncollected():
        if len(runs) == 1 and is_pair(runs[0]):
            changes, judged, sides = judge_pair(runs[0], Gate())
            page = write_page(sides, target, opening=opening_of(changes, judged))
        else:
            page = write_page(read_runs(_places(runs)), target)
    if is_opened:
        webbrowser.open(page.resolve().as_uri())
    return page
