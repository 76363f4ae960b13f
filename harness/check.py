"""Agreement alone: the battery over implementations, in worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.process import Lost
from harness.records import SCHEMA, Fact, Outcome
from harness.run import Host
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.run import Options, Progress

# One probe may compile a kernel, on a machine that compiles others beside it.
PROBE_SECONDS = 300.0
DISAGREED, FAILED, FINE = 3, 4, 0
# Statuses of an implementation that gave no answer.
NO_ANSWER = frozenset({"crashed", "timeout", "oom"})


class Unavailable(Fact):
    """An implementation that could not be examined; `asked` where it was named or its file given."""

    name: str
    reason: str
    asked: bool = False


class Report(Fact):
    """The result of a check: an outcome for every probe, and what could not be examined."""

    schema_version: str = SCHEMA
    problem: str
    device: str
    outcomes: list[Outcome]
    unavailable: list[Unavailable]

    @property
    def exit_code(self) -> int:
        """Return 3 for a disagreement, 4 for no answer or nothing to examine where it was asked for, else 0."""
        statuses = {outcome.status for outcome in self.outcomes}
        if "disagreed" in statuses:
            return DISAGREED
        return FAILED if statuses & NO_ANSWER or any(missing.asked for missing in self.unavailable) else FINE


def check(
    options: Options,
    *,
    names: Sequence[str] = (),
    problem: str = "attention",
    dtypes: Sequence[str] = (),
    quick: bool = False,
    only: str = "",
    progress: Progress,
    heard: Callable[[Outcome], None] = lambda _: None,
) -> Report:
    """Run the battery of a problem for the named implementations, else those of the given files, else for all.

    `options` give device, implementation files, policy and seed. No implementation is imported here, but in worker
    processes, replaced where an implementation kills one. `only` keeps probes whose title contains it; `heard` is
    told each outcome as it comes. Raises KeyError for an unknown name, WorkerError where no worker can be had.
    """
    host = Host(options, progress=progress)
    try:
        entries = [entry for entry in host.must({"do": "describe"})["implementations"] if entry["problem"] == problem]
        chosen = _chosen(entries, names, options.impl_files)
        request = {"problem": problem, "quick": quick, "only": only, "seed": options.seed}
        tasks = host.must({"do": "battery", **request})["tasks"]
        outcomes = []
        for entry in chosen:
            for dtype in entry.get("dtypes", ()):
                if entry["available"] and (not dtypes or dtype in dtypes):
                    progress.note(f"checking {entry['name']} {dtype}")
                    settings = {**request, "implementation": entry["name"], "dtype": dtype}
                    for outcome in _outcomes(host, settings, tasks, device=options.device):
                        outcomes.append(outcome)
                        heard(outcome)
    finally:
        host.drop()
    asked = bool(names or options.impl_files)
    missing = [
        Unavailable(name=absent["name"], reason=absent["reason"], asked=asked)
        for absent in chosen
        if not absent["available"]
    ]
    sources = {entry["source"] for entry in entries}
    missing += [
        Unavailable(name=file, reason=f"registers no implementation of {problem}", asked=True)
        for file in options.impl_files
        if str(Path(file).resolve()) not in sources
    ]
    return Report(problem=problem, device=options.device, outcomes=outcomes, unavailable=missing)


def _chosen(entries: list[dict[str, Any]], names: Sequence[str], impl_files: Sequence[str]) -> list[dict[str, Any]]:
    if names:
        known = {entry["name"]: entry for entry in entries}
        wrong = [name for name in names if name not in known]
        if wrong:
            raise KeyError(unknown("implementation", wrong[0], known))
        return [known[name] for name in dict.fromkeys(names)]
    if impl_files:
        files = {str(Path(file).resolve()) for file in impl_files}
        return [entry for entry in entries if entry.get("source") in files]
    return entries


def _outcomes(host: Host, settings: dict[str, Any], tasks: list[dict[str, Any]], *, device: str) -> Iterator[Outcome]:
    """Ask for one task after another; after a lost worker the next one goes on."""
    for index, task in enumerate(tasks):
        answer = host.ask({"do": "probe", "index": index, **settings}, seconds=PROBE_SECONDS)
        if isinstance(answer, Lost):
            yield Outcome(
                implementation=settings["implementation"],
                dtype=settings["dtype"],
                device=device,
                seed=settings["seed"],
                status=answer.status,
                reason=answer.reason,
                **task,
            )
        else:
            yield Outcome.model_validate(answer["outcome"])
