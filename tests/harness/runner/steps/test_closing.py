"""A timed case is held against the oracle again before it is recorded; what can't run is recorded as such."""

from __future__ import annotations

import pytest

from harness.protocol.messages import Recheck, Rechecked, SecondLook
from harness.runner.steps import closing
from tests.support.scripted import state_of
from tests.support.steps import AGREED, DISAGREED, FIRST, LOST, SECOND, planned, timed
from tests.support.visits import visits

PASSED = Rechecked(agreement=AGREED, calls_seconds=0.1)


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


def test_a_worker_lost_at_the_last_check_costs_the_case_its_time():
    state = timed(FIRST, SECOND, answers={Recheck: lambda request: LOST if request.case == FIRST.case else PASSED})
    closing.recheck_and_close(state)
    assert (state.closed[FIRST.case.id].status, state.closed[FIRST.case.id].reason) == ("crashed", LOST.reason)
    assert state.closed[SECOND.case.id].status == "ok"
    assert state.open == []


def test_the_check_is_on_inputs_that_no_visit_had_and_points_are_checked_together():
    others = [planned(name, n=n) for n in (512, 64) for name in ("batched", "einsum")]
    state = timed(*others, answers={Recheck: PASSED})
    closing.recheck_and_close(state)
    asked = state.supervisor.asked
    assert [request.case.point["n"] for request in asked] in ([64, 64, 512, 512], [512, 512, 64, 64])
    assert all(request.seed == state.seed(request.case, visit=1) for request in asked)
    assert state.time.calls == pytest.approx(4 * PASSED.calls_seconds)


def test_where_no_time_is_left_the_agreement_before_timing_stands_and_is_said_to():
    state = timed(FIRST, SECOND, answers={})
    state.time.budget = 0.0
    closing.recheck_and_close(state)
    assert state.supervisor.asked == []
    assert {record.status for record in state.closed.values()} == {"ok"}
    assert not any(record.agreement.rechecked for record in state.closed.values())
    part, cases = next(arguments for name, arguments, _ in state.progress.events if name == "left_out")
    assert (part, cases) == ("agreement on fresh inputs", [FIRST.case, SECOND.case])
    assert state.left_out[0].startswith("agreement on fresh inputs: batched ")


def test_the_bar_of_the_last_checks_ends_where_it_began():
    state = timed(FIRST, SECOND, answers={Recheck: lambda request: LOST if request.case == FIRST.case else PASSED})
    closing.recheck_and_close(state)
    (_, (phase,), begun), *ends = state.progress.events
    assert (phase, begun["cases"]) == ("agreement on fresh inputs", 2)
    assert sum(more["cost"] for _, _, more in ends) == pytest.approx(begun["cost"])


def test_cases_that_were_closed_before_are_left_alone():
    skipped = FIRST.model_copy(update={"skip": "unsupported", "reason": "no causal"})
    state = timed(skipped, SECOND, answers={Recheck: PASSED})
    closing.close_skipped(state)
    closing.close_skipped(state)
    closing.recheck_and_close(state)
    assert [record.status for record in state.journal.records] == ["unsupported", "ok"]


def test_only_rounds_that_look_like_kept_results_ask_for_a_second_look():
    cleared = SecondLook(found="none kept", pairs=5, new_seconds=0.1, seen_seconds=0.1)
    state = timed(FIRST, SECOND, answers={Recheck: PASSED.model_copy(update={"second_look": cleared})})
    state.timed[FIRST.case.id] = visits(new=4e-1, again=1e-1, later=1e-1, calls=7)
    closing.recheck_and_close(state)
    asked = {request.case.id: request.look_again for request in state.supervisor.asked}
    assert asked == {FIRST.case.id: 7, SECOND.case.id: None}
    assert state.closed[FIRST.case.id].status == "ok"
    assert state.closed[FIRST.case.id].notes[-1].startswith("first calls were slow; asked again")
