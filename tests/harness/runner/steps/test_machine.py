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


def on_gpu(**volatile):
    described = environment("cuda:0", "x")
    return described.model_copy(update={"volatile": {**described.volatile, "gpu_uuid": "GPU-1", **volatile}})


def test_other_processes_on_the_gpu_are_a_warning_of_the_run_at_both_ends(tmp_path):
    shared = on_gpu(gpu_other_processes=2)
    answers = {
        MeasureEnvironment: EnvironmentMeasured(environment=shared),
        MeasureCeilings: CeilingsMeasured(ceilings=shared.ceilings, others=1),
    }
    state = timed(FIRST, answers=answers, directory=tmp_path)
    machine.describe_machine(state)
    machine.measure_ceilings_again(state)
    assert state.warnings == [
        "2 other process(es) were on the GPU at the start of the run: its times are not its own.",
        "1 other process(es) were on the GPU at the end of the run: its times are not its own.",
    ]


@pytest.mark.parametrize(("card", "warnings"), [("GPU-1", 0), ("GPU-2", 1)])
def test_a_run_that_goes_on_with_another_card_of_the_model_says_so(card, warnings, tmp_path):
    state = state_of(FIRST, answers={MeasureEnvironment: EnvironmentMeasured(environment=on_gpu(gpu_uuid=card))})
    state.environment, state.directory = on_gpu(gpu_other_processes=0), tmp_path
    machine.describe_machine(state)
    assert len(state.warnings) == warnings
    assert all("another card of the same model, and goes on with GPU-2" in warning for warning in state.warnings)
