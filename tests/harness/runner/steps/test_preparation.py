"""Cases are prepared once, and one that fails costs itself alone; operations are counted by implementation."""

from __future__ import annotations

import time

import pytest

from harness.protocol.messages import Count, Counted, Prepare
from harness.records import Degrees, PlannedCase, Record
from harness.runner.selection import TimeLimits
from harness.runner.steps import preparation
from tests.harness.results.test_closing import prepared
from tests.support.scripted import state_of
from tests.support.steps import DISAGREED, FIRST, LOST, SECOND, answered, planned, ready

NAMES = ("batched", "einsum")


def counted(request):
    return Counted(degrees=Degrees(problem=request.problem, implementation=request.implementation, how="declared"))


def test_a_case_that_fails_in_preparation_is_closed_and_the_others_go_on():
    answers = {Prepare: lambda request: DISAGREED if request.case == FIRST.case else answered(request)}
    state = state_of(FIRST, SECOND, answers=answers)
    preparation.prepare_cases(state)
    assert [record.status for record in state.closed.values()] == ["disagreed"]
    assert list(state.prepared) == [SECOND.case.id]
    assert state.journal.prepared == [(SECOND.case.id, prepared())]
    assert state.time.calls == 0.75
    assert sorted(state.progress.names()) == ["failed", "phase_begun", "prepared"]


def test_a_budget_that_turns_out_to_hold_more_is_used():
    state = state_of(FIRST, SECOND, answers={Prepare: answered}, clock=time.monotonic, budget=300.0)
    state.postpone([SECOND.case])
    assert [planned.case for planned in state.open] == [FIRST.case]
    preparation.prepare_cases(state)
    assert list(state.prepared) == [FIRST.case.id, SECOND.case.id]
    assert state.closed == state.postponed == {}
    names = state.progress.names()
    assert names == ["left_out", "phase_begun", "prepared", "brought_back", "phase_begun", "prepared"]
    assert state.left_out == []


def test_what_is_still_put_off_after_preparation_is_closed():
    state = state_of(FIRST, SECOND, answers={Prepare: answered}, clock=time.monotonic, budget=5.0)
    state.postpone([SECOND.case])
    preparation.prepare_cases(state)
    assert [(record.case, record.status) for record in state.closed.values()] == [(SECOND.case, "over_budget")]
    assert "the time budget of 5 s does not hold it" in state.closed[SECOND.case.id].reason


def test_what_a_journal_holds_is_not_prepared_again():
    state = ready(FIRST, SECOND, answers={Prepare: answered})
    del state.prepared[SECOND.case.id]
    preparation.prepare_cases(state)
    assert [request.case for request in state.supervisor.asked] == [SECOND.case]
    assert state.supervisor.asked[0].predicted_bytes == 64


def test_operations_are_counted_once_per_implementation_and_not_of_one_that_failed():
    more = planned("batched", n=128)
    failed = planned("einsum", n=128)
    state = ready(FIRST, more, SECOND, answers={Count: counted})
    state.close(Record(case=failed.case, status="crashed", reason="planted"))
    preparation.count_operations(state)
    assert [request.implementation for request in state.supervisor.asked] == ["batched"]
    assert [found.implementation for found in state.degrees.values()] == ["batched"]
    assert [about for about, _ in state.journal.facts] == ["degrees attention batched forward"]
    preparation.count_operations(state)
    assert len(state.supervisor.asked) == 1


def test_operations_that_can_not_be_counted_cost_no_case():
    state = ready(FIRST, answers={Count: LOST})
    preparation.count_operations(state)
    assert state.closed == {}
    ((_, (case, extra, reason), _),) = state.progress.events[1:]
    assert (case, extra, reason) == (FIRST.case, "operations", LOST.reason)


def test_cases_are_prepared_cheapest_point_first_on_the_inputs_of_their_point():
    cases = [planned(name, seconds=seconds, n=n) for n, seconds in ((512, 0.2), (64, 0.1)) for name in NAMES]
    state = state_of(*cases, answers={Prepare: answered})
    preparation.prepare_cases(state)
    asked = state.supervisor.asked
    assert [(request.case.point["n"], request.case.implementation) for request in asked] == [
        (n, name) for n in (64, 512) for name in NAMES
    ]
    assert len({request.seed for request in asked}) == 2, "the implementations of a point get the same inputs"
    assert state.profiled


def test_the_bar_of_preparation_ends_where_it_began_with_a_case_that_failed():
    answers = {Prepare: lambda request: LOST if request.case == FIRST.case else answered(request)}
    state = state_of(FIRST, SECOND, answers=answers)
    preparation.prepare_cases(state)
    (_, (phase,), begun), *ends = state.progress.events
    assert (phase, begun["cases"]) == ("agreement", 2)
    assert sum(more["cost"] for _, _, more in ends) == pytest.approx(begun["cost"])


def test_cases_that_turn_out_not_to_fit_are_left_out_before_they_are_prepared(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slowly(request):
        now[0] += 60.0
        return answered(request)

    cases = [planned("batched", seconds=0.1 * n, n=n) for n in (1, 2, 4, 8)]
    state = state_of(*cases, answers={Prepare: slowly}, clock=lambda: now[0], budget=150.0)
    preparation.prepare_cases(state)
    asked = [request.case.point["n"] for request in state.supervisor.asked]
    # The first of an implementation loads what the others find loaded, and is no pace.
    assert asked == [1, 2], "a minute for a case of two seconds leaves nothing for dearer ones"
    assert {record.status for record in state.closed.values()} == {"over_budget"}
    assert len(state.closed) == 2
    assert state.time.preparing.factor > 10.0


def test_a_case_that_nothing_predicts_is_prepared_all_the_same():
    state = state_of(PlannedCase(case=FIRST.case), answers={Prepare: answered})
    preparation.prepare_cases(state)
    assert state.supervisor.asked[0].predicted_bytes is None
    assert list(state.prepared) == [FIRST.case.id]


def test_each_direction_is_counted_and_skipped_cases_do_not_keep_an_implementation_from_it():
    backward = PlannedCase(case=FIRST.case.model_copy(update={"id": "b", "direction": "backward"}))
    large = planned("batched", n=4096)
    state = ready(FIRST, backward, answers={Count: counted})
    state.close(Record(case=large.case, status="predicted_oom", reason="planted"))
    preparation.count_operations(state)
    assert [request.direction for request in state.supervisor.asked] == ["forward", "backward"]


def test_the_users_timeout_holds_for_counting_too():
    seconds = []
    state = ready(FIRST, limits=TimeLimits(timeout=3.0))
    state.supervisor.ask = lambda request, *, seconds: asked(request, seconds)

    def asked(request, given):
        seconds.append(given)
        return counted(request)

    preparation.count_operations(state)
    assert seconds == [3.0]
