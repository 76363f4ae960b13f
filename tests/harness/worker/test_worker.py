"""The worker answers each request with its message, and turns whatever is raised into a status."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import typing

import pytest
import torch

from harness.instruments import memory
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.protocol.messages import encode
from harness.worker import workbench
from harness.worker.__main__ import Worker, failure, handlers
from harness.worker.stages import Stages
from impls import contract, registry
from impls.multihead import problem as multihead
from impls.subject import Subject
from tests.support.runs import ok_case

CASE = ok_case("einsum", n=16, d=8)


@pytest.fixture
def steps():
    return []


@pytest.fixture
def worker(steps, monkeypatch):
    """Start a worker in this process, without the cap on its memory."""
    monkeypatch.setattr(memory, "cap_process", lambda _limit: True)
    worker = Worker(announce=steps.append)
    started = worker.answer(encode(messages.Start(device="cpu", policy=DEFAULT)))
    gc.unfreeze()
    assert isinstance(started, messages.Started)
    assert started.free > 0
    yield worker
    gc.unfreeze()


@pytest.fixture
def planted(monkeypatch):
    """Register a function as attention for the length of a test, and return its case."""

    def plant(function, **declared):
        limits = contract.Limits(("cpu",), ("float32",), frozenset(), **declared)
        entry = contract.Implementation(problem="attention", name="planted", function=function, limits=(limits,))
        monkeypatch.setitem(registry.REGISTRY.entries, ("attention", "planted"), entry)
        return ok_case("planted", n=16, d=8)

    return plant


def ask(worker, request):
    return worker.answer(encode(request))


def visit(case):
    return messages.Visit(case=case, seed=3, calls=2, blocks=3, index=4, process=1)


def test_there_is_an_answer_to_every_request():
    assert {messages.Start, *handlers()} == set(typing.get_args(messages.Request))


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
    assert steps[-7:] == [
        *("agreement", "profile", "warm-up", "counting", "inputs", "timing", "agreement after timing")
    ]


def test_the_record_says_which_context_was_entered(worker):
    pinned = ask(worker, messages.Prepare(case=ok_case("sdpa-math", n=16, d=8), seed=1)).prepared
    assert (pinned.ran.within, pinned.ran.backend) == ("sdpa_kernel(SDPBackend.MATH)", "math")
    assert ask(worker, messages.Prepare(case=CASE, seed=1)).prepared.ran.within is None


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


def test_every_other_visit_is_on_new_values_and_the_record_says_so(worker):
    rounds = [ask(worker, visit(CASE)).round for _ in range(3)]
    assert [one.new_values for one in rounds] == [True, False, True]
    assert [one.input_sets for one in rounds] == [4, 1, 4]
    assert all(len(one.first_seconds) == len(one.later_seconds) == 3 for one in rounds)


@pytest.mark.parametrize("direction", ["backward", "forward+backward"])
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_honest_gradients_are_timed_on_new_values(worker, direction, calls):
    case = CASE.model_copy(update={"direction": direction})
    request = messages.Visit(case=case, seed=3, calls=calls, blocks=2, index=0, process=0)
    for _ in range(2):
        assert len(ask(worker, request).round.samples) == 2


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


def test_a_case_that_replaces_a_clock_is_invalid_and_the_clock_put_back(worker, planted):
    clock = time.perf_counter

    def cheats(q, k, v, **_):
        time.perf_counter = lambda: 0.0
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v

    refused = ask(worker, visit(planted(cheats)))
    assert (refused.status, refused.reason) == ("invalid", "it replaced time.perf_counter")
    assert time.perf_counter is clock


def test_a_case_that_changes_the_process_is_invalid_and_the_next_is_as_before(worker, planted):
    def alone(q, k, v, **_):
        torch.set_default_dtype(torch.float64)
        torch.equal = lambda *_: True
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v

    equal = torch.equal
    refused = ask(worker, visit(planted(alone)))
    assert (refused.status, refused.reason) == (
        "invalid",
        "it replaced torch.equal, changed default dtype from torch.float32 to torch.float64",
    )
    assert torch.equal is equal
    assert torch.get_default_dtype() == torch.float32
    assert isinstance(ask(worker, visit(CASE)), messages.Visited)


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt(), ValueError("no such tile\nand more")])
def test_whatever_an_implementation_raises_becomes_a_status(worker, planted, error):
    def raises(*_, **__):
        raise error

    failed = ask(worker, messages.Prepare(case=planted(raises), seed=1))
    assert isinstance(failed, messages.Failed)
    assert failed.status == "crashed"
    assert failed.reason.startswith(type(error).__name__)
    assert "(test_worker.py:" in failed.reason
    assert isinstance(ask(worker, visit(CASE)), messages.Visited), "the worker goes on"


@pytest.mark.parametrize(
    ("error", "status", "is_gone"),
    [
        (MemoryError(), "oom", False),
        (RuntimeError("CUDA out of memory. Tried"), "oom", False),
        (NotImplementedError("not here"), "unsupported", False),
        (RuntimeError("No available kernel. Aborting"), "unsupported", False),
        # Whether the worker goes on is asked of the device: tests/test_lost_context.py.
        (RuntimeError("CUDA error: an illegal memory access"), "crashed", False),
        (ValueError(), "crashed", False),
    ],
)
def test_an_error_has_the_status_that_its_kind_says(error, status, is_gone):
    failed = failure(error)
    assert (failed.status, failed.worker_gone) == (status, is_gone)
    assert failed.reason.startswith(type(error).__name__)


def test_what_is_no_request_fails_in_a_line(worker):
    failed = worker.answer({"do": "flsh"})
    assert failed.status == "crashed"
    assert failed.reason.startswith("MessageError: no message 'flsh'; have: 'start', ")
    early = Worker(announce=print).answer(encode(messages.Describe()))
    assert "'describe' before 'start'" in early.reason


def test_a_case_that_can_not_run_says_why_before_it_does(worker, planted):
    case = planted(lambda q, *_, **__: q)
    masked = case.model_copy(update={"point": {**case.point, "causal": True}})
    half = case.model_copy(update={"dtype": "float16"})
    huge = case.model_copy(update={"point": {"n": 2**30, "d": 8}})
    nonsense = case.model_copy(update={"point": {"m": 3}})
    found = ask(worker, messages.Predict(cases=[masked, half, huge, nonsense])).predictions
    assert [one.skip for one in found] == ["unsupported", "unsupported", "predicted_oom", "unsupported"]
    assert found[0].reason == "lacks causal"
    assert found[1].reason == "takes float32, not float16"
    assert found[2].reason.endswith(" B free") or found[2].reason.startswith("too large to plan")
    assert found[3].reason.startswith("not a point of attention: ")


def test_probes_are_run_by_their_place_in_the_list(worker):
    asked = {"problem": "attention", "quick": True, "only": "forward"}
    probes = ask(worker, messages.ListProbes(**asked)).probes
    outcome = ask(worker, messages.RunProbe(**asked, index=2, implementation="einsum", dtype="float32", seed=1)).outcome
    assert (outcome.probe, outcome.direction) == (probes[2].probe, probes[2].direction)
    assert outcome.status == "ok"


def test_witnesses_are_worked_out_once_for_the_implementations_of_a_point(worker):
    made = []

    class Problem:
        def witness(self, inputs, rows):
            made.append((inputs, rows))
            return (inputs,)

    def subject(name, point):
        return Subject(Problem(), registry.get("attention", name), point, torch.float32, torch.device("cpu"))

    known = workbench.KnownWitnesses(Stages())
    for name in ("einsum", "batched"):
        assert known.of(subject(name, "p"), 1, "inputs", "rows") == ("inputs",)
    assert len(made) == 1
    known.of(subject("einsum", "p"), 2, "inputs", "rows")
    known.of(subject("einsum", "q"), 1, "inputs", "rows")
    known.of(subject("einsum", "p"), 1, "inputs", "rows")
    assert len(made) == 4, "two are kept"


@pytest.mark.parametrize("case", [CASE, ok_case("sdpa-auto", n=16, d=8)])
def test_inputs_are_drawn_once_for_the_implementations_of_a_point_and_each_has_its_own(worker, case, monkeypatch):
    subject = worker._bench.subject(case)
    wanted = subject.inputs(seed=7)
    known, drawn = workbench.KnownInputs(), []
    inputs = Subject.inputs
    monkeypatch.setattr(Subject, "inputs", lambda *args, **options: drawn.append(1) or inputs(*args, **options))
    first, second = known.of(subject, 7), known.of(subject, 7)
    assert len(drawn) == 1
    for tensor in first.tensors:
        tensor.zero_()
    third = known.of(subject, 7)
    for got in (second, third):
        assert all(torch.equal(a, b) for a, b in zip(got.tensors, wanted.tensors, strict=True))
    monkeypatch.setattr(workbench, "INPUT_BYTES_KEPT", 1)
    known.of(subject, 8)
    known.of(subject, 8)
    assert len(drawn) == 3, "large ones are drawn anew"


def test_what_is_one_tensor_of_the_inputs_stays_one_in_a_copy():
    point = multihead.parse({"n": 8, "width": 16, "heads": 2})
    drawn = multihead.inputs(point, dtype=torch.float32, device=torch.device("cpu"), seed=1)
    inputs = workbench._copied(drawn)
    assert inputs.x_q is inputs.x_k is inputs.x_v


def test_modules_that_calls_bring_in_are_not_walked_at_each_visit(worker):
    ask(worker, messages.Prepare(case=CASE, seed=3))
    kept = [[] for _ in range(10_000)]
    ask(worker, messages.Prepare(case=CASE, seed=3))
    assert len(gc.get_objects()) < len(kept)


def test_the_process_imports_torch_no_sooner_than_it_is_told_to():
    code = "import sys, harness.worker.__main__; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
