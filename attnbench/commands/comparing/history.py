"""`attnbench history`: many runs in order of time, where each case changed for good, and what is missing today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.commands.comparing.compare import records_alone, take
from attnbench.console import fail, say, say_json, warn
from attnbench.options import Baselines, Telling, grouped

if TYPE_CHECKING:
    from harness.comparing.history import History

NOTHING, CHANGED = 5, 1


@grouped
def history_command(
    *,
    places: Annotated[list[Path], typer.Argument(help="Run directories, saved baselines, or folders of either.")],
    implementation: Annotated[
        str | None, typer.Option("--over", help="Show ratios over this implementation beside times.")
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="change:5%: exit with 1 if a case became so much slower lately.")
    ] = None,
    baselines: Baselines = Path("baselines"),
    output: Annotated[Path | None, typer.Option("-o", "--output", help="HTML page to write.")] = None,
    telling: Telling,
) -> None:
    """Show how each case went over many runs: levels, where they changed, what is missing today.

    Example: attnbench history runs/ baselines/ -o history.html --fail-on change:5%
    """
    from attnbench.writing import write_file
    from harness.collector import uncollected
    from harness.comparing.history import history
    from harness.policy import DEFAULT
    from reports.answer.history import lines

    share = None if fail_on is None else _share(fail_on)
    try:
        with uncollected():
            snapshots = [take(path, folder=baselines, read=records_alone).snapshot for path in _found(places)]
            found = history(snapshots, policy=DEFAULT.comparison, base=implementation or "")
        if output is not None:
            from reports.page.history import html

            path = write_file(html(found).encode(), output)
            if not telling.quiet:
                warn(f"page: {path}")
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json(found.model_dump(mode="json", by_alias=True))
    else:
        for line in lines(found):
            say(line)
    if share is not None:
        _gate(found, share=share, is_silent=telling.json)


def _share(text: str) -> float:
    from harness.comparing.demands import DemandError, parse

    quantity, _, figure = text.partition(":")
    try:
        # A change is judged by the same shares as a slow-down; what does not name one is none of either.
        return parse(f"slower:{figure}" if quantity == "change" else "").share
    except DemandError:
        raise fail(f"--fail-on {text!r} must read change:5%") from None


def _found(paths: list[Path]) -> list[Path]:
    """Return the runs and baselines that are named, or that lie in folders that are named. Raises ValueError."""
    found = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = _runs_of(path)
        for one in sorted(path.iterdir()) if not inside else ():
            inside += _runs_of(one) if one.is_dir() else [one] if one.suffix == ".json" else []
        if not inside:
            raise fail(f"{path} has no runs and no baselines")
        found += inside
    return found


def _runs_of(folder: Path) -> list[Path]:
    """Return a folder if it is a run, those of its machines if it was merged of several, else nothing."""
    from harness.results.journal import JOURNAL
    from harness.results.run import places

    return [place for place in places(folder) if (place / JOURNAL).is_file()]


def _gate(found: History, *, share: float, is_silent: bool) -> None:
    """Say what a demand on changes came to, and end with its exit code."""
    from harness.comparing.history import RECENT_RUNS, recent
    from reports.answer.history import change_line

    judged = sum(
        len([one for one in trend.seconds if one]) > 1 for machine in found.machines for trend in machine.trends
    )
    name, speak = f"--fail-on change:{100 * share:g}%", warn if is_silent else say
    if not judged:
        raise fail(f"{name}: nothing to judge; no case has a time in two runs of one machine", NOTHING)
    changes = recent(found, share=share)
    for machine, trend, change in changes:
        speak(f"{name}: FAILED: {change_line(machine, trend, change)}")
    if changes:
        raise typer.Exit(CHANGED)
    speak(f"{name}: holds in {judged:,} cases; none became slower by that in its newest {RECENT_RUNS} runs")
