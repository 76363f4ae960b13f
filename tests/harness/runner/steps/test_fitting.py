"""What the time budget does not hold is left out dearest first, and what must follow the rounds is kept free."""

from __future__ import annotations

import time

import pytest

from harness.policy import DEFAULT
from harness.runner import budget
from harness.runner.selection import TimeLimits
from harness.runner.steps import fitting
from tests.harness.results.test_closing import prepared
from tests.support.scripted import state_of
from tests.support.steps import planned

TIMING = DEFAULT.timing
BLOCK = TIMING.block_seconds_cpu
SHORT, LONG = planned("batched", seconds=0.01, n=64), planned("batched", seconds=1.0, n=512)


@pytest.fixture
def begun(monkeypatch):
    """Return a function that begins a run of cases with so many seconds, and stop the clock."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)

    def begin(*cases, seconds=300.0, spent=0.0, **changes):
        return state_of(*cases, clock=lambda: 1000.0 - spent, budget=seconds, **changes)

    return begin


def aside(state):
    """Return what report and ceilings take."""
    return budget.report_seconds(len(state.plan.cases)) + DEFAULT.run.ceiling_again_seconds


def test_a_case_takes_its_preparation_the_rounds_of_an_interval_and_its_check(begun):
    state = begun(SHORT)
    (one,) = state.estimates(state.open)
    visit = budget.visit_seconds(one, block=BLOCK, policy=TIMING)
    whole = budget.preparation_seconds(0.01) + budget.check_seconds(0.01) + TIMING.rounds_needed * visit
    assert fitting.least_seconds(state, one) == pytest.approx(whole)


def test_what_was_done_of_a_case_is_not_to_be_paid_again(begun):
    state = begun(SHORT)
    (one,) = state.estimates(state.open)
    state.prepared[SHORT.case.id] = prepared()
    after = fitting.least_seconds(state, one)
    visit = budget.visit_seconds(one, block=BLOCK, policy=TIMING)
    assert after == pytest.approx(budget.check_seconds(0.01) + TIMING.rounds_needed * visit)
    for rounds, left in ((2, TIMING.rounds_needed - 2), (TIMING.rounds_needed, 0), (TIMING.rounds_needed + 9, 0)):
        state.timed[SHORT.case.id] = [None] * rounds
        assert fitting.least_seconds(state, one) == pytest.approx(budget.check_seconds(0.01) + left * visit)


def test_a_machine_that_is_slower_than_predicted_makes_cases_dearer(begun):
    state = begun(SHORT)
    (one,) = state.estimates(state.open)
    before = fitting.least_seconds(state, one)
    state.time.visiting.learn(predicted=1e6, taken=2e6)
    visit = budget.visit_seconds(one, block=BLOCK, policy=TIMING)
    assert fitting.least_seconds(state, one) == pytest.approx(before + TIMING.rounds_needed * visit, rel=1e-4)
    state.time.preparing.learn(predicted=1e6, taken=2e6)
    assert fitting.least_seconds(state, one) == pytest.approx(2 * before, rel=1e-4)


@pytest.mark.parametrize(("at_least", "needed"), [(3, 3), (6, 5), (30, 5)])
def test_no_more_rounds_are_needed_than_are_made(begun, at_least, needed):
    timing = TIMING.model_copy(update={"rounds_at_least": at_least})
    assert fitting.needed_rounds(begun(SHORT, policy=DEFAULT.model_copy(update={"timing": timing}))) == needed


def test_room_for_cases_is_the_time_left_less_what_follows_them(begun):
    state = begun(SHORT, seconds=100.0, spent=30.0)
    assert fitting.ceilings_seconds(state) == DEFAULT.run.ceiling_again_seconds
    assert fitting.room_for_cases(state) == pytest.approx(70.0 - aside(state) - fitting.extras(state))
    assert fitting.room_after_rounds(state, state.open) == pytest.approx(
        fitting.room_for_cases(state) - budget.check_seconds(0.01)
    )


def test_extras_get_a_small_share_of_the_budget_and_no_more_than_they_need(begun):
    share = DEFAULT.run.extras_share
    needed = budget.pass_seconds("cpu", DEFAULT.telemetry)
    assert fitting.extras(begun(SHORT, seconds=10.0)) == pytest.approx(share * 10.0)
    assert fitting.extras(begun(SHORT, seconds=1e6)) == pytest.approx(needed)


@pytest.mark.parametrize(("limits", "parts"), [
    ({"sustain": True}, ("sustained",)),
    ({"fresh_memory": True}, ("fresh",)),
    ({"sustain": True, "fresh_memory": True}, ("sustained", "fresh")),
])  # fmt: skip
def test_extras_that_were_asked_for_get_all_that_they_need(begun, limits, parts):
    state = begun(SHORT, seconds=1.0, limits=TimeLimits(**limits))
    known = state.estimates(state.open)
    needs = {
        "sustained": budget.sustained_seconds(known, device="cpu", policy=DEFAULT.telemetry),
        "fresh": budget.fresh_memory_seconds(known, device="cpu", policy=DEFAULT.allocation, timing=TIMING),
    }
    assert all(seconds > 0.1 for seconds in needs.values())
    assert fitting.extras(state) == pytest.approx(sum(needs[part] for part in parts))


def test_room_for_extras_is_a_share_of_what_was_spent_within_what_is_left_and_no_bound_where_they_were_asked_for(begun):
    share = DEFAULT.run.extras_share
    state = begun(SHORT, seconds=300.0, spent=100.0)
    assert fitting.room_for_extras(state, is_asked=False) == pytest.approx(share * 100.0)
    late = begun(SHORT, seconds=300.0, spent=295.0)
    left = 5.0 - aside(late) - budget.check_seconds(0.01)
    assert left < share * 295.0
    assert fitting.room_for_extras(late, is_asked=False) == pytest.approx(left)
    assert fitting.room_for_extras(late, is_asked=True) == float("inf")


def test_the_dearest_cases_are_closed_with_the_budget_for_a_reason(begun):
    middle = planned("batched", seconds=0.1, n=128)
    state = begun(SHORT, middle, LONG, seconds=60.0)
    fitting.shed(state, state.open, room=0.5, seconds=lambda one: one.call_seconds)
    assert [record.case for record in state.journal.records] == [LONG.case]
    (record,) = state.journal.records
    assert (record.status, record.reason) == ("over_budget", "the time budget of 60 s does not hold it")
    assert state.open == [SHORT, middle]
    fitting.shed(state, state.open, room=0.5, seconds=lambda one: one.call_seconds)
    assert state.open == [SHORT, middle], "what fits stays"


def test_a_run_that_fits_is_left_as_it_is_and_nothing_is_said(begun):
    state = begun(SHORT, LONG, seconds=300.0)
    fitting.fit_budget(state)
    assert (state.closed, state.left_out, state.progress.events) == ({}, [], [])


def test_a_run_that_holds_fewer_rounds_than_are_aimed_at_says_so(begun):
    state = begun(SHORT, LONG, seconds=45.0)
    fitting.fit_budget(state)
    ((name, (rounds,), more),) = state.progress.events
    assert (name, more) == ("rounds_expected", {"aimed": TIMING.rounds_aimed})
    assert TIMING.rounds_needed < rounds < TIMING.rounds_aimed
    assert state.closed == {}
    tight = begun(SHORT, LONG, seconds=30.0)
    fitting.fit_budget(tight)
    assert tight.progress.events[-1][1][0] < rounds


def test_cases_go_before_anything_is_measured_where_not_even_few_rounds_fit(begun):
    state = begun(SHORT, LONG, seconds=15.0)
    fitting.fit_budget(state)
    assert [planned.case for planned in state.open] == [SHORT.case]
    assert list(state.postponed) == [LONG.case.id]
    assert state.progress.names()[0] == "left_out"
    assert state.supervisor.asked == []
    state.give_up_postponed()
    assert [(record.case, record.status) for record in state.closed.values()] == [(LONG.case, "over_budget")]
    assert state.left_out == [f"cases: {LONG.case.label}"]
    assert state.progress.names().count("left_out") == 1


def test_what_was_put_off_comes_back_cheapest_first_as_far_as_there_is_time(begun, monkeypatch):
    state = begun(SHORT, *(planned("batched", seconds=n / 1e4, n=n) for n in (128, 256)), LONG, seconds=300.0)
    state.postpone([planned.case for planned in reversed(state.plan.cases[1:])])
    assert [case.point["n"] for case in fitting.fitting_again(state)] == [128, 256, 512]
    first, second, third, _ = (fitting.least_seconds(state, state.estimate(one)) for one in state.plan.cases)
    for room, found in ((first + (second + 0.5 * third) / fitting.SURE, [128]), (first, [])):
        monkeypatch.setattr(fitting, "room_for_cases", lambda _, room=room: room)
        assert [case.point["n"] for case in fitting.fitting_again(state)] == found


def test_without_a_case_there_is_nothing_to_fit(begun):
    state = begun(seconds=1.0)
    fitting.fit_budget(state)
    assert state.progress.events == []


def test_a_gpu_pays_for_a_session_of_the_profiler_in_each_preparation(begun):
    state = begun(SHORT, device="cuda:0")
    (one,) = state.estimates(state.open)
    unprepared = fitting.least_seconds(state, one)
    state.prepared[SHORT.case.id] = prepared()
    preparing = unprepared - fitting.least_seconds(state, one)
    assert preparing == pytest.approx(budget.preparation_seconds(0.01, device="cuda:0"))
    assert preparing > budget.preparation_seconds(0.01)


def test_the_cheapest_point_of_the_run_stays_and_not_that_of_the_cases_that_may_go(begun):
    middle = planned("batched", seconds=0.1, n=128)
    state = begun(SHORT, middle, LONG, seconds=60.0)
    fitting.shed(state, [middle, LONG], room=0.0, seconds=lambda one: one.call_seconds)
    assert state.open == [SHORT]
    fitting.shed(state, [SHORT], room=0.0, seconds=lambda one: one.call_seconds)
    assert state.open == [SHORT]


def test_checks_on_a_machine_that_is_slower_than_predicted_take_more_of_the_room(begun):
    state = begun(SHORT, seconds=300.0, spent=295.0)
    before = [fitting.room_after_rounds(state, state.open), fitting.room_for_extras(state, is_asked=False)]
    state.time.preparing.learn(predicted=1e6, taken=2e6)
    after = [fitting.room_after_rounds(state, state.open), fitting.room_for_extras(state, is_asked=False)]
    check = budget.check_seconds(0.01)
    assert [one - other for one, other in zip(before, after, strict=True)] == pytest.approx([check] * 2, rel=1e-4)


def test_workers_on_a_gpu_are_paid_for_until_the_rounds_begin_and_a_processors_are_not(begun):
    assert fitting.worker_seconds(begun(SHORT)) == 0.0
    state = begun(SHORT, LONG, device="cuda:0")
    first, start = budget.FIRST_CALLS_SECONDS_CUDA, budget.START_SECONDS
    without = state.time.left - aside(state) - fitting.extras(state)
    assert fitting.worker_seconds(state) == pytest.approx(first + start + first)
    assert fitting.room_for_cases(state) == pytest.approx(without - fitting.worker_seconds(state))
    state.prepared = {SHORT.case.id: prepared(), LONG.case.id: prepared()}
    assert fitting.worker_seconds(state) == 0.0, "a resumed run has nothing to profile"
    state.profiled = True
    assert fitting.worker_seconds(state) == pytest.approx(start + first)
    state.rounds_done = 1
    assert fitting.worker_seconds(state) == 0.0
