"""Cases are prepared once, and one that fails costs itself alone; operations are counted by implementation."""

from __future__ import annotations

from harness.protocol.messages import Count, Counted, Prepare
from harness.records import Degrees, Record
from harness.runner.steps import preparation
from tests.harness.results.test_closing import prepared
from tests.support.scripted import state_of
from tests.support.steps import DISAGREED, FIRST, LOST, SECOND, answered, planned, ready


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
