"""The check on killed runs can fail: each kind of loss and doubling in a journal is named."""

from __future__ import annotations

import json

import pytest

from harness.results import journal
from tests.evidence.kill_rates import Life, Moment, kept, last_line, look, row
from tests.support.runs import ok_record, write_run


@pytest.fixture
def life(tmp_path):
    """A complete run of one kill."""
    found = Life(1, tmp_path / "run")
    write_run(found.directory, [ok_record("batched"), ok_record("einsum")], sweeps=("sequence-length",))
    (found.directory / journal.REPORT).write_text("")
    found.moments.append(Moment(1, 2.0, "time", "parent", "rounds"))
    return found


def edit(life, change):
    path = life.directory / journal.JOURNAL
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def round_line(case, index):
    visit = {"index": index, "started": 0.0, "calls_per_sample": 1, "samples": [1.0]}
    return (json.dumps({"kind": "round", "case": case, "round": visit}) + "\n").encode()


def closing(lines):
    """Return a line that holds a record."""
    return next(line for line in lines if b'"kind":"record"' in line.replace(b" ", b""))


def with_rounds(life, *indexes):
    """Give the first case more rounds than its record was made of."""
    lines = [round_line(journal.read_plan(life.directory).cases[0].case.id, index) for index in indexes]
    edit(life, lambda old: [*old, *lines])


def test_a_run_that_lost_nothing_has_no_mistakes(life):
    with_rounds(life)
    assert look(life) == []
    assert last_line([life]) == "1 kills of 1 runs, 0 torn lines: nothing lost, nothing doubled."
    assert row(life.moments[0]) == "| 1 | 2.0 | time | parent | rounds |"


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (lambda lines: [line for line in lines if line != closing(lines)], "cases were planned"),
        (lambda lines: [*lines, closing(lines)], "cases were planned"),
        (lambda lines: [*lines, b'{"kind":"rec\n'], "0 lines were torn, 1 are reported"),
    ],
)
def test_a_lost_a_doubled_and_a_torn_line_are_mistakes(life, change, mistake):
    with_rounds(life)
    edit(life, change)
    found = look(life)[0]
    assert mistake in found
    life.mistakes.append(found)
    assert mistake in last_line([life])


def test_a_round_written_twice_is_a_mistake(life):
    with_rounds(life, 4, 4)
    assert "rounds [4] of a case were written twice" in look(life)


def test_a_record_without_one_of_its_rounds_is_a_mistake(life):
    edit(life, lambda lines: lines[1:])
    assert any("has other samples than its rounds" in mistake for mistake in look(life))


def test_a_run_without_a_report_is_a_mistake(life):
    with_rounds(life)
    (life.directory / journal.REPORT).unlink()
    assert look(life) == ["there is no report"]


def test_a_journal_that_changed_what_it_held_is_a_mistake(life):
    before = life.journal
    assert kept(life, before) == before
    assert life.mistakes == []
    edit(life, lambda lines: lines[1:])
    kept(life, before)
    assert life.mistakes == ["lines that were written before are gone or changed"]
