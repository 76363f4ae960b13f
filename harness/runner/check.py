"""Agreement alone: the battery over implementations, each in a worker that is replaced if it is lost."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from harness.protocol.messages import Describe, Failed, ListProbes, Refused, RunProbe
from harness.records import SCHEMA, DataModel, ProbeOutcome
from harness.runner.supervisor import Supervisor
from impls.registry import unknown
from impls.variants import default_name, matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.protocol.messages import DescribedImplementation, ListedProbe, ProbesListed, Shapes
    from harness.runner.progress import Progress
    from harness.runner.supervisor import WorkerSettings

# One probe may compile a kernel, on a machine that compiles others beside it.
PROBE_SECONDS = 300.0
DISAGREED, FAILED, NOTHING, FINE = 3, 4, 2, 0
# Statuses of one that is wrong, or that changed what it shares with others.
WRONG = frozenset({"disagreed", "invalid"})
# Statuses of an implementation that gave no answer.
NO_ANSWER = frozenset({"crashed", "timeout", "oom", "unavailable"})


class Unavailable(DataModel):
    """An implementation that could not be examined; `asked` if it was named or its file given.

    `elsewhere` if it is for other devices alone.
    """

    name: str
    reason: str
    asked: bool = False
    elsewhere: bool = False


class Few(DataModel):
    """What one that compiles for each shape was asked, of how much: probes, and the points that they are at."""

    implementation: str
    dtype: str
    probes: int
    of_probes: int
    points: int
    of_points: int


class Report(DataModel):
    """The result of a check: an outcome for every probe, and what could not be examined.

    `longest` is the greatest length among the probes that were asked; 0 if none was. `few` says of whom not all was
    asked, as each further shape takes seconds.
    """

    schema_version: str = SCHEMA
    problem: str
    device: str
    outcomes: list[ProbeOutcome]
    unavailable: list[Unavailable]
    longest: int = 0
    few: list[Few] = Field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Return the code of the worst outcome.

        3: a disagreement or a changed process; 4: no answer, or an implementation not examined; 2: nothing was asked.
        """
        statuses = {outcome.status for outcome in self.outcomes}
        if statuses & WRONG:
            return DISAGREED
        if statuses & NO_ANSWER or any(missing.asked for missing in self.unavailable):
            return FAILED
        return NOTHING if self.nothing else FINE

    @property
    def nothing(self) -> str:
        """Say why nothing was held against the oracle; "" where something was."""
        if any(outcome.status != "unsupported" for outcome in self.outcomes):
            return ""
        if self.outcomes:
            return f"nothing was checked: none of {len(self.outcomes)} probes is supported by what was asked for"
        return "nothing was checked: no probe, implementation and dtype fit what was asked for"


def check(
    settings: WorkerSettings,
    *,
    names: Sequence[str] = (),
    problem: str = "attention",
    dtypes: Sequence[str] = (),
    quick: bool = False,
    only: str = "",
    every: bool = False,
    seed: int = 0,
    progress: Progress,
) -> Report:
    """Run the battery of a problem for the named implementations, else those of the given files, else for all others.

    What is examined on request alone is left out of these. Where implementations or files are named, each value of
    their options is asked the quick probes.

    What compiles for each shape is asked on few shapes, on the fewest in its second dtype and beyond, or where the
    battery is `quick`; on all where `every` or `only` is given.

    No implementation is imported here, but in worker processes, replaced if an implementation kills one. `only` keeps
    probes whose title contains it. Raises KeyError for a name or pattern that none has, WorkerError if no worker
    can be had.
    """
    with Supervisor(settings, progress=progress) as supervisor:
        entries = [entry for entry in supervisor.require(Describe()).implementations if entry.problem == problem]
        chosen = _chosen(entries, names, settings.impl_files)
        known = {entry.name: entry for entry in entries}
        values = [entry for entry in entries if entry not in chosen and known.get(default_name(entry.name)) in chosen]
        # Each value of an option is asked the quick probes where its implementation is asked for.
        values = values if names or settings.impl_files else []

        @functools.cache
        def listed(*, few: bool, shapes: Shapes = "all", implementation: str = "") -> ProbesListed:
            return supervisor.require(
                ListProbes(problem=problem, quick=few, only=only, shapes=shapes, implementation=implementation)
            )

        # By dtype first, as implementations share what is right of a dtype's inputs.
        examined = [
            (entry, dtype, quick or entry in values)
            for dtype in dict.fromkeys(dtype for entry in chosen for dtype in entry.dtypes)
            if not dtypes or dtype in dtypes
            for entry in (*chosen, *values)
            if entry.available and dtype in entry.dtypes
        ]
        outcomes, longest, spared, met = [], 0, [], set()
        for entry, dtype, few in examined:
            shapes: Shapes = "all"
            if entry.compiles and not (every or only):
                shapes = "fewest" if few or entry.name in met else "few"
            met.add(entry.name)
            asked = listed(few=few, shapes=shapes, implementation="" if shapes == "all" else entry.name)
            if shapes != "all":
                spared.append(_few(entry.name, dtype, asked, listed(few=few)))
            progress.examining(entry.name, dtype, probes=len(asked.probes))
            for index, probe in enumerate(asked.probes):
                request = RunProbe(
                    problem=problem,
                    quick=few,
                    only=only,
                    shapes=shapes,
                    index=index,
                    implementation=entry.name,
                    dtype=dtype,
                    seed=seed,
                )
                outcomes.append(_outcome(supervisor, request, probe))
                longest = max(longest, probe.length if outcomes[-1].status != "unsupported" else 0)
                progress.probed()
    order = {entry.name: place for place, entry in enumerate((*chosen, *values))}
    outcomes.sort(key=lambda outcome: order[outcome.implementation])
    missing = _missing(entries, chosen, impl_files=settings.impl_files, problem=problem, is_named=bool(names))
    return Report(
        problem=problem,
        device=settings.device,
        outcomes=outcomes,
        unavailable=missing,
        longest=longest,
        few=spared,
    )


def _few(implementation: str, dtype: str, asked: ProbesListed, battery: ProbesListed) -> Few:
    return Few(
        implementation=implementation,
        dtype=dtype,
        probes=len(asked.probes),
        of_probes=len(battery.probes),
        points=asked.points,
        of_points=battery.points,
    )


def _chosen(
    entries: list[DescribedImplementation], names: Sequence[str], impl_files: Sequence[str]
) -> list[DescribedImplementation]:
    """Return the implementations of these names or patterns, else those of the files, else all but those on request.

    Raises KeyError for a name that none has.
    """
    if names:
        known = {entry.name: entry for entry in entries}
        found = {name: [one for one in known if matches(one, name)] for name in names}
        wrong = [name for name, some in found.items() if not some]
        if wrong:
            raise KeyError(unknown("implementation", wrong[0], known))
        return [known[one] for one in dict.fromkeys(one for some in found.values() for one in some)]
    if impl_files:
        files = {str(Path(file).resolve()) for file in impl_files}
        return [entry for entry in entries if entry.source in files and default_name(entry.name) == entry.name]
    return [entry for entry in entries if not entry.on_request]


def _outcome(supervisor: Supervisor, request: RunProbe, probe: ListedProbe) -> ProbeOutcome:
    """Run one probe; a worker lost at it costs this outcome alone."""
    answer = supervisor.ask(request, seconds=PROBE_SECONDS)
    if not isinstance(answer, Failed | Refused):
        return answer.outcome
    return ProbeOutcome(
        implementation=request.implementation,
        probe=probe.probe,
        dtype=request.dtype,
        device=supervisor.settings.device,
        direction=probe.direction,
        seed=request.seed,
        status=answer.status,
        reason=answer.reason,
    )


def _missing(
    entries: Sequence[DescribedImplementation],
    chosen: Sequence[DescribedImplementation],
    *,
    impl_files: Sequence[str],
    problem: str,
    is_named: bool,
) -> list[Unavailable]:
    """List what could not be examined: chosen implementations, and files that register none of the problem."""
    asked = is_named or bool(impl_files)
    sources = {entry.source for entry in entries}
    return [
        Unavailable(name=entry.name, reason=entry.reason, asked=asked, elsewhere=entry.elsewhere)
        for entry in chosen
        if not entry.available
    ] + [
        Unavailable(name=file, reason=f"registers no implementation of {problem}", asked=True)
        for file in impl_files
        if str(Path(file).resolve()) not in sources
    ]
