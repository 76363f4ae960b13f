"""`attnbench ab`: two environments, or two versions of a kernel, measured in turn on one device and compared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.commands.comparing.compare import Gate, demands_of, end, judge_pair
from attnbench.console import INTERRUPTED, fail, listener, say_empty, warn
from attnbench.options import (
    Cases,
    Effort,
    Fast,
    Place,
    Rigorous,
    RunDirectory,
    Seed,
    Telling,
    TimeBudget,
    Timeout,
    grouped,
)

if TYPE_CHECKING:
    from pathlib import Path

    from harness.runner.execute import Finished
    from harness.runner.pairing.sides import Asked
    from harness.runner.selection import Request, TimeLimits

SIDES_AT_MOST = 2


@dataclass(frozen=True)
class Turns:
    """How both sides measure: how long, how closely, from which seed."""

    fast: Fast = False
    rigorous: Rigorous = False
    time_budget: TimeBudget = None
    timeout: Timeout = None
    seed: Seed = 0

    @property
    def effort(self) -> Effort:
        """Return it as a run has it."""
        return Effort(
            fast=self.fast,
            rigorous=self.rigorous,
            time_budget=self.time_budget,
            timeout=self.timeout,
            seed=self.seed,
        )


@grouped
def ab_command(
    *,
    base_python: Annotated[
        str, typer.Argument(help="Python of the environment that counts as 1.0x; it has attnbench.")
    ],
    new_python: Annotated[str, typer.Argument(help="Python of the other environment, or the same one.")],
    cases: Cases,
    place: Place,
    turns: Turns,
    gate: Gate,
    output: RunDirectory = None,
    telling: Telling,
) -> None:
    """Measure two environments in turn (A B B A) on one device, and compare them case by case, as `compare` does.

    --impl-file once is for both sides, twice for BASE and NEW. Exit codes are those of `compare`.

    Example: attnbench ab base/bin/python head/bin/python smoke --fail-on slower:5% --fail-on disagreed
    """
    started = time.monotonic()
    from attnbench.reading import default_output, make_run_request, make_time_limits
    from harness.comparing.demands import NOTHING
    from harness.runner.pairing.sides import NoSideError
    from harness.runner.selection import EmptyShardError
    from harness.runner.supervisor import WorkerError

    directory = output or default_output()
    try:
        demands_of(gate)
        sides = sides_of(base_python, new_python, cases.impl_file or [])
        request = make_run_request(cases, place, turns.effort)
        limits = make_time_limits(turns.effort, started=started)
        finished = measure(request, sides, directory, limits=limits, telling=telling)
        changes, judged, runs = judge_pair(directory, gate)
    except EmptyShardError as empty:
        say_empty(str(empty), telling)
        return
    except NoSideError as error:
        raise fail(f"nothing to judge: {error}", NOTHING) from None
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror}") from None
    from attnbench.writing import write_file
    from harness.comparing.demands import exit_code
    from harness.results.journal import REPORT
    from harness.results.pairs.pair_file import COMPARISON
    from reports.exports.changes import document

    if not telling.quiet:
        for line in _warnings(finished):
            warn(line)
    write_file(document(changes, judged, code=exit_code(changes, judged)).encode(), directory / COMPARISON)
    try:
        end(changes, judged, runs=runs, gate=gate, page=directory / REPORT, telling=telling)
    except typer.Exit as ending:
        raise typer.Exit(INTERRUPTED if finished[0].is_interrupted else ending.exit_code) from None


def sides_of(base: str, new: str, files: list[str]) -> tuple[Asked, Asked]:
    """Read who the sides are; one file is for both, the second of two for NEW. Raises SelectionError."""
    from harness.runner.pairing.sides import Asked, find_interpreter
    from harness.runner.selection import SelectionError

    if len(files) > SIDES_AT_MOST:
        raise SelectionError(f"--impl-file: one file for both sides, or two for BASE and NEW, not {len(files)}")
    own = [tuple(files[:1]), tuple(files[-1:])]
    return Asked("base", find_interpreter(base), own[0]), Asked("new", find_interpreter(new), own[1])


def measure(
    request: Request, sides: tuple[Asked, Asked], directory: Path, *, limits: TimeLimits, telling: Telling
) -> tuple[Finished, Finished]:
    """Take both sides to their end under a bar or lines, on standard error."""
    from harness.results.pairs.pair_file import PAIR
    from harness.runner.pairing.execute import measure_pair

    try:
        with listener(telling) as shown:
            return measure_pair(request, sides, directory, progress=shown, limits=limits)
    except KeyboardInterrupt:
        has_both = (directory / PAIR).exists()
        raise fail(
            f"interrupted: {directory} has what was measured"
            if has_both
            else "interrupted before anything was measured",
            INTERRUPTED,
        ) from None


def _warnings(finished: tuple[Finished, Finished]) -> list[str]:
    """Return what both sides warn of, once where they warn of the same."""
    return list(dict.fromkeys(warning for one in finished for warning in one.summary.warnings))
