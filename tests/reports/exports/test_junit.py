"""A check as JUnit XML: a suite for each implementation and dtype, a case for each probe, all counted."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from harness.comparing.compare import compare
from harness.comparing.demands import judge_demands, parse
from harness.policy import ComparisonPolicy
from harness.records import ProbeOutcome
from harness.runner.check import Report, Unavailable
from reports.exports.junit import gate, junit
from tests.support.comparisons import case, side


def outcome(status, *, name="mine", reason="", probe="equal scores"):
    return ProbeOutcome(
        implementation=name, probe=probe, dtype="float32", device="cpu", direction="forward", seed=0, status=status,
        reason=reason,
    )  # fmt: skip


def suites(*outcomes, unavailable=()):
    report = Report(problem="attention", device="cpu", outcomes=list(outcomes), unavailable=list(unavailable))
    return ET.fromstring(junit(report)).findall("testsuite")


@pytest.mark.parametrize(
    ("status", "tag"),
    [
        ("disagreed", "failure"),
        ("unsupported", "skipped"),
        ("crashed", "error"),
        ("timeout", "error"),
        ("oom", "error"),
    ],
)
def test_what_a_probe_showed_is_what_junit_calls_it(status, tag):
    (suite,) = suites(outcome("ok"), outcome(status, reason="because", probe="another"))
    first, second = suite.findall("testcase")
    assert list(first) == []
    assert [(child.tag, child.get("message")) for child in second] == [(tag, "because")]
    counted = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    assert {suite.get(name) for kind, name in counted.items() if kind != tag} == {"0"}
    assert (suite.get("tests"), suite.get(counted[tag])) == ("2", "1")


def test_implementations_have_suites_of_their_own():
    found = suites(outcome("ok"), outcome("ok", name="other"), outcome("ok", probe="another"))
    assert [(suite.get("name"), suite.get("tests")) for suite in found] == [
        ("mine float32", "2"),
        ("other float32", "1"),
    ]


def test_control_characters_that_xml_cannot_hold_are_dropped():
    (suite,) = suites(outcome("crashed", reason="\x1b[31mred\x00\tand\nmore <&>"))
    assert suite.find("testcase/error").get("message") == "[31mred\tand\nmore <&>"


def test_an_implementation_that_was_asked_for_and_is_missing_is_an_error_and_another_is_skipped():
    asked, other = suites(
        unavailable=[
            Unavailable(name="mine", reason="no module", asked=True),
            Unavailable(name="flex", reason="no triton"),
        ]
    )
    assert (asked.get("errors"), asked.find("testcase/error").get("message")) == ("1", "no module")
    assert (other.get("errors"), other.find("testcase/skipped").get("message")) == ("0", "no triton")


def test_every_file_has_what_the_schema_of_jenkins_asks_for():
    changes = compare(side([case()]), side([case(seconds=2e-3)]), policy=ComparisonPolicy())
    missing = [Unavailable(name="flex", reason="no triton"), Unavailable(name="mine", reason="gone", asked=True)]
    report = Report(problem="attention", device="cpu", outcomes=[outcome("disagreed")], unavailable=missing)
    for written in (junit(report), gate(changes, judge_demands(changes, [parse("slower:5%"), parse("disagreed")]))):
        root = ET.fromstring(written)
        assert root.tag == "testsuites"
        for suite in root:
            # junit-10.xsd of jenkinsci/xunit-plugin.
            assert set(suite.attrib) == {"name", "tests", "failures", "errors", "skipped"}
            tags = [child.tag for one in suite for child in one]
            assert {element.tag for element in suite} == {"testcase"}
            assert int(suite.get("tests")) == len(suite)
            counted = [int(suite.get(name)) for name in ("failures", "errors", "skipped")]
            assert counted == [tags.count(name) for name in ("failure", "error", "skipped")]
            assert all(set(element.attrib) == {"classname", "name"} for element in suite)


def test_the_gate_of_a_comparison_has_a_suite_for_each_demand():
    base = [case(), case("online"), case("loop")]
    new = [case(seconds=2e-3), case("online", extra_bytes=9999), case("loop", status="crashed", reason="SIGSEGV")]
    demands = [parse("slower:5%"), parse("memory")]
    changes = compare(side(base), side(new), policy=ComparisonPolicy())
    slower, memory = ET.fromstring(gate(changes, judge_demands(changes, demands)))
    assert dict(slower.attrib) == {"name": "slower:5%", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    assert [[child.tag for child in element] for element in slower] == [["failure"], [], ["skipped"]]
    assert slower[0][0].get("message").startswith("slower: 1.00 ms -> 2.00 ms, ratio 2.00")
    assert slower[2][0].get("message") == "crashed in NEW: SIGSEGV"
    assert [[child.tag for child in element] for element in memory] == [[], ["failure"], ["skipped"]]


def test_a_demand_with_nothing_to_judge_is_an_error():
    changes = compare(side([case()]), side([]), policy=ComparisonPolicy())
    [suite] = ET.fromstring(gate(changes, judge_demands(changes, [parse("slower:5%")])))
    assert (suite.get("tests"), suite.get("errors"), suite.get("skipped")) == ("2", "1", "1")
    assert suite[-1][0].tag == "error"
