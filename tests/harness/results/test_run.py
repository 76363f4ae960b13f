"""A run directory is read into one object: what was recorded, what still waits and why, and a label of its own."""

from __future__ import annotations

import json
import os

import pytest

from harness.records import PlannedCase, Round
from harness.results import journal
from harness.results.journal import Journal
from harness.results.run import NOT_RUN, read_run, read_runs
from tests.harness.results.test_closing import prepared
from tests.support.runs import ok_case, ok_record, write_run
from tests.support.scripted import plan_of


def visit(index):
    return Round(index=index, started=float(index), calls_per_sample=1, samples=[0.1, 0.11])


@pytest.fixture
def begun(tmp_path):
    """Write a run of four cases: one closed, one with rounds, one with a round and no preparation, one skipped."""
    names = ("batched", "einsum", "online", "loop")
    planned = [PlannedCase(case=ok_case(name)) for name in names]
    planned[3] = planned[3].model_copy(update={"skip": "predicted_slow", "reason": "12 rows"})
    plan = plan_of(*planned, PlannedCase(case=ok_case("sdpa-auto")))
    journal.write_document(tmp_path / journal.PLAN, plan.model_dump(mode="json", by_alias=True))
    with Journal(tmp_path) as log:
        log.append_record(ok_record("batched"))
        log.append_prepared(planned[1].case.id, prepared())
        for index in range(3):
            log.append_round(planned[1].case.id, visit(index))
        log.append_round(planned[2].case.id, visit(0))
    return tmp_path


def test_a_closed_case_has_its_record_and_one_with_rounds_a_provisional_one(begun):
    run = read_run(begun)
    assert [record.case.implementation for record in run.records] == ["batched", "einsum"]
    assert run.records[1].time.stop_reason == "interrupted"
    assert run.by_id[ok_case("batched").id] == ok_record("batched")


def test_what_waits_has_the_plans_reason_or_how_far_it_came(begun):
    waiting = {case.implementation: (status, reason) for case, status, reason in read_run(begun).waiting}
    assert waiting == {
        "online": (NOT_RUN, "the run ended after 1 of its rounds"),
        "loop": ("predicted_slow", "12 rows"),
        "sdpa-auto": (NOT_RUN, "the run ended before this case"),
    }


def test_records_and_waiting_cases_are_the_plan_and_no_case_is_twice(begun):
    run = read_run(begun)
    found = [*(record.case.id for record in run.records), *(case.id for case, _, _ in run.waiting)]
    assert sorted(found) == sorted(planned.case.id for planned in run.plan.cases)


def test_rounds_are_kept_by_case_and_damage_is_counted(begun):
    with (begun / journal.JOURNAL).open("a", encoding="utf-8") as file:
        file.write('{"kind": "rec')
    run = read_run(begun)
    assert [len(visits) for visits in run.rounds.values()] == [3, 1]
    assert run.torn == 1 == len(run.damages)


def test_a_run_without_verdicts_was_not_judged_and_one_with_none_was(tmp_path):
    write_run(tmp_path, [ok_record()], sweeps=("sequence-length",), judged=False)
    assert (read_run(tmp_path).judged, read_run(tmp_path).verdicts) == (False, ())
    write_run(tmp_path, [ok_record()], sweeps=("sequence-length",), verdicts=[])
    assert (read_run(tmp_path).judged, read_run(tmp_path).verdicts) == (True, ())


def test_a_label_is_the_directorys_name_unless_one_is_given(begun, monkeypatch):
    monkeypatch.chdir(begun)
    assert read_run(".").label == begun.name
    assert read_run(".", label="mine").label == "mine"
    assert os.fspath(read_run(".").path) == "."


def test_a_name_that_no_text_can_hold_gives_a_label_that_is_one(begun):
    odd = begun.rename(begun.with_name("b\udcff"))
    assert read_run(odd).label == "b\ufffd"


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    places = [tmp_path / "monday" / "run", tmp_path / "tuesday" / "run", tmp_path / "other"]
    for place in places:
        place.mkdir(parents=True)
        with Journal(place) as log:
            log.append_record(ok_record())
    assert [run.label for run in read_runs(places)] == ["monday/run", "tuesday/run", "other"]


def test_a_plan_that_is_damaged_is_refused_and_not_left_out(begun):
    document = json.loads((begun / journal.PLAN).read_text(encoding="utf-8"))
    del document["cases"]
    journal.write_document(begun / journal.PLAN, document)
    with pytest.raises(journal.JournalError, match=r"plan\.json: cases is missing"):
        read_run(begun)
