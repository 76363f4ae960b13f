"""Both sides go through the same steps, and what one measured is kept where the other's worker is lost."""

from __future__ import annotations

import json
import sys

import pytest

from harness.results.documents import JournalError
from harness.results.pairs.pair_file import is_pair
from harness.runner.pairing import execute
from harness.runner.pairing.sides import Asked
from harness.runner.pairing.turns import Pair
from harness.runner.supervisor import WorkerError
from tests.support.scripted import plan_of
from tests.support.steps import FIRST, ready

SIDES = (Asked("base", sys.executable), Asked("new", sys.executable, ("mine.py",)))


def test_every_step_is_taken_by_the_base_and_then_by_the_new_side():
    pair, seen = Pair(ready(FIRST), ready(FIRST)), []
    execute.each(seen.append)(pair)
    assert seen == [pair.base, pair.new]


def test_the_folder_has_both_plans_and_says_who_the_sides_are(tmp_path):
    plan = plan_of(FIRST).model_copy(update={"command": ["attnbench", "ab"]})
    execute.store_pair([plan, plan], SIDES, tmp_path / "both", created="2026-03-01T12:00:00+00:00")
    assert is_pair(tmp_path / "both")
    said = json.loads((tmp_path / "both" / "pair.json").read_text())
    assert said["command"] == ["attnbench", "ab"]
    assert said["new"]["impl_files"][0].endswith("/mine.py")
    assert all((tmp_path / "both" / side / "plan.json").is_file() for side in ("base", "new"))
    with pytest.raises(JournalError, match="holds a run already"):
        execute.store_pair([plan, plan], SIDES, tmp_path / "both" / "base", created="")


def lost(_pair):
    raise WorkerError("the base can't be started again")


def test_a_lost_worker_ends_both_sides_and_keeps_what_both_have(monkeypatch):
    monkeypatch.setattr(execute, "STEPS", (lost,))
    pair = Pair(ready(FIRST), ready(FIRST))
    with pytest.raises(WorkerError):
        execute._measure(pair)
    for state in pair.states:
        state.timed = {FIRST.case.id: []}
    assert execute._measure(pair) is False
    assert "ended early" in pair.new.warnings[0]
