"""A case is prepared, timed on fresh values and held against the oracle again; what is refused has its reason."""

from __future__ import annotations

import time

import torch

from harness.protocol import messages
from impls import contract
from tests.harness.worker.test_worker import CASE, ask, visit
from tests.support.runs import ok_case


def test_a_case_is_described_predicted_prepared_visited_and_rechecked(worker, steps):
    described = ask(worker, messages.Describe())
    names = {entry.name: entry for entry in described.implementations if entry.problem == "attention"}
    assert names["einsum"].available
    assert "causal" in names["einsum"].supports
    (foreseen,) = ask(worker, messages.Predict(cases=[CASE])).predictions
    assert foreseen.skip is None
    assert foreseen.predicted.operations > 0
    prepared = ask(worker, messages.Prepare(case=CASE, seed=1, predicted_bytes=77))
    assert prepared.prepared.agreement.passed
    assert prepared.prepared.memory.predicted == 77
    assert prepared.prepared.counts.how == "counted"
    assert prepared.prepared.counts.counted >= prepared.prepared.counts.operations
    visited = ask(worker, visit(CASE))
    assert (visited.round.index, visited.round.process, len(visited.round.samples)) == (4, 1, 3)
    assert len(visited.round.canary) == 3
    rechecked = ask(worker, messages.Recheck(case=CASE, seed=9))
    assert rechecked.agreement.rechecked
    for answer in (prepared, visited, rechecked):
        assert answer.calls_seconds > 0.0
    assert steps[-6:] == ["agreement", "profile", "warm-up", "inputs", "timing", "agreement after timing"]


def test_the_record_says_which_context_was_entered(worker):
    pinned = ask(worker, messages.Prepare(case=ok_case("sdpa-math", n=16, d=8), seed=1)).prepared
    assert (pinned.ran.within, pinned.ran.backend) == ("sdpa_kernel(SDPBackend.MATH)", "math")
    assert ask(worker, messages.Prepare(case=CASE, seed=1)).prepared.ran.within is None


def test_every_other_visit_is_on_new_values_and_the_record_says_so(worker):
    rounds = [ask(worker, visit(CASE)).round for _ in range(3)]
    assert [one.new_values for one in rounds] == [True, False, True]
    assert [one.input_sets for one in rounds] == [4, 1, 4]
    assert all(len(one.first_seconds) == len(one.later_seconds) == 3 for one in rounds)


def test_seconds_inside_calls_are_those_of_one_request(worker, planted):
    case = planted(lambda q, k, v, **_: time.sleep(0.01) or torch.softmax(q @ k.mT / 8**0.5, -1) @ v)
    first, second = ask(worker, visit(case)), ask(worker, visit(case))
    # One call untimed, three blocks of two.
    assert 0.07 <= second.calls_seconds < 2 * first.calls_seconds


def test_a_wrong_answer_is_refused_with_the_check_that_failed(worker, planted):
    case = planted(lambda q, *_, **__: torch.zeros_like(q))
    refused = ask(worker, messages.Prepare(case=case, seed=1))
    assert isinstance(refused, messages.Refused)
    assert refused.status == "disagreed"
    assert "times its budget; out[" in refused.reason
    assert not refused.agreement.passed
    late = ask(worker, messages.Recheck(case=case, seed=1))
    assert late.reason.startswith("after timing, out ")


def test_another_kernel_than_asked_for_is_refused(worker, planted):
    case = planted(lambda q, k, v, **_: torch.softmax(q @ k.mT / 8**0.5, -1) @ v, expects=contract.Expected(("flash",)))
    refused = ask(worker, messages.Prepare(case=case, seed=1))
    assert (refused.status, refused.agreement) == ("fallback", None)
    assert refused.reason.startswith("asked for flash, ran aten::")
