"""A case is closed once, with its cause; a run that goes on begins where its journal ends."""

from __future__ import annotations

from harness.protocol.messages import Failed, Refused
from harness.records import Agreement, Check, PlannedCase, Record, Round
from harness.results.journal import Journal
from harness.runner.selection import TimeLimits
from harness.runner.state import begin, degrees_key
from tests.harness.results.test_closing import prepared
from tests.support.runs import environment, ok_case, ok_record
from tests.support.scripted import Listener, ScriptedSupervisor, plan_of, state_of

FIRST, SECOND = (PlannedCase(case=ok_case(name)) for name in ("batched", "einsum"))


def visit(index=0, *, process=0, seconds=0.01):
    return Round(index=index, process=process, started=0.0, calls_per_sample=1, samples=[seconds] * 3)


def test_a_closed_case_is_written_and_open_no_more():
    state = state_of(FIRST, SECOND)
    record = Record(case=FIRST.case, status="crashed", reason="planted")
    state.close(record)
    assert state.journal.records == [record]
    assert state.open == [SECOND]


def test_a_refusal_closes_its_case_with_status_reason_and_what_the_gate_found():
    state = state_of(FIRST)
    state.environment = environment("cpu", "x")
    agreement = Agreement(passed=False, checks=[Check(name="out", error=1.0, budget=0.1, ratio=10.0, passed=False)])
    answer = Refused(status="disagreed", reason="out: 10 times its budget", agreement=agreement, calls_seconds=0.5)
    record = state.refused(FIRST.case, answer)
    assert (record.status, record.reason, record.agreement) == ("disagreed", answer.reason, agreement)
    assert record.environment_id == state.environment.id
    assert state.time.calls == 0.5
    assert state.closed == {FIRST.case.id: record}


def test_a_lost_worker_closes_its_case_with_the_cause():
    state = state_of(FIRST)
    record = state.refused(FIRST.case, Failed(status="timeout", reason="no answer", worker_gone=True))
    assert (record.status, record.reason, record.time) == ("timeout", "no answer", None)


def test_the_implementations_of_a_point_get_the_same_inputs_and_no_two_visits_do():
    state = state_of(FIRST, SECOND)
    assert state.seed(FIRST.case, visit=3) == state.seed(SECOND.case, visit=3)
    seeds = {state.seed(FIRST.case, visit=index) for index in range(20)}
    assert len(seeds) == 20
    assert state.seed(ok_case("batched", n=65), visit=3) != state.seed(FIRST.case, visit=3)
    assert state_of(FIRST, seed=8).seed(FIRST.case, visit=3) == state.seed(FIRST.case, visit=3) + 1


def test_a_timeout_that_the_user_gave_stands():
    assert state_of(FIRST, limits=TimeLimits(timeout=3.0)).timeout(FIRST) == 3.0
    assert state_of(FIRST).timeout(FIRST) == state_of(FIRST).policy.run.timeout_at_least


def test_an_interrupted_case_has_a_provisional_record_and_one_that_was_not_reached_has_none():
    state = state_of(FIRST, SECOND)
    state.prepared = {FIRST.case.id: prepared(), SECOND.case.id: prepared()}
    state.timed = {FIRST.case.id: [visit(index) for index in range(3)]}
    (record,) = state.records()
    assert record.case == FIRST.case
    assert record.time.stop_reason == "interrupted"
    assert state.closed == {}
    assert state.journal.records == []


def test_a_summary_counts_what_was_closed():
    state = state_of(FIRST, SECOND)
    state.close(ok_record("batched"))
    state.refused(SECOND.case, Failed(status="oom", reason="out of memory"))
    state.rounds_done = 4
    summary = state.summary(is_complete=False)
    assert summary.statuses == {"ok": 1, "oom": 1}
    assert (summary.rounds, summary.complete, summary.started) == (4, False, state.started)


def begun(directory, *planned):
    with Journal(directory) as log:
        return begin(
            plan_of(*planned),
            log,
            directory,
            supervisor=ScriptedSupervisor({}),
            progress=Listener(),
            limits=TimeLimits(budget=5.0),
            started="",
        )


def test_a_new_run_begins_with_nothing(tmp_path):
    state = begun(tmp_path, FIRST)
    assert (state.closed, state.prepared, state.timed, state.environment) == ({}, {}, {}, None)
    assert (state.rounds_done, state.process, state.time.budget) == (0, 0, 5.0)


def test_a_run_goes_on_from_what_its_journal_holds(tmp_path):
    record = ok_record("einsum")
    degrees = {"problem": "attention", "implementation": "batched", "how": "declared", "reason": "opaque"}
    with Journal(tmp_path) as log:
        log.append_prepared(FIRST.case.id, prepared())
        log.append_round(FIRST.case.id, visit(0))
        log.append_round(FIRST.case.id, visit(2, process=1))
        log.append_facts(degrees_key(FIRST.case), degrees)
        log.append_facts("something else", {})
        log.append_record(record)
    state = begun(tmp_path, FIRST, SECOND)
    assert state.prepared == {FIRST.case.id: prepared()}
    assert state.open == [FIRST]
    assert (state.rounds_done, state.process) == (3, 2)
    assert state.samples(FIRST.case) == [[0.01] * 3] * 2
    assert [found.reason for found in state.degrees.values()] == ["opaque"]


def test_the_split_of_the_wall_time_leaves_nothing_out():
    state = state_of(FIRST)
    state.supervisor.stages.add({"oracle": 1.0, "other": 0.5})
    assert state.stages(5.0) == {"other": 4.0, "oracle": 1.0}
    assert list(state.stages(1.5)) == ["oracle", "other"], "the longest first"
    summary = state.summary(is_complete=True)
    assert summary.stages["oracle"] == 1.0
