"""A run takes its steps in order under a lock on the device, and keeps what there is where it ends early."""

from __future__ import annotations

import pytest

from harness.protocol.messages import Prepare, Visit
from harness.records import Degrees, Record
from harness.runner.execute import STEPS, _measure, exit_code
from harness.runner.state import degrees_key
from harness.runner.steps import preparation, rounds
from harness.runner.supervisor import WorkerError
from tests.support.runs import ok_record
from tests.support.scripted import state_of
from tests.support.steps import FIRST, ready


def test_the_steps_are_in_order_and_closing_comes_last_but_for_the_ceilings():
    names = [step.__name__ for step in STEPS]
    assert names[:4] == ["close_skipped", "describe_machine", "fit_budget", "prepare_cases"]
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
