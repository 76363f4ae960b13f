"""Few cases load the device for seconds, each chosen for a reason; one lost under the load is closed."""

from __future__ import annotations

import pytest

from harness.policy import TelemetryPolicy
from harness.protocol.messages import Sustain, Sustained
from harness.records import Case, PlannedCase, Prediction, Telemetry
from harness.runner import budget
from harness.runner.selection import TimeLimits
from harness.runner.steps import sustained
from harness.runner.steps.sustained import choose
from tests.support.steps import FIRST, LOST, timed
from tests.support.steps import planned as one_of


def test_a_sustained_load_is_kept_with_why_its_case_was_chosen():
    answer = Sustained(telemetry=Telemetry(summary={"calls": 10.0}), calls_seconds=2.0)
    state = timed(FIRST, answers={Sustain: answer})
    sustained.load_for_long(state)
    assert state.supervisor.asked[0].call_seconds == pytest.approx(0.105)
    assert state.telemetry[FIRST.case.id].chosen == "its most operations in a short call"
    assert state.time.calls == 2.0


def test_a_case_lost_under_sustained_load_is_closed():
    state = timed(FIRST, answers={Sustain: LOST})
    sustained.load_for_long(state)
    assert state.closed[FIRST.case.id].status == "crashed"
    assert state.telemetry == {}


def planned(implementation, operations, seconds, *, device="cpu", direction="forward", skip=None):
    case = Case(
        id=f"{implementation}-{operations}-{direction}",
        scenario="s",
        problem="attention",
        implementation=implementation,
        point={},
        dtype="float32",
        device=device,
        direction=direction,
    )
    predicted = Prediction(operations=operations, extra_bytes=0, resident_bytes=0, seconds=seconds)
    return PlannedCase(case=case, predicted=predicted, skip=skip, reason="x" if skip else "")


def test_the_sustained_pass_runs_on_few_named_points_of_each_implementation():
    cases = [planned("fast", n, n * 1e-4) for n in range(1, 10)] + [planned("loop", n, n * 1e-2) for n in range(1, 20)]
    cases += [planned("fast", 500, 1e-4, direction="backward"), planned("fast", 600, 1e-4, skip="unsupported")]
    chosen = choose(cases, policy=TelemetryPolicy())
    assert set(chosen) == {"fast-9-forward", "loop-10-forward"}
    assert all(chosen.values())


def test_a_gpu_has_a_second_point_where_the_policy_affords_it():
    cases = [planned("fast", n, n * 1e-4, device="cuda:0") for n in range(1, 10)]
    assert set(choose(cases, policy=TelemetryPolicy(points_cuda=2))) == {"fast-9-forward", "fast-5-forward"}
    assert set(choose(cases, policy=TelemetryPolicy())) == {"fast-9-forward"}


def test_an_implementation_with_long_calls_only_gets_its_shortest():
    cases = [planned("loop", n, float(n)) for n in (3, 2, 4)]
    assert choose(cases, policy=TelemetryPolicy()) == {"loop-2-forward": "its shortest call"}


def test_no_case_is_chosen_that_is_skipped_unpredicted_cold_or_backward():
    whole = planned("fast", 9, 1e-4)
    for changes in ({"skip": "unsupported", "reason": "x"}, {"predicted": None}):
        assert choose([whole.model_copy(update=changes)], policy=TelemetryPolicy()) == {}
    for changes in ({"cache": "cold"}, {"direction": "backward"}):
        other = whole.model_copy(update={"case": whole.case.model_copy(update=changes)})
        assert choose([other], policy=TelemetryPolicy()) == {}
    assert choose([whole], policy=TelemetryPolicy(points_cpu=0)) == {}
    assert choose([], policy=TelemetryPolicy()) == {}


def test_a_case_that_is_the_largest_and_the_middle_is_loaded_once():
    chosen = choose([planned("fast", 9, 1e-4)], policy=TelemetryPolicy(points_cpu=2))
    assert chosen == {"fast-9-forward": "its most operations in a short call"}


def test_loads_are_bounded_by_the_room_and_the_rest_is_said():
    names = ("batched", "einsum", "online", "loop")
    answers = {Sustain: Sustained(telemetry=Telemetry(), calls_seconds=2.0)}
    state = timed(*(one_of(name) for name in names), answers=answers, limits=TimeLimits())
    one = budget.pass_seconds("cpu", state.policy.telemetry)
    # Here a load takes no time, so that all fit a room that holds one.
    for room, loads in ((2.5 * one, 4), (0.5 * one, 0), (-1.0, 0)):
        state.supervisor.asked.clear()
        state.progress.events.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sustained.fitting, "room_for_extras", lambda *_, room=room, **__: room)
            sustained.load_for_long(state)
        assert [request.case.implementation for request in state.supervisor.asked] == list(names[:loads])
        events = {name: (arguments, more) for name, arguments, more in state.progress.events}
        foreseen = max(0, int(room / one))
        assert events["phase_begun"][1] == {"cost": pytest.approx(foreseen * one), "cases": foreseen}
        if loads < len(names):
            part, cases = events["left_out"][0]
            assert (part, [case.implementation for case in cases]) == ("sustained load", list(names[loads:]))


def test_a_load_is_begun_as_long_as_one_more_fits(monkeypatch):
    names = ("batched", "einsum", "online", "loop")
    state = timed(*(one_of(name) for name in names), answers={}, limits=TimeLimits())
    one = budget.pass_seconds("cpu", state.policy.telemetry)
    now = [100.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sustained.fitting, "room_for_extras", lambda *_, **__: 2.5 * one)
    asked = []

    def ask(request, *, seconds):
        asked.append(request.case.implementation)
        now[0] += one
        return Sustained(telemetry=Telemetry(), calls_seconds=2.0)

    state.supervisor.ask = ask
    sustained.load_for_long(state)
    assert asked == list(names[:2])
    assert state.left_out[-1].startswith("sustained load: online")


def test_a_load_may_take_its_window_and_the_wait_for_a_warm_gpu_beside_the_timeout():
    given = []

    def ask(request, *, seconds):
        given.append((request.seed, seconds))
        return Sustained(telemetry=Telemetry(), calls_seconds=2.0)

    for device in ("cpu", "cuda:0"):
        case = FIRST.model_copy(update={"case": FIRST.case.model_copy(update={"device": device})})
        state = timed(case, answers={}, device=device)
        state.supervisor.ask = ask
        sustained.load_for_long(state)
        policy = state.policy.telemetry
        whole = budget.pass_seconds(device, policy) + budget.wait_seconds(device, policy)
        assert given.pop() == (state.seed(case.case, visit=1), pytest.approx(state.timeout(case) + whole))


def test_the_bar_ends_where_it_began_though_a_load_had_no_room(monkeypatch):
    names = ("batched", "einsum", "online", "loop")
    state = timed(*(one_of(name) for name in names), answers={}, limits=TimeLimits())
    one = budget.pass_seconds("cpu", state.policy.telemetry)
    now = [100.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sustained.fitting, "room_for_extras", lambda *_, **__: 3.5 * one)

    def ask(request, *, seconds):
        now[0] += 2 * one
        return Sustained(telemetry=Telemetry(), calls_seconds=2.0)

    state.supervisor.ask = ask
    sustained.load_for_long(state)
    begun = next(more for name, _, more in state.progress.events if name == "phase_begun")
    ended = [more["cost"] for name, _, more in state.progress.events if name == "done"]
    assert (begun["cases"], sum(ended)) == (3, pytest.approx(begun["cost"]))
