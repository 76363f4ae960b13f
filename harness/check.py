"""How the result of a check is shown: a table, the command that repeats a failure, JUnit."""

from __future__ import annotations

import shlex
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from harness.runner.check import NO_ANSWER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.records import Outcome
    from harness.runner.check import Report


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
