"""One call keeps the contract or its mistakes are named, whatever its numbers are."""

from __future__ import annotations

import math
import sys
import threading

import pytest
import torch

from harness.gate import call
from harness.gate.call import upstream_gradient
from harness.gate.known import Known
from impls import contract, registry
from impls.attention.batched import batched
from impls.contract import Output
from impls.subject import Subject
from tests.harness.gate.test_agreement import gate


@pytest.mark.parametrize(
    ("returned", "mistake"),
    [
        (lambda _: None, "out is NoneType, not torch.Tensor"),
        (lambda q: q[..., :-1].clone(), r"out has shape \(2, 2, 40, 15\), not \(2, 2, 40, 16\)"),
        (lambda q: q.double(), "out has dtype torch.float64, not torch.float32"),
        (lambda q: q, "out shares memory with an input"),
        (lambda q: (q.clone(), q.clone()), "returned 2 values, not 1"),
        (lambda q: torch.full_like(q, math.nan), "elements that are not finite, first at"),
        (lambda q: torch.nn.Parameter(q.clone()), "out is Parameter, not torch.Tensor"),
        (lambda q: q.fill_(0.0).clone(), "input 0 was changed"),
    ],
)
def test_a_broken_contract_is_named(returned, mistake):
    agreement = gate(lambda q, *_, **__: returned(q))
    assert not agreement.passed
    (check,) = agreement.checks
    assert check.name == "contract"
    with pytest.raises(AssertionError, match=mistake):
        raise AssertionError(check.detail)


LATER = ("detach", "isfinite", "double", "cpu", "clone", "index_select", "untyped_storage", "unremarkable")


@pytest.mark.parametrize("method", LATER)
def test_a_result_that_computes_when_it_is_looked_at_is_refused(method):
    def lazy(q, k, v, **options):
        out = q.new_zeros(*q.shape[:3], v.shape[-1])
        setattr(out, method, lambda *_: batched(q, k, v, **options))
        return out

    agreement = gate(lazy)
    assert not agreement.passed
    assert agreement.checks[0].detail == f"out has attributes of its own: {method}"


def test_a_result_that_a_thread_writes_later_is_refused():
    started = []

    def late(q, k, v, **options):
        out = q.new_zeros(*q.shape[:3], v.shape[-1])
        started.append(threading.Timer(0.05, lambda: out.copy_(batched(q, k, v, **options))))
        started[-1].start()
        return out

    class Slow(Known):
        def of(self, *given):
            for thread in started:
                thread.join()
            return super().of(*given)

    assert gate(late, known=Slow()).checks[0].detail == "out was written after its call had returned"


def test_a_tuple_that_computes_when_it_is_looked_at_is_refused():
    class Lazy(tuple):
        __slots__ = ()

    agreement = gate(lambda q, k, v, **options: Lazy([batched(q, k, v, **options)]))
    assert agreement.checks[0].detail == "out is Lazy, not torch.Tensor"


def test_an_answer_kept_on_an_input_is_refused():
    def keeps(q, k, v, **options):
        q.kept = batched(q, k, v, **options)
        return q.kept.clone()

    assert gate(keeps).checks[0].detail == "input 0 was given attributes: kept"


def test_a_gradient_that_does_not_reach_an_input_is_named():
    agreement = gate(lambda q, k, v, **o: batched(q, k.detach(), v, **o), direction="backward")
    assert not agreement.passed
    assert agreement.checks[0].detail == "dk is NoneType, not torch.Tensor"


def test_what_was_never_written_shows():
    def unwritten_tail(q, k, v, **options):
        out = torch.empty_like(q)
        out[..., :-1, :] = batched(q, k, v, **options)[..., :-1, :]
        return out

    # Poison reaches what a kernel never writes where the allocator gives it the same memory: mostly, and not each time.
    assert not all(gate(unwritten_tail).passed for _ in range(8))


def test_an_upstream_gradient_has_the_same_values_in_every_layout():
    output, rows, like = Output("out", (2, 3, 5, 4), row_axis=2), torch.arange(5), torch.zeros(1)
    dense, strided = (upstream_gradient(output, rows=rows, like=like, seed=0, layout=x) for x in ("dense", "strided"))
    assert torch.equal(dense, strided)
    assert not strided.is_contiguous()
    assert set(upstream_gradient(output, rows=rows, like=like, seed=0, layout="expanded").stride()) == {0}


def test_memory_that_outputs_will_get_holds_nan_until_it_is_written():
    shape, found = (2, 64, 64), []
    for _ in range(10):
        call.poison([Output("out", shape, row_axis=1)], like=torch.empty(0, dtype=torch.float16))
        found.append(bool(torch.empty(shape, dtype=torch.float16).isnan().any()))
    # Which freed block the C library gives is its own affair.
    assert sum(found) >= 5


def test_large_outputs_are_not_poisoned(monkeypatch):
    made = []
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *given, **more: made.append(given) or empty(*given, **more))
    size = call.POISON_BYTES // (4 * call.POISON_BLOCKS)
    call.poison([Output("out", (size + 1,), row_axis=0)], like=torch.zeros(1))
    assert made == []
    call.poison([Output("out", (1024,), row_axis=0)], like=torch.zeros(1))
    assert len(made) == call.POISON_BLOCKS


def test_an_upstream_gradient_is_zero_but_for_the_sampled_rows_and_drawn_again_from_its_seed():
    output, like = Output("out", (2, 6, 4), row_axis=1), torch.zeros(1, dtype=torch.float64)
    rows = torch.tensor([1, 4])

    def drawn(seed):
        return upstream_gradient(output, rows=rows, like=like, seed=seed)

    gradient = drawn(3)
    others = torch.tensor([0, 2, 3, 5])
    assert (gradient.dtype, tuple(gradient.shape)) == (torch.float64, (2, 6, 4))
    assert not gradient[:, others].any()
    assert bool(gradient[:, rows].ne(0).all())
    assert torch.equal(gradient, drawn(3))
    assert not torch.equal(gradient, drawn(4))


def test_a_gradient_of_some_rows_is_never_one_number_and_a_strided_one_of_an_outer_axis_has_gaps():
    output, like = Output("out", (6, 4), row_axis=0), torch.zeros(1)
    some = upstream_gradient(output, rows=torch.tensor([1]), like=like, seed=0, layout="expanded")
    assert not some[0].any()
    every = torch.arange(6)
    strided = upstream_gradient(output, rows=every, like=like, seed=0, layout="strided")
    assert strided.stride(-1) == 2
    assert torch.equal(strided, upstream_gradient(output, rows=every, like=like, seed=0))


def answered(function, *, direction="forward", dtype=torch.float32, upstream="dense"):
    """Call a function as attention on small inputs; return what it is about, and its answer."""
    problem = registry.problem("attention")
    limits = contract.Limits(("cpu",), registry.DTYPES, frozenset(registry.FEATURES))
    planted = contract.Implementation(problem="attention", name="planted", function=function, limits=(limits,))
    subject = Subject(problem, planted, problem.parse({"n": 4, "d": 2}), dtype, torch.device("cpu"), direction)
    rows = torch.arange(4)
    return subject, call.call(subject, subject.inputs(seed=0), rows=rows, seed=0, upstream_layout=upstream)


def test_a_forward_call_takes_no_gradients_and_keeps_what_its_inputs_were():
    subject, answer = answered(lambda q, *_, **__: q.mul_(2.0) * torch.is_grad_enabled())
    assert (answer.upstream, answer.gradients) == (None, ())
    assert not answer.outputs[0].any(), "gradients are off"
    assert torch.equal(answer.before[0] * 2.0, answer.inputs.tensors[0])
    assert call.contract_mistakes(subject, answer) == ["input 0 was changed"]


def test_what_the_graph_does_not_reach_has_no_gradient_and_is_named():
    subject, answer = answered(lambda q, _, v, **__: v.detach() + 0.0 * q, direction="backward")
    assert [gradient is None for gradient in answer.gradients] == [False, True, True]
    assert call.contract_mistakes(subject, answer) == [
        "dk is NoneType, not torch.Tensor",
        "dv is NoneType, not torch.Tensor",
    ]
    _, detached = answered(lambda q, *_, **__: q.detach().clone(), direction="backward")
    assert detached.gradients == (None, None, None)


def test_an_answer_of_the_wrong_shape_is_named_and_no_gradient_is_asked_for():
    subject, answer = answered(lambda q, *_, **__: q[:, :, :2] * 1.0, direction="backward")
    assert answer.gradients == (None, None, None)
    assert call.contract_mistakes(subject, answer) == ["out has shape (1, 1, 2, 2), not (1, 1, 4, 2)"]


def test_every_mistake_about_a_tensor_is_listed_and_what_lies_elsewhere_is_one():
    subject, answer = answered(lambda *_, **__: torch.zeros(3, dtype=torch.int8))
    (shape, dtype) = call.contract_mistakes(subject, answer)
    assert shape == "out has shape (3,), not (1, 1, 4, 2)"
    assert dtype == "out has dtype torch.int8, not torch.float32"
    _, sparse = answered(lambda q, *_, **__: q.to_sparse())
    assert "out has layout torch.sparse_coo, not torch.strided" in call.contract_mistakes(subject, sparse)
    _, meta = answered(lambda q, *_, **__: q.to("meta"))
    assert "out has device meta, not cpu" in call.contract_mistakes(subject, meta)


def test_rows_that_are_spoiled_hold_nothing_finite_and_all_others_do():
    spoiled = torch.zeros(1, 1, 4, dtype=torch.bool)
    spoiled[..., 2] = True

    def nan_in(*rows):
        def function(q, *_, **__):
            out = q.clone()
            out[..., list(rows), :] = math.nan
            return out

        subject, answer = answered(function)
        return call.contract_mistakes(subject, answer, spoiled=spoiled)

    assert nan_in(2) == []
    assert nan_in() == ["out is finite at (0, 0, 2, 0), in the row of a query that holds NaN"]
    assert nan_in(1, 2) == ["out has 2 elements that are not finite, first at (0, 0, 1, 0)"]


def test_the_same_bits_may_hold_nan_in_the_same_places():
    one = torch.tensor([1.0, math.nan, math.inf])
    assert call.same_bits(one, one.clone())
    assert not call.same_bits(one, torch.tensor([math.nan, 1.0, math.inf]))
    assert not call.same_bits(one, torch.tensor([1.5, math.nan, math.inf]))
    assert call.same_bits(torch.empty(0), torch.empty(0))


def test_the_checks_detail_is_all_mistakes_or_the_note():
    broken = call.contract_check(["one", "another"], note="a note")
    assert (broken.passed, broken.detail) == (False, "one; another")
    kept = call.contract_check([], note="a note")
    assert (kept.passed, kept.detail, kept.ratio) == (True, "a note", None)
    assert call.precision_note(torch.zeros(1)) == ""


RECEIVED = []


class Doubled(torch.autograd.Function):
    """Double; keep the strides of the upstream gradients."""

    @staticmethod
    def forward(_, tensor):
        return tensor * 2

    @staticmethod
    def backward(_, upstream):
        RECEIVED.append(upstream.stride())
        return upstream * 2


def test_an_upstream_gradient_arrives_as_it_lies_and_without_symbolic_shapes(monkeypatch):
    # None makes an import fail: of this module, it takes 0.3 s.
    monkeypatch.setitem(sys.modules, "torch.fx.experimental.symbolic_shapes", None)
    _, answer = answered(
        lambda q, k, v, **_: Doubled.apply(q + 0 * k + 0 * v), direction="backward", upstream="columns"
    )
    assert [answer.upstream.stride()] == RECEIVED
    assert answer.upstream.stride(-1) > 1
    assert torch.equal(answer.gradients[0], 2 * answer.upstream)
