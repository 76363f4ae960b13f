"""Agreement alone: the battery over implementations, each in a process of its own, and how its result is shown."""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.process import Lost
from harness.records import SCHEMA, Fact, Outcome
from harness.run import Host
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

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
        request = {"problem": problem, "quick": quick, "only": only}
        tasks = host.must({"do": "battery", **request})["probes"]
        outcomes = []
        for entry in chosen:
            for dtype in entry.get("dtypes", ()):
                if entry["available"] and (not dtypes or dtype in dtypes):
                    progress.note(f"checking {entry['name']} {dtype}")
                    settings = {**request, "seed": options.seed, "implementation": entry["name"], "dtype": dtype}
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


def render(report: Report, console: Console, *, impl_files: Sequence[str | Path] = ()) -> None:
    """Print a table of implementations by dtype, then each first failure and the command that reproduces it."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Agreement with the float64 oracle: {report.problem} on {report.device}", title_justify="left")
    for heading in ("implementation", "dtype", "result", "probes", "largest error / budget", "in"):
        table.add_column(heading, justify="right" if heading in {"probes", "largest error / budget"} else "left")
    failures = []
    for (name, dtype), outcomes in _grouped(report.outcomes).items():
        bad = [outcome for outcome in outcomes if outcome.status not in {"ok", "unsupported"}]
        ratios = [(o.agreement.ratio, o.title) for o in outcomes if o.agreement is not None and o.agreement.ratio]
        ratio, title = max(ratios, default=(None, ""))
        passed, asked = (sum(o.status == "ok" for o in outcomes), sum(o.status != "unsupported" for o in outcomes))
        result = f"[red]{bad[0].status}[/]" if bad else "[green]agrees[/]"
        table.add_row(
            escape(name), dtype, result, f"{passed}/{asked}", "" if ratio is None else f"{ratio:.3g}", escape(title)
        )
        failures += bad[:1]
    console.print(table)
    for missing in report.unavailable:
        console.print(f"[yellow]unavailable[/] {escape(missing.name)}: {escape(missing.reason)}", highlight=False)
    for outcome in failures:
        console.print(
            f"[red]{outcome.status}[/] {escape(outcome.implementation)} {outcome.dtype}, {escape(outcome.title)}: "
            f"{escape(outcome.reason)}",
            highlight=False,
        )
        console.print(
            f"  again: {escape(reproduction(outcome, problem=report.problem, impl_files=impl_files))}",
            highlight=False,
            soft_wrap=True,
        )


def reproduction(outcome: Outcome, *, problem: str = "attention", impl_files: Sequence[str | Path] = ()) -> str:
    """Return the command that repeats one outcome's probe."""
    words = ["attnbench", "check"]
    words += [] if problem == "attention" else ["--problem", problem]
    words += ["--impl", outcome.implementation]
    for file in impl_files:
        words += ["--impl-file", str(file)]
    if outcome.dtype:
        words += ["--dtype", outcome.dtype]
    words += ["--device", outcome.device, "--seed", str(outcome.seed)]
    if outcome.dtype:
        words += ["-k", outcome.title]
    return shlex.join(words)


def _grouped(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.implementation, outcome.dtype), []).append(outcome)
    return groups


def junit(report: Report) -> str:
    """Return the report as JUnit XML: a suite for each implementation and dtype, a case for each probe."""
    root = ET.Element("testsuites", name=f"attnbench check {report.problem} on {report.device}")
    for (name, dtype), outcomes in _grouped(report.outcomes).items():
        suite = ET.SubElement(root, "testsuite", name=f"{name} {dtype}".strip(), tests=str(len(outcomes)))
        suite.set("failures", str(sum(outcome.status == "disagreed" for outcome in outcomes)))
        suite.set("errors", str(sum(outcome.status in NO_ANSWER for outcome in outcomes)))
        suite.set("skipped", str(sum(outcome.status == "unsupported" for outcome in outcomes)))
        for outcome in outcomes:
            element = ET.SubElement(suite, "testcase", classname=f"{name}.{dtype}", name=outcome.title)
            tag = {"ok": "", "disagreed": "failure", "unsupported": "skipped"}.get(outcome.status, "error")
            if tag:
                ET.SubElement(element, tag, message=_xml_text(outcome.reason))
    for missing in report.unavailable:
        suite = ET.SubElement(root, "testsuite", name=missing.name, tests="1", errors="1" if missing.asked else "0")
        element = ET.SubElement(suite, "testcase", classname=missing.name, name="import")
        ET.SubElement(element, "error" if missing.asked else "skipped", message=_xml_text(missing.reason))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _xml_text(text: str) -> str:
    """Drop the control characters that XML has no way to write."""
    return "".join(character for character in text if character in "\t\n" or ord(character) >= ord(" "))
