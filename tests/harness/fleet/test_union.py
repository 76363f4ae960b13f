"""The union of the parts of one environment: facts of all, ceilings of the best, notes of each."""

from __future__ import annotations

import json

import pytest

from harness.fleet.parts import read_parts
from harness.fleet.union import of_environment
from harness.results import journal
from harness.results.journal import Journal
from tests.support.parts import change, make_parts


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    made = make_parts(tmp_path_factory.mktemp("parts"), count=2)
    environment = json.loads((made[1] / "environment.json").read_text())
    larger = [{**one, "value": 2 * one["value"]} for one in environment["ceilings"]]
    change(made[1] / "environment.json", ceilings=[*larger[:1], *environment["ceilings"][1:]])
    degrees = {"problem": "attention", "implementation": "loop", "how": "declared", "reason": "a test"}
    for part in made:
        with Journal(part) as log:
            log.append_facts(f"{journal.DEGREES}attention loop forward", degrees)
    return read_parts(made)[0]


def test_the_environment_has_what_all_parts_share_and_the_largest_ceilings(parts):
    found = of_environment(parts).environment
    before = [part.environment.ceilings for part in parts]
    assert found.ceilings[0].value == before[1][0].value == 2 * before[0][0].value
    assert found.ceilings[1:] == before[0][1:]
    assert "hostname" not in found.volatile
    assert found.reasons["hostname"] == "it is not the same in all parts"
    assert found.volatile["cores"] == "0-1"
    assert found.id == parts[0].environment.id


def test_facts_are_there_once_and_warnings_name_their_part(parts):
    files = of_environment(parts).files(warnings=["mind this"], is_whole=True)
    lines = [json.loads(line) for line in files[journal.JOURNAL].splitlines()]
    assert [line["about"] for line in lines if line["kind"] == "facts"] == ["degrees attention loop forward"]
    summary = json.loads(files[journal.SUMMARY])
    assert summary["warnings"][0] == "mind this"
    assert summary["warnings"][1].startswith("part-1: 31 % of the samples")
    assert (summary["complete"], summary["wall_seconds"], summary["workers"]) == (True, 500.0, 2)


def test_the_plan_is_the_whole_one_with_a_command_that_says_how_it_came_about(parts):
    plan = of_environment(parts).plan
    assert plan.part is None
    assert plan.command == ["attnbench", "merge", "part-1", "part-2"]
    assert [one.case.id for one in plan.cases] == list(parts[0].whole)
    assert plan.baseline == "sdpa-math"
