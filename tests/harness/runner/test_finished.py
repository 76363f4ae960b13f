"""A run that is finished is not measured again; one that lacks anything is gone on with."""

from __future__ import annotations

import json

import pytest

from harness.results import journal
from harness.runner.execute import _finished, stored_plan
from tests.support.runs import make_run


@pytest.fixture
def finished(tmp_path):
    directory = make_run(tmp_path / "run", sweeps=("sequence-length",), cases=6)
    assert _finished(stored_plan(directory), directory) is not None
    return directory


def test_a_finished_run_is_given_back_as_it_is(finished):
    found = _finished(stored_plan(finished), finished)
    assert not found.is_interrupted
    assert found.summary == journal.read_summary(finished)
    assert {record.case.id for record in found.records} == {planned.case.id for planned in found.plan.cases}
    assert found.verdicts == journal.read_verdicts(finished)


def without_a_record(directory):
    lines = (directory / journal.JOURNAL).read_text(encoding="utf-8").splitlines()
    records = [number for number, line in enumerate(lines) if json.loads(line)["kind"] == "record"]
    del lines[records[-1]]
    (directory / journal.JOURNAL).write_text("\n".join(lines) + "\n", encoding="utf-8")


def incomplete(directory):
    document = json.loads((directory / journal.SUMMARY).read_text(encoding="utf-8"))
    (directory / journal.SUMMARY).write_text(json.dumps({**document, "complete": False}), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        without_a_record,
        incomplete,
        lambda directory: (directory / journal.SUMMARY).unlink(),
        lambda directory: (directory / journal.VERDICTS).unlink(),
        lambda directory: (directory / journal.SUMMARY).write_text("{"),
        lambda directory: (directory / journal.VERDICTS).write_text("[]"),
    ],
)
def test_a_run_that_lacks_anything_is_not(finished, damage):
    damage(finished)
    assert _finished(stored_plan(finished), finished) is None
