"""`attnbench merge`: the parts that several machines measured become one directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.console import fail, say, say_json, warn
from attnbench.options import Telling, grouped

if TYPE_CHECKING:
    from harness.fleet.merge import Merging

# The exit code where planned cases have no record, as where they crashed.
MISSING = 4


@grouped
def merge_command(
    *,
    parts: Annotated[list[Path], typer.Argument(help="Run directories, such as those of --shard.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory to make.")],
    allow_mixed: Annotated[
        bool,
        typer.Option("--allow-mixed", help="Merge parts of other code, kernels or another policy all the same."),
    ] = False,
    telling: Telling,
) -> None:
    """Join runs of the parts of a plan: one run for each kind of machine, its claims judged over all parts.

    Example: attnbench merge part-1 part-2 part-3 -o runs/all
    """
    from harness.fleet.merge import merge, warnings, write

    try:
        merging = merge(parts, allow_mixed=allow_mixed)
        write(merging, output)
    except ValueError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or output}: {error.strerror}") from None
    if telling.json:
        say_json({"directory": str(output), "merged": merging.merged.model_dump(mode="json", by_alias=True)})
    else:
        show(merging, output)
    if not telling.quiet:
        for line in warnings(merging.merged):
            warn(line)
    raise typer.Exit(exit_code(merging))


def show(merging: Merging, output: Path) -> None:
    """Print a line for each kind of machine: its parts, its cases, and where its run is."""
    for group in merging.merged.groups:
        parts = [part.label for part in merging.merged.parts if part.group == group.folder]
        where = output / group.folder if group.folder else output
        say(f"{group.device_name}: {group.cases} cases of {len(parts)} parts ({', '.join(parts)}): {where}")
    say(f"the page: attnbench report {output}")


def exit_code(merging: Merging) -> int:
    """Return 3 or 4 where cases failed, as `run` does, 4 where planned cases have no record, else 0."""
    from harness.runner.execute import exit_code as of_records

    return of_records(merging.records) or (MISSING if merging.merged.missing else 0)
