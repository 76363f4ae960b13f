"""Few cases load the device for seconds, each chosen for a reason; one lost under the load is closed."""

from __future__ import annotations

import pytest

from harness.policy import TelemetryPolicy
from harness.protocol.messages import Sustain, Sustained
from harness.records import Case, PlannedCase, Prediction, Telemetry
from harness.runner.steps import sustained
from harness.runner.steps.sustained import choose
from tests.support.steps import FIRST, LOST, timed


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
