"""Rounds are many and short, go where they narrow an interval most for their cost, and keep to the time budget."""

from __future__ import annotations

import collections
import itertools

import pytest

from harness.policy import DEFAULT, FAST
from harness.protocol.messages import Prepare, Visit
from harness.runner import budget
from harness.runner.selection import TimeLimits
from tests.support.virtual import Machine, planned, run

QUICK = ("batched", "einsum", "sdpa-auto", "sdpa-flash", "sdpa-math", "online")
SIZES = (64, 128, 256, 512, 1024, 2048, 4096)


def sweep(*, sizes=SIZES, sweeps=1):
    """Plan sweeps of quick implementations whose largest call takes 80 ms, and of one that is ten times slower."""
    cases = []
    for number in range(sweeps):
        for size in sizes:
            seconds = 2e-5 + 5e-9 * size * size
            cases += [planned(name, seconds, n=size, batch=number + 1) for name in QUICK]
            if number == 0:
                cases.append(planned("loop", 10 * seconds, n=size, batch=1))
    return cases


def visits(state):
    return {identity: len(rounds) for identity, rounds in state.timed.items()}


def asked(state, kind):
    return [request for request in state.supervisor.asked if isinstance(request, kind)]


def with_report(state):
    return state.time.spent + budget.report_seconds(len(state.plan.cases))


@pytest.fixture(scope="module")
def default():
    """Take four sweeps through a run of five minutes; return its state, its seconds with the report, its summary."""
    with pytest.MonkeyPatch.context() as patch:
        state = run(patch, sweep(sweeps=4), Machine(), budget=300.0)
        return state, with_report(state), state.time.spent, state.summary(is_complete=True)


def test_quick_cases_get_twenty_rounds_of_one_block_and_slow_ones_what_an_interval_needs(default):
    state, *_ = default
    cases, counts = state.plan.cases, visits(state)
    assert {request.blocks for request in asked(state, Visit)} == {1}
    assert min(counts.values()) >= DEFAULT.timing.rounds_at_least
    quick = [counts[one.case.id] for one in cases if one.predicted.seconds < 0.02]
    assert sorted(quick)[len(quick) // 10] >= 16
    slow = [counts[one.case.id] for one in cases if one.predicted.seconds > 0.5]
    assert max(slow) < sorted(quick)[len(quick) // 10]
    assert set(state.stopped.values()) <= {"time budget", "precision", "rounds"}


def test_a_default_run_is_in_timed_samples_for_most_of_its_time(default):
    state, seconds, spent, summary = default
    assert 280.0 < seconds < 315.0
    # A quarter goes into preparing and checking these cases, and a call before each block that is not timed.
    assert state.time.timed > 0.42 * seconds
    assert summary.timed_share == pytest.approx(state.time.timed / spent)


def test_one_slow_implementation_does_not_eat_the_budget(default):
    state, *_ = default
    spent = collections.Counter()
    for one in state.plan.cases:
        spent[one.case.implementation] += sum(state.visit_seconds[one.case.id])
    assert spent["loop"] < 0.4 * sum(spent.values())


def test_visits_go_where_an_interval_is_widest_for_its_cost(monkeypatch):
    cases = [planned(name, 1e-3, n=n) for n in range(64, 128) for name in ("batched", "einsum")]
    noisy = {one.case.id for one in cases if one.case.implementation == "einsum"}
    machine = Machine(scatter={one.case.id: 0.3 if one.case.id in noisy else 0.05 for one in cases})
    state = run(monkeypatch, cases, machine, budget=150.0)
    counts = visits(state)
    still = [count for identity, count in counts.items() if identity not in noisy]
    loud = [counts[identity] for identity in noisy]
    assert sum(loud) > 1.8 * sum(still)
    assert min(still) >= DEFAULT.timing.rounds_at_least


@pytest.mark.parametrize("budget_seconds", [20.0, 60.0, 300.0])
@pytest.mark.parametrize("slower", [1.0, 4.0])
def test_the_budget_is_kept_on_a_machine_that_becomes_slower(monkeypatch, budget_seconds, slower):
    machine = Machine(slower=slower, slower_from=1000.0 + 0.3 * budget_seconds)
    state = run(monkeypatch, sweep(sweeps=2), machine, budget=budget_seconds)
    assert with_report(state) <= 1.05 * budget_seconds
    assert len(state.closed) == len(state.plan.cases)


@pytest.mark.parametrize("wrong", [0.2, 5.0])
def test_the_budget_is_kept_where_predictions_are_wrong(monkeypatch, wrong):
    cases = sweep(sweeps=2)
    machine = Machine(calls={one.case.id: wrong * one.predicted.seconds for one in cases})
    state = run(monkeypatch, cases, machine, budget=100.0)
    assert with_report(state) <= 105.0


def test_what_does_not_fit_is_said_before_anything_is_prepared_dearest_first(monkeypatch):
    state = run(monkeypatch, sweep(), Machine(), budget=15.0)
    names = state.progress.names()
    assert names.index("left_out") < names.index("phase_begun")
    part, cases = next(arguments for name, arguments, _ in state.progress.events if name == "left_out")
    assert part == "cases"
    assert (cases[0].implementation, cases[0].point["n"]) == ("loop", 4096)
    gone = {record.case.id for record in state.closed.values() if record.status == "over_budget"}
    assert {case.id for case in cases} <= gone
    assert not gone & {request.case.id for request in asked(state, Visit)}
    assert "loop" in state.summary(is_complete=True).left_out[0]


def test_a_budget_that_holds_nothing_still_measures_the_cheapest_point(monkeypatch):
    state = run(monkeypatch, sweep(), Machine(), budget=1.0)
    assert {request.case.point["n"] for request in asked(state, Prepare)} == {64}
    assert set(visits(state).values()) == {DEFAULT.timing.rounds_needed}


def test_every_visit_draws_fresh_inputs_and_implementations_of_a_point_are_neighbours(monkeypatch):
    cases = [planned(name, 1e-3, n=n) for n in SIZES for name in QUICK]
    state = run(monkeypatch, cases, Machine(), budget=60.0)
    seeds = collections.defaultdict(list)
    by_round = collections.defaultdict(list)
    for request in asked(state, Visit):
        seeds[request.case.id].append(request.seed)
        by_round[request.index].append(request.case.point["n"])
    assert all(len(set(of_case)) == len(of_case) for of_case in seeds.values())
    for order in by_round.values():
        changes = sum(first != second for first, second in itertools.pairwise(order))
        assert changes == len(set(order)) - 1


def test_sustained_load_takes_a_small_share_unless_it_is_asked_for(monkeypatch):
    state = run(monkeypatch, sweep(sizes=(64, 128)), Machine(), budget=300.0)
    assert len(state.telemetry) < 2
    assert "sustained load" in state.summary(is_complete=True).left_out[0]
    told = run(monkeypatch, sweep(sizes=(64, 128)), Machine(), budget=300.0, limits=TimeLimits(sustain=True))
    assert len(told.telemetry) == len(QUICK) + 1


def test_a_small_fast_run_takes_seconds(monkeypatch):
    cases = [planned(name, 1e-4, n=n) for n in (64, 128, 256, 512) for name in ("mine", "sdpa-auto")]
    state = run(monkeypatch, cases, Machine(), budget=70.0, policy=FAST)
    assert state.time.spent < 6.0
    assert min(visits(state).values()) >= FAST.timing.rounds_at_least
