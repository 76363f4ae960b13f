"""`attnbench baseline`: runs kept as small files that one can commit, and compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.commands.comparing.compare import Shown, compare_runs, take, with_canary
from attnbench.console import fail, say, say_json
from attnbench.options import Baselines, Telling, grouped


@grouped
def save_command(
    *,
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    name: Annotated[str, typer.Argument(help="What the baseline is called.")],
    baselines: Baselines = Path("baselines"),
    force: Annotated[bool, typer.Option("--force", help="Replace a baseline of that name.")] = False,
    telling: Telling,
) -> None:
    """Keep a run's times, intervals, counts and machine as a file of some four kilobytes a hundred cases.

    Example: attnbench baseline save runs/20260102-030405 main
    """
    from attnbench.writing import write_file
    from harness.comparing.baselines import path_of, written

    try:
        path = path_of(name, folder=baselines)
        if path.exists() and not force:
            raise fail(f"{path} exists: choose another name, or --force")
        snapshot = take(run, folder=baselines, read=with_canary).snapshot.model_copy(update={"name": name})
        if not snapshot.timed:
            raise fail(f"{run} has no timed case to keep")
        write_file(written(snapshot).encode(), path)
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json({"baseline": str(path)})
    else:
        say(str(path))


@grouped
def list_command(*, baselines: Baselines = Path("baselines"), telling: Telling) -> None:
    """List the saved baselines: when each was measured, on what, how many cases.

    Example: attnbench baseline list
    """
    from harness.comparing import baselines as saved

    rows = []
    try:
        for name in saved.names(baselines):
            found = saved.read(saved.path_of(name, folder=baselines))
            machine = next((found.stable[fact] for fact in ("gpu", "cpu") if found.stable.get(fact)), found.device)
            rows.append({"name": name, "created": found.created, "machine": str(machine), "timed": found.timed,
                         "cases": len(found.cases), "commit": found.commit})  # fmt: skip
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json(rows)
        return
    for row in rows:
        say(f"{row['name']}  {row['created']}  {row['machine']}  {row['timed']} of {row['cases']} cases timed")
    if not rows:
        say(f"no baselines in {baselines}")


@grouped
def compare_command(
    *,
    name: Annotated[str, typer.Argument(help="A saved baseline.")],
    new: Annotated[Path, typer.Argument(help="A run directory, held against it.")],
    baselines: Baselines = Path("baselines"),
    shown: Shown,
    telling: Telling,
) -> None:
    """Compare a run with a saved baseline; cases that one side lacks are named and left out.

    Example: attnbench baseline compare main runs/20260102-030405 --fail-on slower:5%
    """
    from harness.comparing.baselines import names, path_of
    from impls.registry import unknown

    saved = names(baselines)
    if name not in saved:
        raise fail(unknown("baseline", name, saved) if saved else f"{baselines} has no baselines")
    compare_runs(path_of(name, folder=baselines), new, folder=baselines, shown=shown, telling=telling)


def make_group() -> typer.Typer:
    """Assemble the commands about baselines."""
    group = typer.Typer(help="Keep runs as small files, and compare with them.", no_args_is_help=True)
    for name, command in (("save", save_command), ("list", list_command), ("compare", compare_command)):
        group.command(name)(command)
    return group
