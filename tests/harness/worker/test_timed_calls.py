"""What the last of many timed calls gave is held against the first, and results kept by address are found."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.instruments import directions
from harness.protocol import messages
from harness.worker import timed_calls
from harness.worker.workbench import RefusedError
from tests.harness.worker.test_worker import CASE, ask, visit
from tests.support.benches import bench_on
from tests.support.runs import ok_case


def wrong_after(calls, *, by=1.5):
    """Return a kernel that is right for so many calls on the same values, and wrong from then on."""
    known = {"first": None, "calls": 0}

    def drifts(q, k, v, **_):
        first = float(q.detach().reshape(-1)[0])
        known["calls"] = known["calls"] + 1 if first == known["first"] else 0
        known["first"] = first
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v * (by if known["calls"] >= calls else 1.0)

    return drifts


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
def test_a_kernel_that_is_wrong_only_when_called_in_a_row_is_refused(worker, planted, direction):
    case = planted(wrong_after(8)).model_copy(update={"direction": direction})
    long = messages.Visit(case=case, seed=3, calls=20, blocks=1, index=0, process=0)
    short = long.model_copy(update={"calls": 4})
    assert isinstance(ask(worker, short), messages.Visited)
    refused = ask(worker, long)
    assert (refused.status, refused.reason[:21]) == ("disagreed", "in the timed calls, t")
    assert "the last gave" in refused.reason


def test_results_that_differ_within_rounding_are_left_to_the_gate(worker, planted):
    case = planted(wrong_after(8, by=1.0 + 2**-23))
    long = messages.Visit(case=case, seed=3, calls=20, blocks=1, index=0, process=0)
    assert isinstance(ask(worker, long), messages.Visited)


def test_an_answer_kept_by_address_is_refused_while_it_is_timed(worker, planted):
    kept = {}

    def replays(q, k, v, **_):
        key = (q.data_ptr(), k.data_ptr(), v.data_ptr())
        if key not in kept:
            kept[key] = torch.softmax(q @ k.mT / 8**0.5, -1) @ v
        return kept[key].clone()

    refused = ask(worker, visit(planted(replays)))
    assert (refused.status, refused.reason) == (
        "disagreed",
        "in the timed calls, new values in its inputs gave the results of the old ones",
    )


@pytest.mark.parametrize("direction", ["backward", "forward+backward"])
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_honest_gradients_are_timed_on_new_values(worker, direction, calls):
    case = CASE.model_copy(update={"direction": direction})
    request = messages.Visit(case=case, seed=3, calls=calls, blocks=2, index=0, process=0)
    for _ in range(2):
        assert len(ask(worker, request).round.samples) == 2


def held(case, *, stale=False, pair=None, function=None, seed=3):
    """Hold blocks that gave a pair of first and last outputs; `function` makes each of the inputs' tensors."""
    bench = bench_on()
    subject = bench.subject(case)
    inputs = subject.inputs(seed=seed)
    if function is not None:
        right = subject.bind(inputs)()
        pair = ((right.clone(),), tuple(function(right, inputs)))
    last = pair and pair[1]
    timed_calls.hold(
        bench, subject, inputs, SimpleNamespace(stale=stale, pair=pair, last=last, disguised=False), seed=seed
    )


def test_blocks_that_gave_the_same_bits_or_were_not_compared_need_no_more():
    held(CASE)
    held(CASE, function=lambda right, _: [right.clone()])


def test_results_of_old_values_are_refused_before_anything_is_compared():
    with pytest.raises(RefusedError, match="new values in its inputs gave the results of the old ones") as refused:
        held(CASE, stale=True, function=lambda right, _: [right.clone()])
    assert (refused.value.status, refused.value.agreement) == ("disagreed", None)


def test_a_last_call_within_the_gates_bound_passes_and_one_beyond_it_is_refused_with_the_element():
    held(CASE, function=lambda right, _: [right * (1 + 2**-23)])
    with pytest.raises(RefusedError, match="the last gave something else than the first") as refused:
        held(CASE, function=lambda right, _: [right * 1.01])
    assert "out[" in refused.value.reason
    assert not refused.value.agreement.passed


@pytest.mark.parametrize(
    ("function", "mistake"),
    [
        (lambda right, _: [right[..., :-1]], "out has shape"),
        (lambda right, _: [right.double()], "out has dtype"),
        (lambda right, _: [torch.full_like(right, float("nan"))], "elements that are not finite"),
        (lambda right, _: [right, right], "returned 2 values, not 1"),
        (lambda _, inputs: [inputs.tensors[0]], "out shares memory with an input"),
    ],
)
def test_a_last_call_that_broke_the_contract_is_refused_with_how(function, mistake):
    with pytest.raises(RefusedError, match=f"^in the timed calls, the last broke the contract: .*{mistake}"):
        held(CASE, function=function)


def test_gradients_pass_no_further_apart_than_calls_on_the_same_inputs_are():
    case = CASE.model_copy(update={"direction": "backward"})
    bench = bench_on()
    subject = bench.subject(case)
    with directions.measured_call(subject, subject.inputs(seed=3)) as measured:
        first = [tensor.clone() for tensor in measured.call()]
    held(case, pair=(tuple(first), tuple(first)))
    with pytest.raises(RefusedError, match=r"the last gave gradients .* from the first's, where calls are 0 apart"):
        held(case, pair=(tuple(first), tuple(tensor * 1.5 for tensor in first)))


def test_what_draws_its_own_numbers_is_left_to_the_gate():
    case = ok_case("torch-module", n=16, width=16, heads=2, dropout=0.1).model_copy(update={"problem": "multihead"})
    held(case, stale=True)
    with pytest.raises(RefusedError):
        held(case.model_copy(update={"point": {"n": 16, "width": 16, "heads": 2}}), stale=True)


def inferring(q, k, v, **_):
    with torch.inference_mode():
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v


@pytest.mark.parametrize("within", [None, torch.inference_mode])
def test_a_kernel_in_inference_mode_is_held_and_timed_as_any_other(worker, planted, within):
    case = planted(inferring, within=within)
    assert isinstance(ask(worker, messages.Prepare(case=case, seed=3)), messages.Prepared)
    for index in range(2):
        request = messages.Visit(case=case, seed=3 + index, calls=5, blocks=2, index=index, process=0)
        assert ask(worker, request).round.new_values is (index == 0)
    assert isinstance(ask(worker, messages.Recheck(case=case, seed=5, look_again=5)), messages.Rechecked)


@pytest.mark.parametrize("mark", [torch.sum, torch.linalg.norm, torch.max])
def test_an_answer_kept_by_a_figure_of_its_inputs_is_not_given_for_new_values(worker, planted, mark):
    kept, computed = {}, []

    def replays(q, k, v, **_):
        key = tuple(float(mark(tensor)) for tensor in (q, k, v))
        if key not in kept:
            computed.append(key)
            kept[key] = torch.softmax(q @ k.mT / 8**0.5, -1) @ v
        return kept[key].clone()

    request = messages.Visit(case=planted(replays), seed=3, calls=5, blocks=4, index=0, process=0)
    assert isinstance(ask(worker, request), messages.Visited)
    assert len(computed) == 1 + 4, "once before the blocks, and by the first call of each"
