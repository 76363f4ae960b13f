"""The machine of a run is described once and its ceilings are measured at both ends; another machine is refused."""

from __future__ import annotations

import pytest

from harness.protocol.messages import CeilingsMeasured, EnvironmentMeasured, MeasureCeilings, MeasureEnvironment
from harness.results import journal
from harness.results.documents import JournalError
from harness.runner.steps import machine
from tests.harness.machine.test_roofline import MATMUL, MEMORY
from tests.support.runs import environment
from tests.support.scripted import state_of
from tests.support.steps import FIRST, LOST, timed


def test_the_machine_is_described_once_and_another_one_is_refused(tmp_path):
    first = environment("cpu", "x")
    state = state_of(FIRST, answers={MeasureEnvironment: EnvironmentMeasured(environment=first)}, directory=tmp_path)
    machine.describe_machine(state)
    assert journal.read_environment(tmp_path) == state.environment == first
    assert [request.dtypes for request in state.supervisor.asked] == [[], ["float32"]]
    other = first.model_copy(update={"id": "another"})
    state.supervisor.answers[MeasureEnvironment] = EnvironmentMeasured(environment=other)
    with pytest.raises(JournalError, match="begun on another machine"):
        machine.describe_machine(state)
    assert state.environment == first


def test_ceilings_are_measured_again_only_where_something_was_timed():
    known = environment("cpu", "x")
    slower = [ceiling.model_copy(update={"value": 0.5 * ceiling.value}) for ceiling in known.ceilings[:1]]
    state = timed(FIRST, answers={MeasureCeilings: CeilingsMeasured(ceilings=slower)})
    state.environment = known
    machine.measure_ceilings_again(state)
    assert state.ceilings_after == slower
    assert "fell by 50%" in state.warnings[-1]
    state.supervisor.answers[MeasureCeilings] = LOST
    machine.measure_ceilings_again(state)
    assert state.warnings[-1] == f"ceilings not measured again: {LOST.reason}"
    idle = state_of(FIRST)
    idle.environment = known
    machine.measure_ceilings_again(idle)
    assert idle.supervisor.asked == []


def test_a_ceiling_that_moved_is_a_warning():
    lines = machine.ceiling_warnings(
        [MATMUL, MEMORY], [MATMUL.model_copy(update={"value": 0.8e11}), MEMORY], at_least=0.05
    )
    assert len(lines) == 1
    assert "matmul float32 fell by 20%" in lines[0]
    assert machine.ceiling_warnings([MATMUL], [MATMUL.model_copy(update={"value": 1.04e11})], at_least=0.05) == []
    assert "rose" in machine.ceiling_warnings([MATMUL], [MATMUL.model_copy(update={"value": 2e11})], at_least=0.05)[0]
