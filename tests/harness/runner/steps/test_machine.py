"""The machine of a run is described once and its ceilings are measured at both ends; another machine is refused."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import CeilingsMeasured, EnvironmentMeasured, MeasureCeilings, MeasureEnvironment
from harness.records import Ceiling
from harness.results import journal
from harness.results.documents import JournalError
from harness.runner.selection import TimeLimits
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


def test_what_changed_since_a_run_was_begun_is_named(tmp_path):
    first = environment("cpu", "x")
    first = first.model_copy(update={"stable": {**first.stable, "variables": {}}})
    stable = {**first.stable, "threads": 1, "variables": {"OMP_NUM_THREADS": "1"}}
    state = state_of(FIRST, answers={MeasureEnvironment: EnvironmentMeasured(environment=first)}, directory=tmp_path)
    machine.describe_machine(state)
    other = first.model_copy(update={"id": "another", "stable": stable})
    state.supervisor.answers[MeasureEnvironment] = EnvironmentMeasured(environment=other)
    changed = "threads was 2, now it is 1; OMP_NUM_THREADS was not set, now it is 1"
    with pytest.raises(JournalError, match=f"was begun on another machine or setup: {changed}$"):
        machine.describe_machine(state)


@pytest.mark.parametrize(("before", "now", "warned"), [("a", "b", True), ("a", "a", False), (None, "b", False)])
def test_a_run_that_goes_on_elsewhere_warns_of_it(tmp_path, before, now, warned):
    first, again = (
        environment("cpu", "x").model_copy(update={"volatile": {} if name is None else {"hostname": name}})
        for name in (before, now)
    )
    state = state_of(FIRST, answers={MeasureEnvironment: EnvironmentMeasured(environment=first)}, directory=tmp_path)
    machine.describe_machine(state)
    state.supervisor.answers[MeasureEnvironment] = EnvironmentMeasured(environment=again)
    machine.describe_machine(state)
    said = "The run was begun on a, and goes on on b, which is alike."
    assert state.warnings == ([said] if warned else [])


def test_ceilings_are_measured_again_only_where_something_was_timed():
    known = environment("cpu", "x")
    slower = [ceiling.model_copy(update={"value": 0.5 * ceiling.value}) for ceiling in known.ceilings[:1]]
    state = timed(FIRST, answers={MeasureCeilings: CeilingsMeasured(ceilings=slower)})
    state.environment = known
    machine.measure_ceilings_again(state)
    assert state.ceilings_after == slower
    assert "fell by 50 %" in state.warnings[-1]
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
    assert "matmul float32 fell by 20 %" in lines[0]
    assert machine.ceiling_warnings([MATMUL], [MATMUL.model_copy(update={"value": 1.04e11})], at_least=0.05) == []
    assert "rose" in machine.ceiling_warnings([MATMUL], [MATMUL.model_copy(update={"value": 2e11})], at_least=0.05)[0]


FLOAT32 = Ceiling(name="matmul float32", value=1e11, unit="FLOP/s", how="given", size=512)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keep ceilings in a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def begun(tmp_path, name, *, found=None, **changes):
    """Return the state of a run on a machine that measures some ceilings, after it was described."""
    described = found or environment("cpu", "x").model_copy(update={"ceilings": [FLOAT32]})
    (tmp_path / name).mkdir(exist_ok=True)
    state = state_of(
        FIRST,
        answers={MeasureEnvironment: EnvironmentMeasured(environment=described)},
        directory=tmp_path / name,
        **changes,
    )
    machine.describe_machine(state)
    return state


def asked(state):
    return [request.dtypes for request in state.supervisor.asked]


def test_a_machine_that_was_measured_today_is_not_measured_again_unless_it_was_asked_for(tmp_path, cache):
    first = begun(tmp_path, "first")
    assert (asked(first), first.are_ceilings_kept) == ([[], ["float32"]], False)
    second = begun(tmp_path, "second")
    assert (asked(second), second.are_ceilings_kept) == ([[]], True)
    assert second.environment.ceilings == first.environment.ceilings == [FLOAT32]
    fresh = begun(tmp_path, "fresh", limits=TimeLimits(fresh_ceilings=True))
    assert (asked(fresh), fresh.are_ceilings_kept) == ([[], ["float32"]], False)
    assert any(cache.rglob("ceilings-*.json"))


def test_ceilings_are_of_the_dtypes_of_cases_that_run(tmp_path, cache):
    half = FIRST.model_copy(update={"case": FIRST.case.model_copy(update={"id": "h", "dtype": "float16"})})
    skipped = half.model_copy(update={"skip": "unsupported", "reason": "no float16"})
    answers = {MeasureEnvironment: EnvironmentMeasured(environment=environment("cpu", "x"))}
    for case, dtypes in ((half, ["float16", "float32"]), (skipped, ["float32"])):
        state = state_of(FIRST, case, answers=answers, directory=tmp_path, limits=TimeLimits(fresh_ceilings=True))
        machine.describe_machine(state)
        assert asked(state)[-1] == dtypes
    alone = state_of(half, answers=answers, directory=tmp_path, limits=TimeLimits(fresh_ceilings=True))
    machine.describe_machine(alone)
    assert asked(alone)[-1] == ["float16", "float32"], "what may be computed in float32 is held against its rate"


@pytest.mark.parametrize(("others", "warned"), [(None, False), (0, False), (2, True), ("unknown", False)])
def test_other_processes_on_a_gpu_are_told_at_both_ends(tmp_path, cache, others, warned):
    volatile = {} if others is None else {"gpu_other_processes": others}
    state = begun(tmp_path, "run", found=environment("cuda:0", "x").model_copy(update={"volatile": volatile}))
    assert any("at the start" in line for line in state.warnings) == warned
    if not isinstance(others, int | None):
        return
    again = timed(FIRST, answers={MeasureCeilings: CeilingsMeasured(ceilings=[], others=others)})
    again.environment = environment("cpu", "x")
    machine.measure_ceilings_again(again)
    assert [line for line in again.warnings if "at the end" in line] == (
        [f"{others} other process(es) were on the GPU at the end of the run: its times are not its own."]
        if warned
        else []
    )


def test_another_card_of_the_same_model_is_a_warning_when_a_run_goes_on(tmp_path, cache):
    known = environment("cuda:0", "x").model_copy(update={"volatile": {"gpu_uuid": "GPU-a"}})
    state = begun(tmp_path, "run", found=known)
    machine.describe_machine(state)
    assert state.warnings == []
    other = known.model_copy(update={"volatile": {"gpu_uuid": "GPU-b"}})
    state.supervisor.answers[MeasureEnvironment] = EnvironmentMeasured(environment=other)
    machine.describe_machine(state)
    assert state.warnings == ["The run was begun on another card of the same model, and goes on with GPU-b."]
    assert state.environment == known


@pytest.mark.parametrize(
    ("rate", "is_asked"),
    [(1.0, False), (1.04, False), (0.61, False), (0.59, True), (1.06, True)],
)
def test_kept_ceilings_are_measured_again_where_the_canary_does_not_say_that_they_hold(rate, is_asked):
    canary = 2 * DEFAULT.timing.canary_size**3 / (rate * FLOAT32.value)
    state = timed(FIRST, answers={MeasureCeilings: CeilingsMeasured(ceilings=[FLOAT32])})
    visits = [visit.model_copy(update={"canary": [canary] * 2}) for visit in state.timed[FIRST.case.id]]
    state.timed[FIRST.case.id] = visits
    state.environment = environment("cpu", "x").model_copy(update={"ceilings": [FLOAT32]})
    state.are_ceilings_kept = True
    machine.measure_ceilings_again(state)
    assert bool(state.supervisor.asked) == is_asked
    assert state.ceilings_after == ([FLOAT32] if is_asked else [])


def test_a_ceiling_that_was_not_measured_again_is_no_warning():
    assert machine.ceiling_warnings([MATMUL, MEMORY], [], at_least=0.05) == []


@pytest.mark.parametrize(("factor", "held"), [(250.0, 250.0), (0.5, 1.0), (1.04, 1.0)])
def test_ceilings_that_other_work_held_down_are_kept_no_longer(tmp_path, cache, factor, held):
    begun(tmp_path, "busy")
    after = FLOAT32.model_copy(update={"value": factor * FLOAT32.value})
    state = timed(FIRST, answers={MeasureCeilings: CeilingsMeasured(ceilings=[after])})
    state.environment = environment("cpu", "x").model_copy(update={"ceilings": [FLOAT32]})
    machine.measure_ceilings_again(state)
    assert state.environment.ceilings == [FLOAT32], "what was measured stays in the run"
    assert begun(tmp_path, "next").environment.ceilings[0].value == held * FLOAT32.value
