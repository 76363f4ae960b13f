"""The result of `attnbench check` as JUnit XML, for continuous integration."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from typing import TYPE_CHECKING

from reports.terminal.check import by_implementation
from reports.text import xml

if TYPE_CHECKING:
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
        suite = ET.SubElement(
            root, "testsuite", name=xml(missing.name), tests="1", errors="1" if missing.asked else "0"
        )
        element = ET.SubElement(suite, "testcase", classname=xml(missing.name), name="import")
        ET.SubElement(element, "error" if missing.asked else "skipped", message=xml(missing.reason))
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
