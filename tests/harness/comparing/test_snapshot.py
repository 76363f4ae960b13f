"""A comparison takes each figure of a run from its place in the record, and what is absent there stays absent."""

from __future__ import annotations

import pytest

from harness.comparing.snapshot import Figures, figures, snapshot
from harness.policy import DEFAULT
from harness.records import SCHEMA, Environment, Round
from harness.results.run import NOT_RUN, read_run
from tests.support import runs
from tests.support.comparisons import case, side
from tests.support.drawn import run_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Sizes from which records have telemetry.
LARGE = {"n": 2048, "d": 64, "heads": 2, "batch": 1}


def at(commit):
    """Return the commit that a snapshot keeps of an environment's."""
    environment = Environment(id="x", stable={}, volatile={} if commit is None else {"commit": commit})
    return snapshot(run_of([], environment=environment)).commit


def test_every_figure_is_taken_from_its_place():
    record = runs.ok_record("loop", **LARGE).model_copy(update={"digest": "abc", "reason": "said"})
    one = figures(record)
    assert (one.case, one.status, one.reason, one.digest) == (record.case, "ok", "said", "abc")
    assert (one.seconds, one.low, one.high) == (record.time.median, record.time.low, record.time.high)
    assert (one.rounds, one.processes, one.statistic) == (7, 1, "")
    assert (one.operations, one.attended) == (record.counts.operations, 2 * 2048**2)
    assert one.inputs == 3 * 4 * 2 * 2048 * 64
    assert one.extra_bytes == record.memory.extra
    assert one.error == max(check.ratio for check in record.agreement.checks)
    assert one.energy == record.telemetry.summary["energy_j"]


def test_a_statistic_takes_the_place_of_the_median_with_its_own_interval():
    record = runs.ok_record()
    known = {"statistic": "lower quartile", "value": 2e-3, "value_low": 1e-3, "value_high": 3e-3, "processes": 3}
    one = figures(record.model_copy(update={"time": record.time.model_copy(update=known)}))
    assert (one.seconds, one.low, one.high, one.statistic, one.processes) == (2e-3, 1e-3, 3e-3, "lower quartile", 3)


def test_extra_memory_is_what_the_record_calls_so_and_not_its_workspace():
    record = runs.ok_record()
    memory = record.memory.model_copy(update={"outputs": 100, "workspace": 1, "saved": 20, "peak": 121})
    assert figures(record.model_copy(update={"memory": memory})).extra_bytes == memory.extra == 21


def test_half_an_interval_is_none():
    record = runs.ok_record()
    one = figures(record.model_copy(update={"time": record.time.model_copy(update={"high": None})}))
    assert one.seconds == record.time.median
    assert (one.low, one.high, one.has_interval) == (None, None, False)


def test_a_case_without_a_time_has_a_status_a_reason_and_nothing_else():
    one = figures(runs.failed_record("loop", "oom", "4 GiB"))
    assert one == Figures(case=one.case, status="oom", reason="4 GiB")
    assert (one.seconds, one.has_interval, one.error, one.energy) == (None, False, None, None)


def test_what_was_not_read_is_absent():
    record = runs.ok_record("loop", **LARGE)
    telemetry = record.telemetry.model_copy(update={"summary": {"power_w": 60.0}})
    assert figures(record.model_copy(update={"telemetry": telemetry})).energy is None
    bare = figures(record.model_copy(update={"counts": None, "memory": None, "agreement": None}))
    assert (bare.operations, bare.attended, bare.inputs, bare.extra_bytes, bare.error) == (None,) * 5


@pytest.mark.parametrize(
    ("known", "has"),
    [({}, True), ({"low": None}, False), ({"high": None}, False), ({"seconds": None}, False), ({"low": 0.0}, False)],
)
def test_an_interval_needs_a_time_and_both_its_ends_above_zero(known, has):
    assert case().model_copy(update=known).has_interval is has


def test_a_run_gives_its_plan_its_environment_and_every_case(tmp_path):
    run = read_run(runs.make_run(tmp_path / "mine", sweeps=("heads",)))
    taken = snapshot(run)
    assert (taken.name, taken.created, taken.command) == ("mine", run.plan.created, run.plan.command)
    assert (taken.device, taken.environment_id) == ("cpu", "0123456789abcdef")
    assert taken.stable == run.environment.stable
    assert taken.process_deviation == run.plan.policy.comparison.process_deviation
    assert [one.case for one in taken.cases] == [record.case for record in run.records]
    assert taken.timed == sum(record.time is not None for record in run.records) < len(taken.cases)


def test_a_name_may_be_another_than_the_run_s():
    assert snapshot(run_of([], label="runs/1")).name == "runs/1"
    assert snapshot(run_of([], label="runs/1"), name="main").name == "main"


def test_planned_cases_without_a_record_come_last_with_what_stands_for_their_status():
    waiting = ((runs.ok_case("loop"), NOT_RUN, "interrupted before it"), (runs.ok_case("online"), "unsupported", "no"))
    taken = snapshot(run_of([runs.ok_record()], waiting=waiting))
    assert [(one.case.implementation, one.status, one.reason) for one in taken.cases[1:]] == [
        ("loop", "not run", "interrupted before it"),
        ("online", "unsupported", "no"),
    ]
    assert taken.timed == 1


def test_records_without_a_plan_or_an_environment_have_the_usual_policy_and_no_machine():
    taken = snapshot(run_of([runs.ok_record()]))
    assert (taken.created, taken.command, taken.device, taken.environment_id) == ("", [], "", "")
    assert (taken.stable, taken.commit, taken.canary_floor) == ({}, "", None)
    assert taken.process_deviation == DEFAULT.comparison.process_deviation


def test_the_canary_s_floor_is_over_the_rounds_of_all_cases():
    def visit(*canary):
        return Round(index=0, started=0.0, calls_per_sample=1, samples=[1.0] * len(canary), canary=list(canary))

    rounds = {"a": [visit(2e-4, 2e-4), visit(2e-4, 1e-4)], "b": [visit(9e-4)]}
    floor = snapshot(run_of([], rounds=rounds)).canary_floor
    # The fifth percentile of five readings lies a fifth of the way from the least to the next.
    assert floor == pytest.approx(1.2e-4)


@pytest.mark.parametrize("commit", [COMMIT, f"{COMMIT}+", "0123abc"])
def test_a_commit_is_kept_with_its_mark_of_changed_files(commit):
    assert at(commit) == commit


@pytest.mark.parametrize("commit", [None, "", "not a checkout", "unreadable: git is missing"])
def test_words_in_the_place_of_a_commit_are_none(commit):
    assert at(commit) == ""


def test_a_snapshot_is_written_with_its_schema_and_read_again():
    taken = side([case()], canary_floor=1e-4)
    document = taken.model_dump(mode="json", by_alias=True)
    assert document["schema"] == SCHEMA
    assert type(taken).model_validate(document) == taken


def test_a_run_whose_ids_have_a_gpus_number_compares_with_one_whose_ids_have_not():
    record = runs.ok_record()
    new = record.case.model_copy(update={"device": "cuda:1"})
    new = new.model_copy(update={"id": new.identity})
    old = new.model_copy(update={"device": "cuda:0", "id": "an id of cuda:0"})
    taken = [figures(record.model_copy(update={"case": case})) for case in (old, new)]
    assert taken[0].case.id == taken[1].case.id == new.id
    stored = Figures.model_validate_json(taken[0].model_copy(update={"case": old}).model_dump_json())
    assert stored.case.id == new.id
