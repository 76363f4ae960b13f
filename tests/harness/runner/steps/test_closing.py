"""A timed case is held against the oracle again before it is recorded; what can't run is recorded as such."""

from __future__ import annotations

from harness.protocol.messages import Recheck, Rechecked
from harness.runner.steps import closing
from tests.support.scripted import state_of
from tests.support.steps import AGREED, DISAGREED, FIRST, SECOND, timed


def test_a_skipped_case_is_recorded_with_the_reason_of_the_plan():
    skipped = FIRST.model_copy(update={"skip": "predicted_oom", "reason": "too large"})
    state = state_of(skipped, SECOND)
    closing.close_skipped(state)
    (record,) = state.journal.records
    assert (record.status, record.reason) == ("predicted_oom", "too large")
    assert state.open == [SECOND]


def test_a_case_that_agrees_again_is_closed_with_its_time():
    state = timed(FIRST, answers={Recheck: Rechecked(agreement=AGREED, calls_seconds=0.1)})
    state.stopped = {FIRST.case.id: "precision"}
    closing.recheck_and_close(state)
    (record,) = state.journal.records
    assert (record.status, record.agreement) == ("ok", AGREED)
    assert (record.time.rounds, record.time.stop_reason) == (3, "precision")


def test_a_case_whose_rounds_were_done_before_a_resumption_has_a_reason_too():
    state = timed(FIRST, answers={Recheck: Rechecked(agreement=AGREED, calls_seconds=0.1)})
    closing.recheck_and_close(state)
    assert state.closed[FIRST.case.id].time.stop_reason in {"precision", "time budget"}


def test_a_case_that_disagrees_after_timing_has_no_time():
    state = timed(FIRST, SECOND, answers={Recheck: _recheck})
    closing.recheck_and_close(state)
    assert state.closed[FIRST.case.id].status == "disagreed"
    assert state.closed[FIRST.case.id].time is None
    assert state.closed[SECOND.case.id].status == "ok"


def _recheck(request):
    return DISAGREED if request.case == FIRST.case else Rechecked(agreement=AGREED, calls_seconds=0.1)
