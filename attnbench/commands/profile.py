"""`attnbench profile`: one call of one case taken apart, with its trace, what it holds, and what bounds it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.console import fail, listener, say, say_json, wide_console
from attnbench.options import SEED_AT_MOST, Narrowing, Place, Telling, grouped

if TYPE_CHECKING:
    from attnbench.options import Cases
    from harness.profiled import ProfileDocument
    from harness.results.plan_file import Plan
    from harness.runner.selection import Request

# What a directory holds once a case was profiled into it.
PAGE, TRACE, DOCUMENT, PARTS, MEMORY = "profile.html", "trace.json.gz", "profile.json", "parts.csv", "memory.csv"
COUNTERS = "counters.csv"
CASE_ID = re.compile(r"[0-9a-f]{16}")
DISAGREED = 3
VIEWER = "open it at https://ui.perfetto.dev"


@grouped
def profile_command(
    *,
    what: Annotated[str, typer.Argument(help="Scenario, TOML file or run directory; RUN/ID for one case of a run.")],
    narrowing: Narrowing,
    place: Place,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_AT_MOST, help="Seed of the inputs.")] = 0,
    bare: Annotated[
        bool, typer.Option("--bare", help="Only make the calls, in NVTX ranges: for nsys, ncu or perf around it.")
    ] = False,
    counters: Annotated[
        bool, typer.Option("--counters", help="Also read hardware counters of its kernels: CUDA, extra ncu.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Directory; new under runs/.")] = None,
    telling: Telling,
) -> None:
    """Take one call of one case apart: its operators or kernels, its memory, what bounds it; a wrong one is refused.

    Example: attnbench profile sequence-length -a n=512 --impl batched
    """
    from attnbench.reading import default_output
    from harness.protocol.messages import Failed, Refused
    from harness.runner.plan import make_plan
    from harness.runner.profiling import asking
    from harness.runner.profiling import counters as counting
    from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings

    folder = output or default_output()
    try:
        source, identity = _parted(what)
        request = _request(source, narrowing.of(source), place)
        shown = listener(telling)
        with Supervisor(WorkerSettings.of(request), progress=shown) as supervisor:
            plan = make_plan(request, supervisor, progress=shown)
            planned = asking.choose(plan, identity=identity)
            if not bare:
                folder.mkdir(parents=True, exist_ok=True)
            trace = folder.absolute() / TRACE
            found = asking.profile(supervisor, planned, seed=seed, trace=trace, is_bare=bare)
        if isinstance(found, Refused | Failed):
            raise fail(f"{planned.case.label}: {found.status}: {found.reason}", DISAGREED)
        if counters and not bare:
            read, why = counting.collect(WorkerSettings.of(request), planned.case, seed=seed)
            found = found.model_copy(update={"counters": read, "counters_reason": why})
        if not bare:
            found = _written(found, folder, plan)
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or folder}: {error.strerror}") from None
    if telling.json:
        say_json(found.model_dump(mode="json", by_alias=True))
    else:
        _show(found)


def _parted(what: str) -> tuple[str, str]:
    """Return a run directory and the id of a case in it, or what was given and no id."""
    path = Path(what)
    return (str(path.parent), path.name) if CASE_ID.fullmatch(path.name) and path.parent.is_dir() else (what, "")


def _request(source: str, cases: Cases, place: Place) -> Request:
    """Ask for the cases of scenarios, or of a run's scenarios as it measured them. Raises ValueError."""
    from attnbench.reading import make_request

    if not Path(source).is_dir():
        return make_request(cases, place)
    from harness.machine import devices
    from harness.results import journal
    from harness.results.documents import JournalError
    from harness.results.run import of_one_machine

    of_one_machine(Path(source))
    plan = journal.read_plan(Path(source))
    if plan is None:
        raise JournalError(f"{source} is no run directory")
    files = [*plan.impl_files, *(cases.impl_file or ())]
    request = make_request(replace(cases, scenarios=None, impl_file=files), place)
    return replace(
        request,
        scenarios=tuple(plan.scenarios),
        # A run merged of several cards of a kind names none of them.
        device=request.device if place.device else devices.choose(plan.device),
        threads=place.threads or plan.threads,
    )


def _written(found: ProfileDocument, folder: Path, plan: Plan) -> ProfileDocument:
    """Write what was found beside its trace, and return it with the names of its files and what else to paste."""
    from attnbench.writing import write_file
    from harness.results import documents
    from harness.runner.profiling.others import commands
    from reports.exports import profile as tables
    from reports.page import profile as page
    from reports.page.embedded import profiling

    again = shlex.split(profiling(found.profile.case, plan=plan))
    files = [folder / name for name in (PAGE, TRACE, DOCUMENT, PARTS, MEMORY)]
    files += [folder / COUNTERS] if found.counters else []
    whole = found.model_copy(
        update={
            "commands": [documents.whole(line) for line in commands(again, device=plan.device, folder=folder)],
            "files": [documents.whole(str(file)) for file in files],
        }
    )
    write_file(tables.parts(found.profile), folder / PARTS)
    write_file(tables.held(found.profile), folder / MEMORY)
    if found.counters:
        write_file(tables.counters(found.counters), folder / COUNTERS)
    write_file(page.html(whole).encode(), folder / PAGE)
    write_file(whole.model_dump_json(by_alias=True, indent=1).encode(), folder / DOCUMENT)
    return whole


def _show(found: ProfileDocument) -> None:
    from reports.terminal import profile as terminal

    for line in terminal.heading(found.profile):
        say(line)
    if found.profile.parts:
        say()
        wide_console().print(terminal.table(found.profile))
        say()
    for line in terminal.text(found):
        say(f"{line} ({VIEWER})" if line.endswith(TRACE) else line)
