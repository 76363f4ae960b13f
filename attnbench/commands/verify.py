"""`attnbench verify`: the verdict on a claimed exponent for anybody's table of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from attnbench.console import fail, say, say_json
from attnbench.options import Telling, grouped, one_of

Kind = Literal["component", "layer"]
Source = Literal["auto", "csv", "pytest-benchmark", "google-benchmark", "nvbench"]
VERDICTS = ("consistent", "contradicted", "inconclusive")


@dataclass(frozen=True)
class Cells:
    """How cells are read, where the table does not say it."""

    markers: Annotated[
        list[str] | None, typer.Option("--markers", help="Text of cells where nothing was measured; repeatable.")
    ] = None
    units: Annotated[
        list[str] | None,
        typer.Option("--units", help="Unit of plain costs (ms), of a column (mem=MiB), or a unit's size (KB=1024)."),
    ] = None
    decimal: Annotated[str | None, typer.Option("--decimal", help="Decimal mark, '.' or ','; as the cells show.")] = (
        None
    )
    per: Annotated[str, typer.Option("--per", help="Column that costs are divided by, such as a batch.")] = ""
    exact: Annotated[bool, typer.Option("--exact", help="Costs are exact, as counts and bytes: 5 sizes decide.")] = (
        False
    )


@grouped
def verify_command(
    *,
    csv: Annotated[
        Path,
        typer.Option(
            "--csv", help="A table (CSV, TSV, Markdown), or JSON of pytest-benchmark, google-benchmark or nvbench."
        ),
    ],
    exponent: Annotated[float, typer.Option("--exponent", help="The exponent that is claimed; 0 for a flat cost.")],
    x: Annotated[str, typer.Option("--x", help="Column of sizes.")] = "n",
    y: Annotated[str, typer.Option("--y", help="Column of costs.")] = "seconds",
    by: Annotated[list[str] | None, typer.Option("--by", help="Column that groups rows; repeatable.")] = None,
    band: Annotated[float | None, typer.Option("--band", help="How far the exponent may lie off; 0.25.")] = None,
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind", help="component, or layer for laws with lower-order terms.", parser=one_of("kind", get_args(Kind))
        ),
    ] = "component",
    source: Annotated[
        Source,
        typer.Option(
            "--source",
            help="auto, csv, pytest-benchmark, google-benchmark or nvbench.",
            parser=one_of("source", get_args(Source)),
        ),
    ] = "auto",
    cells: Cells,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw costs and fits to this SVG, PNG or PDF.")] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            help="contradicted, inconclusive or consistent: exit with 1.",
            parser=one_of("verdict", VERDICTS),
        ),
    ] = None,
    telling: Telling,
) -> None:
    """Judge any table of numbers: does y grow as x to the exponent? By time alone, so never more than `consistent`.

    Example: attnbench verify --csv times.csv --x n --y seconds --exponent 2 --by impl
    """
    from harness.verdicts.table import Wording, verify
    from reports.terminal.verification import lines

    try:
        verification = verify(
            csv,
            x=x,
            y=y,
            exponent=exponent,
            by=by or (),
            per=cells.per,
            band=band,
            kind=kind,
            source=source,
            wording=Wording(cells.markers or (), cells.units or (), cells.decimal, is_exact=cells.exact),
        )
        if plot is not None:
            from reports.figures.verified import plot as draw

            draw(verification, plot)
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json(verification.document())
    else:
        for line in lines(verification):
            say(line)
    raise typer.Exit(1 if verification.fails(fail_on or ()) else 0)
