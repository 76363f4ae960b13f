"""A run that closed is read for its records, and compares as the whole of it does."""

from __future__ import annotations

import json

import pytest

from harness.comparing import closed
from harness.comparing.closed import ReadPlan, RecordLine, RoundLine, read_closed
from harness.comparing.snapshot import snapshot
from harness.results.documents import JournalError
from harness.results.journal import JOURNAL, PLAN
from harness.results.run import read_run
from tests.support import runs
from tests.support.places import STORED


@pytest.fixture
def directory(tmp_path):
    return runs.make_run(tmp_path / "run", sweeps=("head-dim", "pooling-size"))


def test_it_gives_what_the_whole_run_gives(directory):
    found = read_closed(directory, has_canary=True)
    run = read_run(directory)
    assert found.snapshot == snapshot(run)
    assert found.snapshot.canary_floor is not None
    assert found.policy == run.plan.policy.comparison


def test_so_it_does_of_a_run_that_an_earlier_version_measured():
    assert read_closed(STORED / "smoke", has_canary=True).snapshot == snapshot(read_run(STORED / "smoke"))


def test_rounds_are_parsed_for_the_canary_alone(directory, monkeypatch):
    lines = (directory / JOURNAL).read_text().splitlines()
    rounds = sum(line.startswith('{"kind":"round"') for line in lines)
    parsed = []
    plainly = closed._parsed
    monkeypatch.setattr(closed, "_parsed", lambda model, content: parsed.append(model) or plainly(model, content))
    read_closed(directory, has_canary=False)
    assert [parsed.count(model) for model in (RoundLine, RecordLine, ReadPlan)] == [0, len(lines) - rounds, 1]
    read_closed(directory, has_canary=True)
    assert parsed.count(RoundLine) == rounds > 0


def _appended(text):
    def change(directory):
        with (directory / JOURNAL).open("a") as file:
            file.write(text)

    return change


def _changed(**update):
    def change(directory):
        *lines, last = (directory / JOURNAL).read_text().splitlines()
        document = json.loads(last)
        document["record"] |= update
        (directory / JOURNAL).write_text("\n".join([*lines, json.dumps(document)]) + "\n")

    return change


@pytest.mark.parametrize(
    "change",
    [
        _appended('{"kind":"record","reco'),
        _appended('{"kind":"record","record":{}}\n'),
        _appended('{"kind":"replaced","implementation":"loop","cases":[],"facts":[]}\n'),
        _appended('{"kind":"round","case":"a","round":{"samples":[0.0]}}\n'),
        _appended("\n"),
        _changed(schema="9.0.0"),
        _changed(status="ok"),
        _changed(reason=""),
        _changed(counts={"operations": 10**400, "attended": 1}),
        _changed(memory={"inputs": float("nan")}),
        lambda directory: (directory / "plan.json").unlink(),
        lambda directory: (directory / "merged.json").write_text("{}"),
        lambda directory: runs.make_run(directory, complete=False),
    ],
)
def test_what_is_not_as_a_closed_run_leaves_it_is_for_the_whole_reading(change, directory):
    change(directory)
    assert read_closed(directory, has_canary=True) is None


def test_a_folder_without_a_journal_is_none(tmp_path):
    assert read_closed(tmp_path, has_canary=False) is None


@pytest.mark.parametrize("name", [JOURNAL, PLAN])
def test_a_file_whose_disk_is_broken_is_a_line(directory, name):
    (directory / name).unlink()
    (directory / name).symlink_to("/proc/self/mem")
    with pytest.raises(JournalError, match="can't be read: Input/output error"):
        read_closed(directory, has_canary=True)
