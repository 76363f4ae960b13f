"""What a run on a GPU keeps time for beside its calls: a profiler's sessions, graphs, a second worker, cooling down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import Replay, Replayed, Replays, Sustain, Sustained, Visit, Visited
from harness.records import PlannedCase, Prediction, Round, Telemetry
from harness.runner import budget
from harness.runner.selection import TimeLimits
from harness.runner.steps import fitting, rounds, sustained
from tests.harness.results.test_closing import prepared
from tests.support.runs import ok_case
from tests.support.scripted import state_of

TIMING, POLICY = DEFAULT.timing, DEFAULT.telemetry
# A call of one kernel that runs for less than its launch takes.
SHORT = 5e-6
GRAPH = 3.0
PASS = budget.pass_seconds("cuda:0", POLICY)
WAIT = POLICY.cool_down_at_most


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(budget.time, "monotonic", made)
    return made


def planned(implementation="batched", *, device="cuda:0", seconds=SHORT, **point):
    case = ok_case(implementation, **point).model_copy(update={"device": device})
    predicted = Prediction(operations=10, extra_bytes=64, resident_bytes=0, seconds=seconds)
    return PlannedCase(case=case, predicted=predicted)


def state_on(device, *, clock, answers=None, is_prepared=False, names=("batched",), limits=None, seconds=780.0):
    cases = [planned(name, device=device) for name in names]
    state = state_of(*cases, answers=answers, clock=clock, budget=seconds, device=device, limits=limits)
    if is_prepared:
        ran = prepared().ran.model_copy(update={"launches": 1})
        known = prepared().model_copy(update={"call_seconds": SHORT, "ran": ran})
        state.prepared = {one.case.id: known for one in cases}
    return state


def test_a_session_of_the_profiler_is_part_of_what_a_case_on_a_gpu_takes(clock):
    on_cpu, on_gpu = (state_on(device, clock=clock) for device in ("cpu", "cuda:0"))
    known = [state.estimate(state.plan.cases[0]) for state in (on_cpu, on_gpu)]
    # Without graphs, which have a test of their own.
    bare = [replace(one, has_graph=True) for one in known]
    beside = fitting._beside_rounds(on_gpu, bare[1]) - fitting._beside_rounds(on_cpu, bare[0])
    checked = budget.CHECK_SECONDS_CUDA - budget.CHECK_SECONDS
    assert beside == pytest.approx(budget.SESSION_SECONDS + checked)


def test_a_graph_is_kept_time_for_in_the_rounds_that_have_one_and_in_no_other(clock):
    state = state_on("cuda:0", clock=clock, is_prepared=True)
    one = state.estimate(state.plan.cases[0])
    assert fitting.needed_rounds(state) > TIMING.graph_rounds
    graphs = fitting.least_seconds(state, one) - fitting.least_seconds(state, replace(one, has_graph=True))
    block = budget.shortest_block("cuda:0", TIMING)
    assert graphs == pytest.approx(TIMING.graph_rounds * budget.graph_seconds(one, block=block, policy=TIMING))
    assert graphs > 0.0


@pytest.mark.parametrize(
    ("device", "seconds"), [("cuda:0", budget.START_SECONDS + budget.FIRST_CALLS_SECONDS_CUDA), ("cpu", 0.0)]
)
def test_the_worker_of_the_rounds_is_kept_time_for_until_it_is_there(clock, device, seconds):
    state = state_on(device, clock=clock, is_prepared=True)
    state.profiled = True
    before = fitting.room_for_cases(state)
    rounds.leave_profiled_worker(state)
    assert fitting.room_for_cases(state) - before == pytest.approx(seconds)


def test_what_a_graph_took_is_not_expected_of_a_visit_without_one(clock):
    def visit(request):
        clock.now += 0.1
        made = Round(index=request.index, started=0.0, calls_per_sample=1, samples=[SHORT], host_seconds=[2 * SHORT])
        return Visited(round=made, calls_seconds=0.0)

    def replay(_request):
        clock.now += GRAPH
        return Replayed(graph=Replays(samples=[SHORT], calls=8, inputs=4), capture_failed=False, calls_seconds=0.0)

    state = state_on("cuda:0", clock=clock, is_prepared=True, answers={Visit: visit, Replay: replay})
    (one,) = state.plan.cases
    for _ in range(TIMING.graph_rounds):
        rounds.visit(state, one, rounds.visit_request(state, one, index=0, block=1e-3), block=1e-3, cost=1.0)
        state.rounds_done += 1
    assert clock.now == pytest.approx(TIMING.graph_rounds * (0.1 + GRAPH))
    assert rounds.visit_cost(state, one, block=1e-3) == pytest.approx(0.1)


def loads(clock, *, seconds, limits=None):
    """Load a GPU that has to cool for as long as it may before each load but the first; return what was loaded."""
    taken = []

    def sustain(request):
        clock.now += PASS + (WAIT if taken else 0.0)
        taken.append(request.case.implementation)
        return Sustained(telemetry=Telemetry(), calls_seconds=0.0)

    names = ("batched", "einsum", "sdpa-auto", "sdpa-flash", "sdpa-math", "online")
    state = state_on(
        "cuda:0",
        clock=clock,
        is_prepared=True,
        names=names,
        answers={Sustain: sustain},
        limits=limits,
        seconds=10 * seconds,
    )
    state.timed = {
        one.case.id: [Round(index=0, started=0.0, calls_per_sample=1, samples=[SHORT])] for one in state.open
    }
    clock.now = seconds
    sustained.load_for_long(state)
    return state, taken, clock.now - seconds


def test_loads_and_the_waits_before_them_take_no_more_than_they_may(clock):
    room = 40.0
    state, taken, spent = loads(clock, seconds=room / budget.extras_share("cuda:0", DEFAULT.run))
    assert PASS <= spent <= room
    # Without the waits there would have been time for more.
    assert len(taken) == 2 < int(room / PASS)
    (said,) = state.left_out
    assert said.startswith("sustained load: ")
    assert said.count("forward") == 4


def test_loads_that_were_asked_for_are_all_taken(clock):
    state, taken, spent = loads(clock, seconds=800.0, limits=TimeLimits(sustain=True))
    assert len(taken) == 6
    assert spent == pytest.approx(6 * PASS + 5 * WAIT)
    assert state.left_out == []
