"""The steps of a run: what fails costs its own case, what is known is not asked again, rounds end with a reason."""

from __future__ import annotations

import random

import pytest

from harness.policy import DEFAULT, TimingPolicy
from harness.protocol.messages import (
    CeilingsMeasured,
    Count,
    Counted,
    EnvironmentMeasured,
    Failed,
    MeasureCeilings,
    MeasureEnvironment,
    Prepare,
    Prepared,
    Recheck,
    Rechecked,
    Refused,
    Sustain,
    Sustained,
    Visit,
    Visited,
)
from harness.records import Agreement, Degrees, PlannedCase, Prediction, Record, Round, Telemetry
from harness.results import journal
from harness.results.documents import JournalError
from harness.runner.execute import STEPS, _measure, exit_code
from harness.runner.selection import TimeLimits
from harness.runner.state import degrees_key
from harness.runner.steps import closing, fresh_memory, machine, preparation, rounds, sustained
from harness.runner.supervisor import WorkerError
from tests.harness.results.test_closing import prepared
from tests.support.runs import environment, ok_case, ok_record
from tests.support.scripted import state_of

AGREED = Agreement(passed=True, checks=[], rechecked=True)
LOST = Failed(status="crashed", reason="killed by SIGSEGV", worker_gone=True)
DISAGREED = Refused(status="disagreed", reason="out: 3 times its budget", calls_seconds=0.25)
# A run of three rounds, or five where precision is missed.
QUICK = DEFAULT.model_copy(update={"timing": TimingPolicy(rounds_at_least=3, rounds_at_most=5, looks=(3, 5))})


def planned(implementation="batched", *, seconds=0.01, **point):
    predicted = Prediction(operations=10, extra_bytes=64, resident_bytes=0, seconds=seconds)
    return PlannedCase(case=ok_case(implementation, **point), predicted=predicted)


FIRST, SECOND = planned("batched"), planned("einsum")
SUSTAINED = TimeLimits(sustain=True)


def visited(request, *, seconds=0.01, scatter=0.0):
    samples = [seconds * (1 + scatter * (-1) ** (request.index + block)) for block in range(request.blocks)]
    return Visited(
        round=Round(
            index=request.index,
            process=request.process,
            started=0.0,
            calls_per_sample=request.calls,
            samples=samples,
        ),
        calls_seconds=sum(samples),
    )


def counted(request):
    return Counted(degrees=Degrees(problem=request.problem, implementation=request.implementation, how="declared"))


def ready(*cases, answers=None, policy=QUICK, **changes):
    """Return the state of a run whose cases are prepared."""
    state = state_of(*cases, answers=answers, policy=policy, **changes)
    state.prepared = {case.case.id: prepared() for case in cases}
    return state


def test_the_steps_are_in_order_and_closing_comes_last_but_for_the_ceilings():
    names = [step.__name__ for step in STEPS]
    assert names[:4] == ["close_skipped", "describe_machine", "fit_budget", "prepare_cases"]
    assert names[-2:] == ["recheck_and_close", "measure_ceilings_again"]


def test_a_skipped_case_is_recorded_with_the_reason_of_the_plan():
    skipped = FIRST.model_copy(update={"skip": "predicted_oom", "reason": "too large"})
    state = state_of(skipped, SECOND)
    closing.close_skipped(state)
    (record,) = state.journal.records
    assert (record.status, record.reason) == ("predicted_oom", "too large")
    assert state.open == [SECOND]


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


def test_a_case_that_fails_in_preparation_is_closed_and_the_others_go_on():
    answers = {Prepare: lambda request: DISAGREED if request.case == FIRST.case else _prepared(request)}
    state = state_of(FIRST, SECOND, answers=answers)
    preparation.prepare_cases(state)
    assert [record.status for record in state.closed.values()] == ["disagreed"]
    assert list(state.prepared) == [SECOND.case.id]
    assert state.journal.prepared == [(SECOND.case.id, prepared())]
    assert state.time.calls == 0.75
    assert sorted(state.progress.names()) == ["failed", "phase_begun", "prepared"]


@pytest.mark.parametrize(("device", "drops"), [("cuda:0", 1), ("cpu", 0)])
def test_rounds_on_a_gpu_run_in_a_worker_that_was_never_profiled(device, drops):
    order = []
    answers = {
        Prepare: lambda request: order.append("prepare") or _prepared(request),
        Visit: lambda request: order.append("visit") or visited(request),
    }
    state = state_of(FIRST, SECOND, answers=answers, policy=QUICK, device=device)
    state.supervisor.drop = lambda: order.append("drop")
    preparation.prepare_cases(state)
    rounds.take_rounds(state)
    assert order.count("drop") == drops
    assert order[2] == ("drop" if drops else "visit")


def test_a_run_whose_worker_can_not_be_had_any_more_keeps_what_was_measured():
    def lost(_request):
        raise WorkerError("no worker can be started: no CUDA-capable device is detected")

    state = ready(FIRST, answers={Visit: lost})
    state.closed["done"] = ok_record("batched")
    state.degrees[degrees_key(FIRST.case)] = Degrees(problem="attention", implementation="batched", how="declared")
    assert _measure(state, steps=(rounds.take_rounds,)) is False
    assert "no CUDA-capable device" in state.warnings[0]
    bare = state_of(FIRST, answers={Prepare: lost})
    with pytest.raises(WorkerError):
        _measure(bare, steps=(preparation.prepare_cases,))


def _prepared(_request):
    return Prepared(prepared=prepared(), calls_seconds=0.5)


def test_what_a_journal_holds_is_not_prepared_again():
    state = ready(FIRST, SECOND, answers={Prepare: _prepared})
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


def timed(*cases, answers, limits=SUSTAINED, **changes):
    state = ready(*cases, answers=answers, limits=limits, **changes)
    state.timed = {
        case.case.id: [Round(index=i, started=0.0, calls_per_sample=1, samples=[0.1, 0.11]) for i in range(3)]
        for case in cases
    }
    return state


def test_a_case_that_agrees_again_is_closed_with_its_time():
    state = timed(FIRST, answers={Recheck: Rechecked(agreement=AGREED, calls_seconds=0.1)})
    state.stopped = {FIRST.case.id: "precision"}
    closing.recheck_and_close(state)
    (record,) = state.journal.records
    assert (record.status, record.agreement) == ("ok", AGREED)
    assert (record.time.rounds, record.time.stop_reason) == (3, "precision")


def test_a_case_whose_rounds_were_done_before_a_resumption_has_a_reason_too():
    state = timed(FIRST, answers={Recheck: Rechecked(agreement=AGREED, calls_seconds=0.1)})
    closing.recheck_and_close(state)
    assert state.closed[FIRST.case.id].time.stop_reason in {"precision", "time budget"}


def test_a_case_that_disagrees_after_timing_has_no_time():
    state = timed(FIRST, SECOND, answers={Recheck: _recheck})
    closing.recheck_and_close(state)
    assert state.closed[FIRST.case.id].status == "disagreed"
    assert state.closed[FIRST.case.id].time is None
    assert state.closed[SECOND.case.id].status == "ok"


def _recheck(request):
    return DISAGREED if request.case == FIRST.case else Rechecked(agreement=AGREED, calls_seconds=0.1)


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


@pytest.mark.parametrize("changes", [{"keep_memory": False}, {"device": "cuda:0"}])
def test_fresh_memory_is_not_compared_where_no_worker_keeps_its_own(changes):
    state = ready(FIRST, policy=DEFAULT, **changes)
    fresh_memory.compare_fresh_memory(state)
    assert state.supervisor.asked == []


@pytest.mark.parametrize(("statuses", "code"), [((), 0), (("crashed",), 4), (("crashed", "disagreed"), 3)])
def test_the_exit_code_is_that_of_the_gravest_failure(statuses, code):
    failures = [Record(case=FIRST.case, status=status, reason="planted") for status in statuses]
    assert exit_code([ok_record(), *failures]) == code
