"""Rounds go on until each case is done, end with a reason, and take a graph's replays where a call is short."""

from __future__ import annotations

import random

import pytest

from harness.protocol.messages import Failed, Prepare, Replay, Replayed, Replays, Visit
from harness.records import PlannedCase, Round
from harness.runner.steps import preparation, rounds
from harness.runner.steps.rounds import with_graph
from tests.harness.results.test_closing import case, prepared
from tests.harness.runner.test_replays import short, visit
from tests.support.scripted import state_of
from tests.support.steps import FIRST, LOST, QUICK, SECOND, answered, planned, ready, visited


@pytest.mark.parametrize(("device", "drops"), [("cuda:0", 1), ("cpu", 0)])
def test_rounds_on_a_gpu_run_in_a_worker_that_was_never_profiled(device, drops):
    order = []
    answers = {
        Prepare: lambda request: order.append("prepare") or answered(request),
        Visit: lambda request: order.append("visit") or visited(request),
    }
    state = state_of(FIRST, SECOND, answers=answers, policy=QUICK, device=device)
    state.supervisor.drop = lambda: order.append("drop")
    preparation.prepare_cases(state)
    rounds.take_rounds(state)
    assert order.count("drop") == drops
    assert order[2] == ("drop" if drops else "visit")


def test_a_precise_case_is_done_at_the_first_look_and_a_noisy_one_goes_on():
    scatter = {FIRST.case.id: 0.0, SECOND.case.id: 0.5}
    answers = {Visit: lambda request: visited(request, scatter=scatter[request.case.id])}
    state = ready(FIRST, SECOND, answers=answers)
    rounds.take_rounds(state)
    assert state.stopped == {FIRST.case.id: "precision", SECOND.case.id: "rounds"}
    assert [len(state.timed[one.case.id]) for one in (FIRST, SECOND)] == [3, 5]
    assert state.rounds_done == 5
    assert len(state.journal.rounds) == 8


def test_a_round_that_would_not_fit_the_budget_is_not_begun():
    state = ready(FIRST, answers={Visit: lambda request: visited(request, scatter=0.5)})
    state.time.budget = 0.0
    rounds.take_rounds(state)
    assert state.stopped == {FIRST.case.id: "time budget"}
    assert state.rounds_done == 3


def test_a_case_lost_in_a_round_is_closed_and_visited_no_more():
    answers = {Visit: lambda request: LOST if request.case == FIRST.case else visited(request)}
    state = ready(FIRST, SECOND, answers=answers)
    rounds.take_rounds(state)
    assert [request.case for request in state.supervisor.asked].count(FIRST.case) == 1
    assert state.closed[FIRST.case.id].status == "crashed"
    assert state.stopped == {SECOND.case.id: "precision"}


def test_rounds_go_on_where_a_killed_run_ended():
    state = ready(FIRST, answers={Visit: lambda request: visited(request, scatter=0.5)})
    state.rounds_done = 2
    state.timed[FIRST.case.id] = [Round(index=i, started=0.0, calls_per_sample=1, samples=[1.0]) for i in range(2)]
    rounds.take_rounds(state)
    assert [request.index for request in state.supervisor.asked] == [2, 3, 4]


def test_rounds_are_spread_over_worker_processes_where_the_policy_asks():
    timing = QUICK.timing.model_copy(update={"processes": 3, "precision": 1e-9})
    state = ready(
        FIRST,
        answers={Visit: lambda request: visited(request, scatter=0.5)},
        policy=QUICK.model_copy(update={"timing": timing}),
    )
    rounds.take_rounds(state)
    assert [request.process for request in state.supervisor.asked] == [0, 1, 2, 3, 4]
    assert state.supervisor.drops == 4


def test_the_implementations_of_a_point_stay_together_in_a_changing_order():
    cases = [planned(name, n=n) for n in (16, 32, 64, 128) for name in ("batched", "einsum", "loop")]
    chance = random.Random(1)
    orders = [[case.case.point["n"] for case in rounds.shuffled(cases, chance)] for _ in range(5)]
    for order in orders:
        assert sorted(order) == sorted(case.case.point["n"] for case in cases)
        assert [order[at] for at in range(0, 12, 3)] == [order[at + 2] for at in range(0, 12, 3)]
    assert len({tuple(order) for order in orders}) > 1


def asked_for_replays(answer):
    """Return the state of a run whose worker gives an answer to every request for replays."""
    state = state_of(planned := PlannedCase(case=short()), answers={Replay: answer})
    state.prepared[planned.case.id] = prepared()
    return state


REQUEST = Visit(case=short(), seed=5, calls=100, blocks=3, index=0, process=0)


def test_the_parent_adds_replays_to_the_round():
    graph = Replays(samples=[3e-6], calls=64, inputs=4)
    state = asked_for_replays(Replayed(graph=graph, capture_failed=False, calls_seconds=0.25))
    found = with_graph(state, PlannedCase(case=short()), visit(1e-5), REQUEST)
    assert (found.graph_samples, found.graph_calls, found.graph_inputs) == ([3e-6], 64, 4)
    assert state.time.calls == 0.25
    (request,) = state.supervisor.asked
    assert (request.seed, request.blocks, request.call_seconds) == (5, 3, prepared().call_seconds)
    assert Round.model_validate_json(found.model_dump_json()) == found


def test_a_worker_lost_in_a_graph_costs_the_figure_and_not_the_case():
    reason = "no answer to 'CUDA graph' within 60 s"
    state = asked_for_replays(Failed(status="timeout", reason=reason, worker_gone=True))
    found = with_graph(state, PlannedCase(case=short()), visit(1e-5), REQUEST)
    assert found.samples == visit(1e-5).samples
    assert found.graph_samples == []
    assert "timeout, no answer to 'CUDA graph'" in found.graph_reason
    assert state.closed == {}


def test_after_a_failed_capture_the_worker_is_replaced_and_the_implementation_not_captured_again():
    graph = Replays(calls=64, inputs=4, reason="can't be captured: it waits")
    state = asked_for_replays(Replayed(graph=graph, capture_failed=True, calls_seconds=0.25))
    first = with_graph(state, PlannedCase(case=short()), visit(1e-5), REQUEST)
    other = short(id="another point")
    second = with_graph(state, PlannedCase(case=other), visit(1e-5), REQUEST)
    assert first.graph_reason == second.graph_reason == "can't be captured: it waits"
    assert len(state.supervisor.asked) == 1
    assert state.supervisor.drops == 1


def test_no_graph_is_asked_for_where_none_is_wanted():
    state = asked_for_replays(None)
    assert with_graph(state, PlannedCase(case=case()), visit(1e-5), REQUEST) == visit(1e-5)
    assert state.supervisor.asked == []


def test_a_visit_asks_for_blocks_of_about_the_length_and_for_slow_calls_one_by_one():
    state = ready(FIRST, SECOND)
    quick = prepared().model_copy(update={"call_seconds": 1e-3})
    slow = prepared().model_copy(update={"call_seconds": 2 * QUICK.timing.slow_call_seconds})
    state.prepared = {FIRST.case.id: quick, SECOND.case.id: slow}
    state.process = 2
    request = rounds.visit_request(state, FIRST, index=7, block=0.01)
    assert (request.calls, request.index, request.process) == (10, 7, 2)
    assert request.seed == state.seed(FIRST.case, visit=9), "visits 0 and 1 are the preparation's and the check's"
    assert rounds.visit_request(state, SECOND, index=0, block=10.0).calls == 1
    tiny = prepared().model_copy(update={"call_seconds": 1e-12})
    state.prepared[FIRST.case.id] = tiny
    assert rounds.visit_request(state, FIRST, index=0, block=1.0).calls == QUICK.timing.calls_per_block_at_most


def test_cases_that_are_done_are_not_visited_and_no_worker_is_left_for_nothing():
    state = ready(FIRST, answers={}, device="cuda:0")
    state.profiled = True
    state.timed[FIRST.case.id] = [
        Round(index=i, started=0.0, calls_per_sample=1, samples=[1.0, 1.0]) for i in range(QUICK.timing.rounds_at_most)
    ]
    rounds.take_rounds(state)
    assert (state.supervisor.asked, state.supervisor.drops, state.closed) == ([], 0, {})


def test_a_course_visits_each_case_as_often_as_its_share_says_and_then_is_over():
    shares = {FIRST.case.id: 1.0, SECOND.case.id: 0.25}
    course = rounds.Course(shares=shares, rounds=8)
    visits = [one.case.id for _ in range(8) for one in course.due([FIRST, SECOND, planned("loop")])]
    assert visits.count(FIRST.case.id) == 8
    assert visits.count(SECOND.case.id) == 2
    assert len(visits) == 10, "a case without a share is not due"
    assert course.is_over
    assert rounds.Course().is_over


def test_time_in_calls_and_in_samples_is_added_up_and_the_bar_ends_where_it_began():
    state = ready(FIRST, SECOND, answers={Visit: visited})
    rounds.take_rounds(state)
    visits = [visit for of_case in state.timed.values() for visit in of_case]
    assert state.time.calls == pytest.approx(sum(sum(visit.samples) for visit in visits))
    assert state.time.timed == pytest.approx(sum(visit.calls_per_sample * sum(visit.samples) for visit in visits))
    begun = [more["cost"] for name, _, more in state.progress.events if name == "round_begun"]
    ended = [more["cost"] for name, _, more in state.progress.events if name == "done"]
    assert sum(ended) == pytest.approx(sum(begun))
    numbers = [arguments[0] for name, arguments, _ in state.progress.events if name == "round_begun"]
    assert numbers == [1, 2, 3]


def test_a_call_of_too_many_kernels_has_a_reason_and_is_not_asked_for_a_graph():
    state = asked_for_replays(None)
    planned_case = PlannedCase(case=short())
    ran = prepared().ran.model_copy(update={"launches": QUICK.timing.graph_nodes_at_most + 1})
    state.prepared[short().id] = prepared().model_copy(update={"ran": ran})
    found = with_graph(state, planned_case, visit(1e-5), REQUEST)
    assert found.graph_reason.endswith("kernels per call: launching them is what it costs")
    assert state.supervisor.asked == []
