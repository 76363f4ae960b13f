"""`attnbench compare`: whether it is faster than before or slower, and whether the job fails for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from attnbench.console import fail, listener, say, warn, wide_console
from attnbench.options import Baselines, Junit, Telling, grouped, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.comparing.demands import Demand, Judged
    from harness.comparing.results import Changes
    from harness.comparing.snapshot import Snapshot
    from harness.policy import ComparisonPolicy
    from harness.results.run import Run
    from reports.page.render import Opening

Format = Literal["table", "md"]
By = Literal["implementation"]


@dataclass(frozen=True)
class Gate:
    """How a comparison is shown, and what fails the job."""

    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            help="slower:5%, memory:1%, operations:1% or disagreed: exit with 1 if a case is so; repeatable.",
        ),
    ] = None
    form: Annotated[
        Format,
        typer.Option("--format", help="table, or md for a job page.", parser=one_of("format", get_args(Format))),
    ] = "table"
    junit: Junit = None


@dataclass(frozen=True)
class Shown(Gate):
    """That, of runs that are there already."""

    recheck: Annotated[
        bool, typer.Option("--recheck", help="Measure slower cases of NEW once more here; fail on what repeats.")
    ] = False
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="HTML page to write: the report, what changed first.")
    ] = None


@dataclass(frozen=True)
class Taken:
    """One side of a comparison; a baseline has no run, and neither has a run that was read for its records alone.

    `place` is the run's directory, `policy` what it was made under, None of a baseline.
    """

    snapshot: Snapshot
    run: Run | None = None
    place: Path | None = None
    policy: ComparisonPolicy | None = None


@grouped
def compare_command(
    *,
    base: Annotated[Path, typer.Argument(help="A run directory, a saved baseline, or JSON of a benchmark tool.")],
    new: Annotated[
        Path | None, typer.Argument(help="The same, held against BASE; none with --by, or if BASE is of `ab`.")
    ] = None,
    by: Annotated[
        By | None,
        typer.Option("--by", help="implementation: compare those of one run.", parser=one_of("kind", get_args(By))),
    ] = None,
    implementation: Annotated[
        str | None, typer.Option("--base", help="With --by: the implementation that others are held against.")
    ] = None,
    baselines: Baselines = Path("baselines"),
    shown: Shown,
    telling: Telling,
) -> None:
    """Compare two runs case by case: faster, slower, same or inconclusive, over all cases at once.

    Example: attnbench compare runs/before runs/after --fail-on slower:5% --fail-on disagreed
    """
    from harness.results.pairs.pair_file import is_pair

    if by is None:
        if implementation is not None:
            raise fail("--base names an implementation of one run: add --by implementation")
        if new is None and is_pair(base):
            compare_pair(base, shown=shown, telling=telling)
            return
        if new is None:
            raise fail("compare needs BASE and NEW, or one run with --by implementation --base NAME")
        compare_runs(base, new, folder=baselines, shown=shown, telling=telling)
    else:
        if new is not None:
            raise fail("--by compares inside of one run: give BASE alone")
        if implementation is None:
            raise fail("--by implementation needs --base NAME")
        compare_inside(base, implementation, shown=shown, telling=telling)


def compare_runs(base: Path, new: Path, *, folder: Path, shown: Shown, telling: Telling) -> None:
    """Compare two runs or baselines, show it, and end with the exit code that it makes."""
    from harness.collector import uncollected
    from harness.comparing.compare import compare
    from harness.comparing.demands import judge_demands, policy_for
    from harness.policy import DEFAULT

    try:
        demands = demands_of(shown)
        with uncollected():
            read = whole if shown.recheck or shown.output else with_canary
            before, after = take(base, folder=folder, read=read), take(new, folder=folder, read=read)
            before, after = _labelled(before, after)
            policy = policy_for(demands, after.policy or DEFAULT.comparison)
            changes = compare(before.snapshot, after.snapshot, policy=policy)
        judged = judge_demands(changes, demands)
        if shown.recheck:
            judged = _rechecked(judged, before, after, policy=policy, telling=telling)
    except ValueError as error:
        raise fail(str(error)) from None
    runs = [side.run for side in (before, after) if side.run]
    end(changes, judged, runs=runs, gate=shown, page=shown.output, telling=telling)


def compare_pair(path: Path, *, shown: Shown, telling: Telling) -> None:
    """Compare two sides that took turns once more, and end with the exit code that it makes."""
    if shown.recheck:
        raise fail("--recheck measures NEW again: run `attnbench ab` again instead")
    try:
        changes, judged, runs = judge_pair(path, shown)
    except ValueError as error:
        raise fail(str(error)) from None
    end(changes, judged, runs=runs, gate=shown, page=shown.output, telling=telling)


def judge_pair(path: Path, gate: Gate) -> tuple[Changes, list[Judged], tuple[Run, Run]]:
    """Read and compare two sides that took turns, and judge the demands. Raises ValueError."""
    from harness.collector import uncollected
    from harness.comparing.demands import judge_demands, policy_for
    from harness.comparing.in_turn import compare_sides
    from harness.results.pairs.pair_file import read_sides
    from harness.results.pairs.paired import policy_of

    demands = demands_of(gate)
    with uncollected():
        base, new = read_sides(path)
        changes = compare_sides(base, new, policy=policy_for(demands, policy_of(new)))
    return changes, judge_demands(changes, demands), (base, new)


def compare_inside(path: Path, implementation: str, *, shown: Shown, telling: Telling) -> None:
    """Compare the implementations of one run, show it, and end with the exit code that it makes."""
    from harness.comparing.compare import compare_implementations
    from harness.comparing.demands import judge_demands
    from harness.results.pairs.paired import policy_of
    from harness.results.run import read_run
    from impls.registry import unknown

    if shown.recheck:
        raise fail("--recheck measures NEW again: it needs two runs")
    try:
        demands = demands_of(shown)
        run = read_run(path)
        names = sorted({record.case.implementation for record in run.records})
        if implementation not in names:
            raise fail(unknown("implementation", implementation, names))
        changes = compare_implementations(run, base=implementation, policy=policy_of(run))
    except ValueError as error:
        raise fail(str(error)) from None
    end(changes, judge_demands(changes, demands), runs=[run], gate=shown, page=shown.output, telling=telling)


def take(path: Path, *, folder: Path, read: Callable[[Path], Taken]) -> Taken:
    """Read a run directory, a baseline by file or name, or a file of times. Raises ValueError for anything else."""
    from harness.comparing import baselines, foreign
    from harness.results.documents import JournalError
    from impls.registry import unknown

    if path.is_dir():
        return read(path)
    if path.is_file():
        return Taken(baselines.read(path) if baselines.is_baseline(path) else foreign.read(path))
    saved = baselines.names(folder)
    if str(path) in saved:
        return Taken(baselines.read(baselines.path_of(str(path), folder=folder)))
    if saved:
        raise JournalError(f"{unknown('baseline', str(path), saved)} (in {folder}); and {path} is no run directory")
    raise JournalError(f"{path} is no run directory, and {folder} has no baselines")


def whole(path: Path) -> Taken:
    """Read all of a run directory. Raises JournalError, SchemaMismatchError."""
    from harness.comparing.snapshot import snapshot
    from harness.results.pairs.paired import policy_of
    from harness.results.run import read_run

    run = read_run(path)
    return Taken(snapshot(run), run, path, policy_of(run))


def with_canary(path: Path) -> Taken:
    """Read the records of a run directory and its canary, all of one that never closed. Raises as `whole`."""
    from harness.comparing.closed import read_closed

    found = read_closed(path, has_canary=True)
    return Taken(found.snapshot, place=path, policy=found.policy) if found else whole(path)


def records_alone(path: Path) -> Taken:
    """Read the records of a run directory, all of one that never closed. Raises as `whole`."""
    from harness.comparing.closed import read_closed

    found = read_closed(path, has_canary=False)
    return Taken(found.snapshot, place=path, policy=found.policy) if found else whole(path)


def _labelled(before: Taken, after: Taken) -> tuple[Taken, Taken]:
    """Tell sides of one name apart by the folder that they are in."""
    if before.snapshot.name != after.snapshot.name:
        return before, after
    sides = []
    for side, word in ((before, "base"), (after, "new")):
        parent = side.place.resolve().parent.name if side.place else "baseline"
        name = f"{parent}/{side.snapshot.name}"
        sides.append((side, name, word))
    if sides[0][1] == sides[1][1]:
        sides = [(side, f"{name} ({word})", word) for side, name, word in sides]
    return tuple(  # type: ignore[return-value]
        replace(
            side,
            snapshot=side.snapshot.model_copy(update={"name": name}),
            run=replace(side.run, label=name) if side.run else None,
        )
        for side, name, _ in sides
    )


def demands_of(shown: Gate) -> list[Demand]:
    """Read what fails the job. Raises DemandError."""
    from harness.comparing.demands import parse

    return [parse(text) for text in dict.fromkeys(shown.fail_on or ())]


def _rechecked(
    judged: Sequence[Judged], before: Taken, after: Taken, *, policy: ComparisonPolicy, telling: Telling
) -> list[Judged]:
    """Measure the cases once more that are slower, and keep of them what repeats; say where that can't be."""
    from harness.comparing.compare import compare
    from harness.comparing.demands import confirmed
    from harness.comparing.snapshot import snapshot
    from harness.runner.again import NotAtHandError, measure_again
    from harness.runner.supervisor import WorkerError

    cases = {name for one in judged if one.demand.quantity == "slower" for name in one.breaches}
    if not cases:
        return list(judged)
    if after.run is None:
        warn("--recheck: NEW is a baseline, which can't be measured again")
        return list(judged)
    directory = _beside(after.run.path)
    try:
        again = measure_again(after.run, cases, directory, progress=listener(telling))
    except (NotAtHandError, WorkerError) as error:
        warn(f"--recheck: not measured again, {error}")
        return list(judged)
    _teller(telling)(f"--recheck: measured again into {directory}")
    return confirmed(judged, compare(before.snapshot, snapshot(again), policy=policy))


def _beside(path: Path) -> Path:
    """Name a new directory beside a run's."""
    whole = path.resolve()
    names = [whole.with_name(f"{whole.name}-recheck{f'-{number}' if number else ''}") for number in range(100)]
    return next(one for one in names if not one.exists())


def end(
    changes: Changes,
    judged: Sequence[Judged],
    *,
    runs: Sequence[Run],
    gate: Gate,
    page: Path | None,
    telling: Telling,
) -> None:
    """Show a comparison, write its page, and end with its exit code."""
    from harness.comparing.demands import NOTHING, exit_code
    from reports.answer.changes import headline

    code = exit_code(changes, judged)
    if telling.json:
        from reports.exports.changes import document

        say(document(changes, judged, code=code))
    elif gate.form == "md":
        from reports.exports.changes import markdown

        say(markdown(changes, judged))
    else:
        _print(changes, judged)
    _write_files(changes, judged, runs=runs, junit=gate.junit, page=page, tell=_teller(telling))
    if code == NOTHING:
        raise fail(headline(changes), NOTHING)
    raise typer.Exit(code)


def _print(changes: Changes, judged: Sequence[Judged]) -> None:
    from reports.answer.changes import demand_lines, headline, remarks, title
    from reports.terminal.changes import left_out, means_of, table_of

    console = wide_console()
    say(title(changes))
    for line in (headline(changes), *remarks(changes)):
        say(line)
    for table in (table_of(changes, width=console.width), means_of(changes)):
        if table is not None:
            console.print()
            console.print(table)
    if more := left_out(changes):
        say(more)
    lines = demand_lines(changes, judged)
    if lines:
        say()
    for line in lines:
        say(line)


def _teller(telling: Telling) -> Callable[[str], None]:
    """Return what says where files are: on standard error, beside the results, or nowhere."""
    return (lambda _: None) if telling.quiet else warn


def opening_of(changes: Changes, judged: Sequence[Judged]) -> Opening:
    """Return what the page of a comparison opens with."""
    from reports.answer.changes import demand_lines, headline, title
    from reports.chapters.changes import changes_chapter
    from reports.page.render import Opening

    sentences = [headline(changes), *demand_lines(changes, judged)]
    return Opening(f"What changed: {title(changes)}", sentences, lambda: changes_chapter(changes, judged))


def _write_files(
    changes: Changes,
    judged: Sequence[Judged],
    *,
    runs: Sequence[Run],
    junit: Path | None,
    page: Path | None,
    tell: Callable[[str], None],
) -> None:
    """Write the page and the JUnit file that were asked for."""
    from attnbench.writing import write_file, write_page

    try:
        if junit is not None:
            from reports.exports.junit import gate

            write_file(gate(changes, judged).encode(), junit)
        if page is not None:
            if not runs:
                raise fail("-o needs a run: two baselines make no page")
            tell(f"page: {write_page(runs, page, opening=opening_of(changes, judged))}")
    except ValueError as error:
        raise fail(str(error)) from None
