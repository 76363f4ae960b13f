"""A workbench keeps account of calls, and what its implementations share."""

from __future__ import annotations

import gc
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from harness.instruments import memory, timing
from harness.policy import DEFAULT
from harness.records import BYTES_PER_ELEMENT
from harness.worker import workbench
from harness.worker.process_state import ProcessState
from impls import contract, discovery, registry
from impls.multihead import problem as multihead
from impls.subject import Subject
from tests.support.benches import bench_on
from tests.support.runs import ok_case


@pytest.mark.parametrize("case", [ok_case("einsum", n=16, d=8), ok_case("sdpa-auto", n=16, d=8, valid_lens=9)])
def test_inputs_are_drawn_once_for_the_implementations_of_a_point_and_each_has_its_own(case, monkeypatch):
    subject = bench_on().subject(case)
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
    assert inputs.x_q is not drawn.x_q


@pytest.mark.parametrize("point", [{"layout": "packed"}, {"layout": "bnhd"}, {"bias": "heads", "batch": 2}])
def test_a_copy_lies_as_what_was_drawn(point):
    subject = bench_on().subject(ok_case("sdpa-math", n=16, d=8, heads=2, **point))
    drawn = subject.inputs(seed=7)
    got = workbench._copied(drawn)
    for one, other in zip(got.tensors, drawn.tensors, strict=True):
        assert (one.stride(), one.storage_offset()) == (other.stride(), other.storage_offset())
        assert torch.equal(one, other)
        assert one.data_ptr() != other.data_ptr()
    buffers = [[tensor.untyped_storage().data_ptr() for tensor in of.tensors] for of in (got, drawn)]
    assert len(set(buffers[0])) == len(set(buffers[1]))


def test_what_is_alive_between_requests_is_not_walked_at_each_visit():
    bench, kept = bench_on(), [[] for _ in range(10_000)]
    try:
        bench.settle()
        assert len(gc.get_objects()) < len(kept)
    finally:
        gc.unfreeze()


def test_the_account_holds_the_seconds_of_calls_and_of_those_that_raise(monkeypatch):
    now = iter([1.0, 1.25, 5.0, 5.5])
    monkeypatch.setattr(workbench, "perf_counter", lambda: next(now))
    calls = workbench.CallsAccount()
    assert calls.counted(lambda x, *, y: x + y)(2, y=3) == 5
    assert calls.seconds == 0.25

    def fails():
        raise FloatingPointError("boom")

    with pytest.raises(FloatingPointError, match="boom"):
        calls.counted(fails)()
    assert calls.seconds == 0.75


def test_an_implementation_in_the_account_is_the_same_but_for_its_calls():
    calls = workbench.CallsAccount()
    entry = registry.get("attention", "einsum")
    counted = calls.implementation(entry)
    assert (counted.name, counted.limits, counted.source) == (entry.name, entry.limits, entry.source)
    q = torch.ones(1, 1, 4, 2)
    assert torch.equal(counted.function(q, q, q), entry.function(q, q, q))
    assert calls.seconds > 0.0


def test_what_an_implementation_prepares_is_no_call_of_it(monkeypatch):
    calls = workbench.CallsAccount()
    built = []

    def build(x, *, causal):
        built.append(causal)
        return lambda: x

    limits = contract.Limits(("cpu",), ("float32",), frozenset())
    entry = contract.Implementation(problem="p", name="n", function=build, limits=(limits,), prepare=build)
    call = calls.implementation(entry).prepare("x", causal=True)
    assert (built, calls.seconds) == ([True], 0.0)
    assert call() == "x"
    assert calls.seconds > 0.0


def test_a_block_counts_as_a_whole(monkeypatch):
    now = iter([1.0, 4.0])
    monkeypatch.setattr(workbench, "perf_counter", lambda: next(now))
    calls = workbench.CallsAccount()
    block = timing.Block(seconds=1e-3, host=0.0, calls=7)
    clock = SimpleNamespace(block=lambda call, count, meanwhile: (call(), count, meanwhile) and block)
    assert calls.block(clock, lambda: None, 7) is block
    assert calls.seconds == 3.0


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_case_has_the_dtype_of_its_name(dtype):
    case = ok_case().model_copy(update={"dtype": dtype})
    found = workbench.dtype_of(case)
    assert (str(found), found.itemsize) == (f"torch.{dtype}", BYTES_PER_ELEMENT[dtype])


def test_what_is_no_dtype_is_refused():
    with pytest.raises((AttributeError, AssertionError)):
        workbench.dtype_of(ok_case().model_copy(update={"dtype": "nn"}))


def test_a_process_may_allocate_a_share_of_what_is_free(monkeypatch):
    caps = []
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000 if device.type == "cpu" else 0)
    monkeypatch.setattr(memory, "cap_process", caps.append)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *given: caps.append(given))
    policy = DEFAULT.memory.model_copy(update={"share": 0.5})
    cpu, gpu = torch.device("cpu"), torch.device("cuda:0")
    workbench.cap_allocations(cpu, policy=policy)
    workbench.cap_allocations(gpu, policy=policy)
    workbench.cap_allocations(gpu, policy=policy.model_copy(update={"share": 0.9}))
    workbench.cap_allocations(torch.device("meta"), policy=policy)
    assert caps == [500, (0.8, gpu), (1.0, gpu)]


def test_a_subject_is_what_a_case_names_and_what_is_unknown_rises():
    bench = bench_on()
    case = ok_case("einsum", n=16, d=8)
    subject = bench.subject(case)
    assert (subject.implementation.name, subject.point.n_q, subject.direction) == ("einsum", 16, "forward")
    assert (subject.dtype, subject.device) == (torch.float32, torch.device("cpu"))
    with pytest.raises(KeyError, match="flsh"):
        bench.subject(case.model_copy(update={"implementation": "flsh"}))
    with pytest.raises(ValueError, match="causal must be true or false"):
        bench.subject(case.model_copy(update={"point": {"n": 16, "causal": 1}}))


def test_a_call_that_disagrees_is_refused_with_when_and_what_the_gate_found():
    bench = bench_on()
    subject = bench.subject(ok_case("einsum", n=16, d=8))
    agreement = bench.hold(subject, seed=1)
    assert agreement.passed
    wrong = replace(subject.implementation, function=lambda q, *_, **__: torch.zeros_like(q))
    with pytest.raises(workbench.RefusedError, match=r"^after timing, out") as refused:
        bench.hold(replace(subject, implementation=wrong), seed=1, when="after timing, ")
    assert refused.value.status == "disagreed"
    assert not refused.value.agreement.passed
    assert bench.calls.seconds > 0.0


def test_a_modelled_device_has_its_own_free_memory_and_no_context():
    modelled = bench_on("cuda:0")
    assert modelled.free_bytes() == modelled.modelled.free_bytes
    assert not modelled.has_context
    assert not bench_on().has_context
    assert replace(modelled, modelled=None).has_context


def test_what_a_source_changed_when_it_was_imported_is_put_back_under_its_name():
    process = ProcessState()
    heard = []
    announce = workbench._mending(process, heard.append)
    announce(f"{discovery.IMPORTING}mine.py")
    torch.set_default_dtype(torch.float64)
    announce(f"{discovery.IMPORTING}yours.py")
    announce("start")
    assert torch.get_default_dtype() == torch.float32
    assert list(process.changed_by) == ["mine.py"]
    assert heard == [f"{discovery.IMPORTING}mine.py", f"{discovery.IMPORTING}yours.py", "start"]
