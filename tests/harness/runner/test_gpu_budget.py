"""The default run on a modelled H100 fits its budget, by the run's own steps under a virtual clock."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.policy import DEFAULT, FAST
from harness.runner import budget
from harness.runner.budget import TimeAccount
from harness.runner.execute import STEPS
from harness.runner.plan import make_plan
from harness.runner.selection import Request, Selection
from scenarios import catalog
from tests.support.modelled_worker import ModelledWorker, VirtualClock
from tests.support.scripted import Listener, state_of


def run(monkeypatch, directory, *, policy=DEFAULT, scenarios=catalog.DEFAULT, device="cuda:0"):
    """Take a run through all of its steps; return its state, its worker and the seconds that it took."""
    clock = VirtualClock()
    worker = ModelledWorker(clock, policy=policy, device=device)
    request = Request(
        scenarios=tuple(catalog.find(name) for name in scenarios),
        selection=Selection(),
        device=device,
        policy=policy,
    )
    plan = make_plan(request, worker, progress=Listener())
    state = state_of(policy=policy, device=device, directory=directory)
    state.plan, state.supervisor = plan, worker
    state.time = TimeAccount(budget.time_budget(device, policy.run), started=0.0)
    monkeypatch.setattr(budget.time, "monotonic", clock)
    for step in STEPS:
        step(state)
    monkeypatch.undo()
    return state, worker, clock.now


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return run(monkeypatch, tmp_path_factory.mktemp("run"))


def test_the_default_run_ends_within_its_thirteen_minutes(default, capsys):
    state, worker, seconds = default
    statuses = Counter(record.status for record in state.closed.values())
    shares = ", ".join(f"{name} {spent:.0f} s" for name, spent in sorted(worker.spent.items()))
    with capsys.disabled():
        print(  # noqa: T201  (the figure that this test is about)
            f"\nmodelled H100: {seconds / 60:.1f} of 13 min, {len(state.plan.cases)} cases "
            f"({dict(statuses)}), {state.rounds_done} rounds: {shares}"
        )
    assert DEFAULT.run.time_budget_cuda == 13 * 60
    assert seconds <= DEFAULT.run.time_budget_cuda
    assert state.rounds_done >= DEFAULT.timing.rounds_at_least
    assert set(statuses) <= {"ok", "predicted_slow", "predicted_oom", "unsupported", "unavailable"}


def test_rows_that_are_launched_one_by_one_are_bounded_and_enough_to_judge_their_law(default):
    state, _, _ = default
    loops = [planned for planned in state.plan.cases if planned.case.implementation == "loop"]
    assert [planned.skip for planned in loops] == [None] * len(loops)
    # In sweeps of heads, features and batches every point has more rows than that.
    assert {planned.case.scenario for planned in loops} == {"sequence-length"}
    points = [planned.case.point for planned in loops]
    assert {point["heads"] * point["batch"] for point in points} == {1}
    assert max(point["n"] for point in points) == DEFAULT.run.launched_rows_at_most
    lengths = {point["n"] for point in points}
    assert len(lengths) >= DEFAULT.scaling.sizes_at_least
    assert max(lengths) / min(lengths) >= DEFAULT.scaling.range_at_least


def test_rows_beyond_the_bound_are_said_not_to_run():
    worker = ModelledWorker(VirtualClock())
    request = Request(
        scenarios=(catalog.find("sequence-length"),),
        selection=Selection(implementations=("loop",), axes={"n": [12288]}),
        device="cuda:0",
        policy=DEFAULT,
    )
    plan = make_plan(request, worker, progress=Listener())
    assert {planned.skip for planned in plan.cases} == {"predicted_slow"}
    assert plan.cases[0].reason.startswith("12,288 rows > 8,192: launched one by one, 0.5 s per call")


def test_a_graph_is_timed_in_the_first_rounds_only(default):
    state, _, _ = default
    graphs = [sum(bool(visit.graph_samples) for visit in visits) for visits in state.timed.values()]
    assert max(graphs) == DEFAULT.timing.graph_rounds


def test_rounds_have_a_worker_of_their_own(default):
    _, worker, _ = default
    assert worker.started_workers == 2


def test_sustained_load_takes_a_small_share_of_a_run(default):
    _, worker, _ = default
    # Unless it is asked for, it takes a small share of the run, and the rest is named.
    assert 0.0 < worker.spent["sustain"] <= DEFAULT.run.extras_share_cuda * DEFAULT.run.time_budget_cuda


def test_sustained_load_that_has_no_time_is_named(monkeypatch, tmp_path):
    brief = DEFAULT.model_copy(update={"run": DEFAULT.run.model_copy(update={"extras_share_cuda": 0.01})})
    state, worker, _ = run(monkeypatch, tmp_path, policy=brief, scenarios=("smoke",))
    assert "sustain" not in worker.spent
    assert any(part.startswith("sustained load") for part in state.left_out)


def test_a_quick_run_of_one_sweep_fits_its_five_minutes(monkeypatch, tmp_path):
    _, _, seconds = run(monkeypatch, tmp_path, policy=FAST, scenarios=("sequence-length",))
    assert seconds <= FAST.run.time_budget_cuda


def test_the_default_run_on_two_cores_ends_within_five_minutes(monkeypatch, tmp_path, capsys):
    state, worker, seconds = run(monkeypatch, tmp_path, device="cpu")
    shares = ", ".join(f"{name} {spent:.0f} s" for name, spent in sorted(worker.spent.items()))
    with capsys.disabled():
        print(f"\nmodelled CPU: {seconds / 60:.1f} min, {state.rounds_done} rounds: {shares}")  # noqa: T201
    assert seconds <= 300
    assert state.rounds_done >= DEFAULT.timing.rounds_at_least


def test_what_a_plan_says_of_a_run_is_about_what_it_takes(default):
    state, _, seconds = default
    known = [budget.estimate(planned, {}) for planned in state.plan.cases if planned.skip is None]
    foreseen = budget.least_seconds(known, device="cuda:0", policy=DEFAULT)
    assert 0.7 * seconds <= foreseen <= 1.3 * seconds


def test_cases_that_do_not_fit_are_left_out_and_said(monkeypatch, tmp_path):
    hasty = DEFAULT.model_copy(update={"run": DEFAULT.run.model_copy(update={"time_budget_cuda": 60.0})})
    state, _, _ = run(monkeypatch, tmp_path, policy=hasty, scenarios=("sequence-length",))
    assert any(part.startswith("cases") for part in state.left_out)
    fits, _, _ = run(monkeypatch, tmp_path, scenarios=("smoke",))
    assert not any(part.startswith("cases") for part in fits.left_out)
