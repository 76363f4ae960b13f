"""A run takes its steps in order under a lock on the device, and keeps what there is where it ends early."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.protocol.messages import Describe, Described, DescribedImplementation, Prepare, Visit
from harness.records import Degrees, Record
from harness.results import journal
from harness.results.device_lock import DeviceHeldError
from harness.results.documents import JournalError
from harness.results.journal import Journal
from harness.results.plan_file import digest_key
from harness.runner import execute
from harness.runner.execute import STEPS, _measure, exit_code
from harness.runner.plan import code_fingerprint
from harness.runner.selection import SelectionError
from harness.runner.state import degrees_key
from harness.runner.steps import preparation, rounds
from harness.runner.supervisor import WorkerError
from tests.support.runs import ok_record
from tests.support.scripted import Listener, ScriptedSupervisor, plan_of, state_of
from tests.support.steps import FIRST, SECOND, ready


def test_the_steps_are_in_order_and_closing_comes_last_but_for_the_ceilings():
    names = [step.__name__ for step in STEPS]
    assert names[:5] == ["close_skipped", "describe_machine", "look_around", "fit_budget", "prepare_cases"]
    assert names[-2:] == ["recheck_and_close", "measure_ceilings_again"]


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


@pytest.mark.parametrize(("statuses", "code"), [((), 0), (("crashed",), 4), (("crashed", "disagreed"), 3)])
def test_the_exit_code_is_that_of_the_gravest_failure(statuses, code):
    failures = [Record(case=FIRST.case, status=status, reason="planted") for status in statuses]
    assert exit_code([ok_record(), *failures]) == code


@pytest.mark.parametrize("value", ["1", "True"])
def test_what_an_interpreter_runs_is_not_timed(value, monkeypatch, tmp_path):
    monkeypatch.setenv(execute.INTERPRETER, value)
    with pytest.raises(SelectionError, match="TRITON_INTERPRET is set: ") as refused:
        execute.execute(plan_of(FIRST), tmp_path, progress=Listener())
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())
    execute.refuse_interpreter({execute.INTERPRETER: "0"})
    execute.refuse_interpreter({})


def test_an_interrupted_run_is_unfinished_and_no_later_step_is_taken():
    taken = []

    def interrupted(_state):
        raise KeyboardInterrupt

    state = ready(FIRST)
    assert _measure(state, steps=(taken.append, interrupted, taken.append)) is False
    assert taken == [state]
    assert state.progress.names() == ["interrupted"]
    assert _measure(state, steps=(taken.append,)) is True


def test_what_a_step_raises_else_rises():
    def fails(_state):
        raise JournalError("another machine")

    with pytest.raises(JournalError, match="another machine"):
        _measure(ready(FIRST), steps=(fails,))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("disagreed", 3), ("fallback", 3), ("invalid", 3), ("crashed", 4), ("timeout", 4), ("oom", 4),
        ("unsupported", 0), ("unavailable", 0), ("predicted_oom", 0), ("predicted_slow", 0), ("over_budget", 0),
    ],
)  # fmt: skip
def test_what_was_not_meant_to_run_fails_nothing(status, code):
    assert exit_code([ok_record(), Record(case=FIRST.case, status=status, reason="planted")]) == code


def test_a_run_directory_is_made_with_its_parents_and_an_empty_one_is_taken(tmp_path):
    new = tmp_path / "runs" / "today"
    execute.create_directory(new)
    assert new.is_dir()
    execute.create_directory(new)


@pytest.mark.parametrize("name", [journal.PLAN, journal.JOURNAL])
def test_a_directory_that_holds_a_run_is_not_written_into(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(JournalError, match="holds a run already: choose another -o, or continue it with --resume"):
        execute.create_directory(tmp_path)


def test_a_place_that_can_not_be_a_directory_is_named(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    for place in (taken, taken / "below"):
        with pytest.raises(JournalError, match=r"file.* is not a directory"):
            execute.create_directory(place)
    with pytest.raises(JournalError, match="can't be made: File name too long"):
        execute.create_directory(tmp_path / ("x" * 300))


def test_a_directory_that_can_not_be_written_to_is_refused(tmp_path, monkeypatch):
    # As root everything can be written to.
    monkeypatch.setattr(execute.os, "access", lambda path, mode: (Path(path), mode) != (tmp_path, os.W_OK))
    with pytest.raises(JournalError, match="can't be written to"):
        execute.create_directory(tmp_path)


def test_a_plan_is_stored_where_it_is_read_again(tmp_path):
    plan = plan_of(FIRST, SECOND)
    execute.store_plan(plan, tmp_path / "run")
    assert execute.stored_plan(tmp_path / "run") == plan
    with pytest.raises(JournalError, match="holds no run to resume"):
        execute.stored_plan(tmp_path)


def test_a_plan_of_which_nothing_can_run_makes_no_directory_and_says_why(tmp_path):
    skipped = FIRST.model_copy(update={"skip": "predicted_oom", "reason": "too large"})
    with pytest.raises(SelectionError, match=r"no case can run here; batched .*: too large"):
        execute.store_plan(plan_of(skipped), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_plan_of_other_code_is_not_gone_on_with(tmp_path):
    ours = code_fingerprint()
    execute.check_code(plan_of(FIRST, fingerprint=ours), tmp_path)
    execute.check_code(plan_of(FIRST, fingerprint={**ours, "unknown to us": "1"}), tmp_path)
    name = next(iter(ours))
    with pytest.raises(JournalError, match=f"can't be resumed: {name} changed since it was begun"):
        execute.check_code(plan_of(FIRST, fingerprint={**ours, name: "another"}), tmp_path)
    with pytest.raises(JournalError, match=", ".join(ours)):
        execute.check_code(plan_of(FIRST), tmp_path)


def described(**digests):
    """Describe implementations of attention with their sources' digests."""
    listed = [
        DescribedImplementation(problem="attention", name=name, available=True, source=f"{name}.py", digest=digest)
        for name, digest in digests.items()
    ]
    return Described(device_name="x", implementations=listed, threads=1)


def replaced(plan, directory, **digests):
    progress = Listener()
    supervisor = ScriptedSupervisor({Describe: described(**digests)})
    return execute.replace_changed(plan, directory, supervisor=supervisor, progress=progress), progress


def test_what_was_measured_of_a_changed_source_is_void_and_the_plan_has_its_new_digest(tmp_path):
    digests = {digest_key("attention", name): "old" for name in ("batched", "einsum")}
    plan = plan_of(FIRST, SECOND, digests=digests)
    with Journal(tmp_path) as log:
        log.append_record(ok_record("batched"))
        log.append_record(ok_record("einsum"))
    renewed, progress = replaced(plan, tmp_path, batched="new", einsum="old")
    assert list(journal.read(tmp_path).records) == [SECOND.case.id]
    assert progress.events == [("replaced", ("batched",), {})]
    assert renewed.digests == {"attention batched": "new", "attention einsum": "old"}
    assert execute.stored_plan(tmp_path) == renewed


def test_nothing_is_written_where_no_source_changed_and_one_that_is_unknown_now_is_kept(tmp_path):
    plan = plan_of(FIRST, digests={"attention batched": "old", "attention gone": "old"})
    same, progress = replaced(plan, tmp_path, batched="old")
    assert same is plan
    assert (progress.events, list(tmp_path.iterdir())) == ([], [])


def test_a_file_of_implementations_that_is_gone_ends_the_resumption(tmp_path):
    plan = plan_of(FIRST, impl_files=[str(tmp_path / "mine.py")])
    with pytest.raises(JournalError, match=r"can't be resumed: .*mine\.py is gone"):
        replaced(plan, tmp_path)


def test_a_processor_is_held_by_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with execute.lock_of("cpu"), pytest.raises(DeviceHeldError, match=r"device cpu.* is held by another run"):
        execute.lock_of("cpu").__enter__()
    with execute.lock_of("cpu"):
        assert {file.suffix for file in tmp_path.iterdir()} == {".lock"}


def test_a_run_that_timed_nothing_is_not_judged_and_one_that_did_stores_its_verdicts(tmp_path):
    state = ready(FIRST, directory=tmp_path)
    assert execute._judge(state, []) is None
    assert state.progress.names() == []
    state.timed = {FIRST.case.id: []}
    found = execute._judge(state, [ok_record()])
    assert state.progress.names() == ["judging"]
    assert journal.read_verdicts(tmp_path) == found


def test_a_finished_run_is_interrupted_where_its_summary_says_so():
    state = ready(FIRST)
    for is_complete in (True, False):
        summary = state.summary(is_complete=is_complete)
        finished = execute.Finished(plan=state.plan, records=[], verdicts=None, summary=summary)
        assert finished.is_interrupted is not is_complete
