"""The result of `attnbench check`, and the gate of `attnbench compare`, as JUnit XML for continuous integration."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from typing import TYPE_CHECKING

from reports.answer import changes as answer
from reports.terminal.check import by_implementation
from reports.text import xml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.comparing.demands import Judged
    from harness.comparing.results import Changes, Compared
    from harness.runner.check import Report

# What JUnit calls a probe that did not agree, by its status; every other one is an error.
TAGS = {"ok": "", "disagreed": "failure", "unsupported": "skipped"}


def junit(report: Report) -> str:
    """Return the report as JUnit XML: a suite for each implementation and dtype, a case for each probe."""
    root = ET.Element("testsuites", name=f"attnbench check {report.problem} on {report.device}")
    for (name, dtype), outcomes in by_implementation(report.outcomes).items():
        tags = [TAGS.get(outcome.status, "error") for outcome in outcomes]
        count = Counter(tags)
        suite = ET.SubElement(root, "testsuite", name=xml(f"{name} {dtype}".strip()), tests=str(len(outcomes)))
        suite.set("failures", str(count["failure"]))
        suite.set("errors", str(count["error"]))
        suite.set("skipped", str(count["skipped"]))
        for outcome, tag in zip(outcomes, tags, strict=True):
            element = ET.SubElement(suite, "testcase", classname=xml(f"{name}.{dtype}"), name=xml(outcome.title))
            if tag:
                ET.SubElement(element, tag, message=xml(outcome.reason))
    for missing in report.unavailable:
        suite = ET.SubElement(root, "testsuite", name=xml(missing.name), tests="1", failures="0")
        suite.set("errors", str(int(missing.asked)))
        suite.set("skipped", str(int(not missing.asked)))
        element = ET.SubElement(suite, "testcase", classname=xml(missing.name), name="import")
        ET.SubElement(element, "error" if missing.asked else "skipped", message=xml(missing.reason))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def gate(changes: Changes, judged: Sequence[Judged]) -> str:
    """Return the gate of a comparison as JUnit XML: a suite for each demand, in it every case.

    A breach is a failure, a case that can't be judged is skipped; a demand with nothing to judge is an error.
    """
    root = ET.Element("testsuites", name=xml(f"attnbench compare {answer.title(changes)}"))
    for one, line in zip(judged, answer.demand_lines(changes, judged), strict=True):
        breaches = set(one.breaches)
        skipped = one.total - one.compared
        suite = ET.SubElement(root, "testsuite", name=one.demand.text, tests=str(one.total + (one.holds is None)))
        suite.set("failures", str(len(breaches)))
        suite.set("errors", str(int(one.holds is None)))
        suite.set("skipped", str(skipped))
        for case in changes.cases:
            name = f"{case.case.implementation}.{case.case.scenario}"
            element = ET.SubElement(suite, "testcase", classname=xml(name), name=xml(answer.point(case)))
            if case.case.id in breaches:
                ET.SubElement(element, "failure", message=xml(_figures(case)))
            elif case.case.id not in one.judged:
                ET.SubElement(element, "skipped", message=xml(case.reason or "no such figure on both sides"))
        if one.holds is None:
            element = ET.SubElement(suite, "testcase", classname="gate", name="something to judge")
            ET.SubElement(element, "error", message=xml(line))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _figures(case: Compared) -> str:
    row = answer.row(case)
    return (
        f"{case.outcome}: {row.base} -> {row.new}, ratio {row.ratio} ({row.interval}); extra memory {row.memory}; "
        f"operations {row.operations}; {row.remark}".rstrip("; ")
    )
